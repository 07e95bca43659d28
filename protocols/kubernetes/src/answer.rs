//! What is shown of an answer: objects one by one, in whatever shape they come.
//!
//! A policy names values as they stand in an object (`$.data.password`), and objects by namespace and name. An API server
//! sends the same object alone, in a list, as the row of a table, or as an event of a watch; here each of these is cut into its
//! objects, and each object is shown in the same way:
//!
//! | shape | objects | what else there is |
//! | --- | --- | --- |
//! | one object | the document | |
//! | list | `items[*]` | `kind`, `apiVersion`, `metadata` |
//! | table | `rows[*].object` | `columnDefinitions`; of a row `cells` |
//! | watch | `object` of each event, which may be a table | `type` |
//!
//! Nothing else is passed. Beside what the paths of a plan select, an object has its values in places that no path names, and
//! these are taken out wherever a plan has paths:
//!
//! - the annotation `kubectl.kubernetes.io/last-applied-configuration` is the whole object once more, as text in a text;
//!   of Secrets it is taken out wherever anything is hidden, because it holds in plain what `data` holds in base64;
//! - `managedFields` has names of fields, and as keys values of them;
//! - cells of a table show fields that its maker chose. The first one is the name and stays; of Secrets and ConfigMaps the others
//!   are counts and ages and stay, too; of everything else they are empty.
//!
//! Values of a Secret's `data` and a ConfigMap's `binaryData` are base64. They are decoded, hidden as text, and encoded again: a
//! detector finds what it looks for, and a typed client can read the answer.

mod list;
mod object;
mod split;
mod watch;

use gatewright_http::{filter::Filter, refusal::Refusal};
use gatewright_masking::MaskKey;
use gatewright_model::{kubernetes::RequestInfo, mask::MaskPlan};
use http::StatusCode;

use self::{list::ListFilter, object::Objects, watch::WatchFilter};

/// The largest object, in bytes of JSON. etcd keeps none of more than 1.5 MiB, and JSON is up to three times as long.
pub const LARGEST_OBJECT: usize = 8 << 20;

/// Makes what shows an answer in JSON. `status`: of the answer; `plan`: hides something.
///
/// # Errors
///
/// 502 `mask.unsupported`: the plan can not be kept.
pub fn filter(
    info: &RequestInfo,
    status: StatusCode,
    plan: &MaskPlan,
    key: &MaskKey,
) -> Result<Box<dyn Filter>, Refusal> {
    // What a client created itself it knows.
    let is_new = &*info.verb == "create" && info.name.is_empty();
    let objects = if is_new { Vec::new() } else { plan.objects.clone() };
    let objects = Objects::new(info, objects, plan, key)?;
    // An error is one `Status`, whatever was asked for.
    let verb = if status.is_success() { &*info.verb } else { "get" };
    Ok(match verb {
        "watch" => Box::new(WatchFilter::new(objects)),
        "list" => Box::new(ListFilter::new(objects)),
        "deletecollection" => Box::new(ListFilter::of_deleted(objects)),
        _ => Box::new(WatchFilter::of_one(objects)),
    })
}

/// Is the answer to this made of objects, where it is JSON?
pub fn is_objects(info: &RequestInfo) -> bool {
    let other = matches!(&*info.subresource, "log" | "proxy" | "exec" | "attach" | "portforward");
    info.is_resource_request && !other && !matches!(&*info.verb, "proxy" | "connect")
}

/// An answer that is not what an API server sends.
const fn malformed(detail: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_GATEWAY, code: "mask.malformed", detail }
}

#[cfg(test)]
mod tests;
