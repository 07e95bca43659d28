//! The Kubernetes API: an HTTP case, read as live requests are.

use gatewright_http::{dialect::Dialect, refusal::Refusal};
use gatewright_kubernetes::dialect::{ActAs, Kubernetes};
use gatewright_masking::MaskKey;
use gatewright_model::event::Event;
use gatewright_policy::HttpCase;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::http;

pub(super) fn read(case: &HttpCase) -> Result<Event, String> {
    let refused = |refusal: Refusal| format!("it would be refused: {} ({})", refusal.detail, refusal.code);
    // A case may ask what a policy says of clients that want to be somebody else; nothing of it is masked.
    let dialect = Kubernetes::new(ActAs::Client, MaskKey::new([0; 32]));
    let mut headers = HeaderMap::new();
    for (name, value) in &case.headers {
        let name =
            HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| format!("`{name}` has no value of a header"))?;
        headers.append(name, value);
    }
    dialect.admit(&mut headers).map_err(refused)?;
    let facet = dialect.facet(http::http(case)?).map_err(refused)?;
    Ok(http::event(facet))
}
