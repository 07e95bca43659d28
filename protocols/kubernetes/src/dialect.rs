//! The Kubernetes API as a dialect of HTTP: what its exchanges are asked, answered by the rest of this crate.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gatewright_http::{
    dialect::{self, Incoming, Outgoing},
    filter::Filter,
    headers,
    masking::Masking,
    problem::Problem,
    refusal::Refusal,
    tunnel::Tunnel,
};
use gatewright_masking::MaskKey;
use gatewright_model::{
    event::Facet,
    http::{HttpBody, HttpEvent, HttpRequest},
    json::Value,
    kubernetes::{KubernetesEvent, PatchType, StreamKind, Transport},
    mask::MaskPlan,
};
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response,
};

use crate::{
    answer, impersonation,
    negotiate::{self, Form},
    request_info,
    status::{Format, Status},
    stream, tunnel, upgrade,
};

/// Whom a cluster takes a request for, as the operator chooses it for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActAs {
    /// The account of the gateway: its credential is all that the cluster sees.
    #[default]
    Account,
    /// The principal: the account impersonates it, and the cluster's own rules and audit log know who asked.
    Principal,
    /// Whoever the client says, with `Impersonate-User`: part of what is judged. Without it, the account.
    Client,
}

/// The Kubernetes API.
#[derive(Debug)]
pub struct Kubernetes {
    act_as: ActAs,
    key: MaskKey,
    masking: Masking,
}

impl Kubernetes {
    /// `key`: of keyed hashes in masks.
    pub fn new(act_as: ActAs, key: MaskKey) -> Self {
        Self { act_as, masking: Masking::new(key.clone()), key }
    }

    /// Refuses before anything is sent what could not be kept afterwards.
    fn check_masks(&self, event: &KubernetesEvent, plan: &MaskPlan) -> Result<(), Refusal> {
        let info = &event.info;
        if event.upgrade.is_some() {
            return tunnel::check(event, plan, &self.key);
        }
        if !plan.json.is_empty() && info.patch_type == Some(PatchType::Json) && copies(&event.http.body) {
            return Err(COPIES);
        }
        if plan.objects.is_empty() || !info.is_resource_request {
            return Ok(());
        }
        match &*info.verb {
            // Filtered when they come.
            "list" | "watch" => Ok(()),
            // What is created was not shown before. With a name, it is a part of something that is there.
            "create" if info.name.is_empty() => Ok(()),
            // Nothing of an object that is not shown is read, written or deleted either.
            _ if info.name.is_empty() => Err(NOT_SHOWN),
            _ => {
                // A namespace is in none, whatever its path says.
                let namespace = if &*info.resource == "namespaces" { "" } else { &*info.namespace };
                let is_shown = plan.objects.iter().all(|filter| filter.shows(namespace, &info.name));
                if is_shown { Ok(()) } else { Err(NOT_SHOWN) }
            }
        }
    }
}

impl dialect::Dialect for Kubernetes {
    fn upgrades(&self) -> &'static [headers::Upgrade] {
        &[headers::Upgrade::WebSocket, headers::Upgrade::Spdy31]
    }

    fn admit(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        upgrade::remove_token(headers)?;
        if impersonation::read(headers)?.is_some() && self.act_as != ActAs::Client {
            return Err(impersonation::NOT_ALLOWED);
        }
        Ok(())
    }

    fn lines(&self) -> &'static [&'static str] {
        if self.act_as == ActAs::Client { &[impersonation::PREFIX] } else { &[] }
    }

    fn reads_body(&self, request: &HttpRequest) -> bool {
        matches!(form(request), Form::Json | Form::Yaml)
    }

    fn is_json(&self, request: &HttpRequest, bytes: &[u8]) -> bool {
        match form(request) {
            Form::Json => true,
            // kubectl applies JSON under this name. What is YAML by its looks was read, and is no document.
            Form::Yaml => bytes.trim_ascii_start().starts_with(b"{"),
            Form::Protobuf | Form::Cbor | Form::Other => false,
        }
    }

    fn facet(&self, http: HttpEvent) -> Result<Facet, Refusal> {
        event(http).map(Facet::Kubernetes)
    }

    fn prepare(&self, outgoing: Outgoing<'_>) -> Result<(), Refusal> {
        let Outgoing { facet, principal, masks, uri, headers } = outgoing;
        let Facet::Kubernetes(event) = facet else { return Err(ANOTHER) };
        if let Some(plan) = masks.filter(|plan| !plan.is_empty()) {
            self.check_masks(event, plan)?;
            if &*event.info.verb == "list" && !plan.objects.is_empty() {
                undo_paging(&event.http.request, uri)?;
            }
            let reads = event.http.request.is_safe();
            self.masking.prepare(&without_objects(plan), reads, headers)?;
            if event.upgrade.is_none() && answer::is_objects(&event.info) {
                let given = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
                let accept = HeaderValue::try_from(negotiate::accept(given)).map_err(|_| ANOTHER)?;
                headers.insert(ACCEPT, accept);
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
        }
        if let Some(upgrade) = &event.upgrade
            && upgrade.transport == Transport::Spdy
        {
            upgrade::write_lines(upgrade, headers);
        }
        if self.act_as == ActAs::Principal {
            impersonation::write(&impersonation::of(principal)?, headers)?;
        }
        Ok(())
    }

    /// A cluster sees nothing of a client that could prove anything: whoever the request is done as, it is the gateway's
    /// account that has to be accepted first, by a token or by a certificate. Only what is behind a proxy asks for its own.
    fn refuses_gateway(&self, facet: &Facet, _injected: bool) -> bool {
        let Facet::Kubernetes(event) = facet else { return true };
        !event.stream.as_ref().is_some_and(|stream| stream.kind == StreamKind::Proxy)
    }

    fn filter(&self, answer: Incoming<'_>) -> Result<Option<Box<dyn Filter>>, Refusal> {
        let Incoming { facet, masks, head, has_body, .. } = answer;
        let Some(plan) = masks.filter(|plan| !plan.is_empty()) else { return Ok(None) };
        let Facet::Kubernetes(event) = facet else { return Err(ANOTHER) };
        let is_json = is_json(&head.headers);
        if !has_body || !is_json || !answer::is_objects(&event.info) {
            let lists = matches!(&*event.info.verb, "list" | "watch" | "deletecollection");
            if has_body && lists && head.status.is_success() && !plan.objects.is_empty() {
                return Err(NOT_JSON);
            }
            return self.masking.filter(&without_objects(plan), head, has_body).map(Some);
        }
        if head.headers.contains_key(CONTENT_ENCODING) {
            return Err(NOT_JSON);
        }
        let body = answer::filter(&event.info, head.status, plan, &self.key)?;
        let head = self.masking.filter(&without_objects(plan), head, false)?;
        Ok(Some(Box::new(Both { head, body })))
    }

    fn tunnel(&self, answer: Incoming<'_>) -> Result<Box<dyn Tunnel>, Refusal> {
        let Facet::Kubernetes(event) = answer.facet else { return Err(ANOTHER) };
        let Some(upgrade) = &event.upgrade else { return Err(ANOTHER) };
        let protocol = upgrade::chosen(upgrade, &answer.head.headers)?;
        tunnel::new(event, &protocol, answer.masks, &self.key, answer.recorded)
    }

    fn title(&self, facet: &Facet) -> Option<Arc<str>> {
        let Facet::Kubernetes(event) = facet else { return None };
        tunnel::title(event)
    }

    fn is_stream(&self, facet: &Facet) -> bool {
        let Facet::Kubernetes(event) = facet else { return false };
        let follows = || request_info::options::is_set(&event.http.request.query, "follow");
        &*event.info.verb == "watch" || &*event.info.subresource == "log" && follows()
    }

    fn tell(&self, problem: Problem, request: Option<&HttpRequest>) -> (response::Parts, Bytes) {
        let info = request.map(request_info::read);
        let format = Format::wanted(request.and_then(|request| request.header("accept")));
        let body = Status::of(&problem, info.as_ref()).encode(format);
        let (mut parts, _) = problem.into_answer();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        (parts, body)
    }
}

/// What a request is to an API server.
///
/// # Errors
///
/// 400 `k8s.impersonate`: whom it wants to be done as can be read in two ways.
pub fn event(http: HttpEvent) -> Result<KubernetesEvent, Refusal> {
    let request = &http.request;
    let mut info = request_info::read(request);
    let stream = stream::read(request, &info);
    let upgrade = upgrade::read(request);
    let carries = stream.is_some() || &*info.verb == "watch" || &*info.subresource == "log";
    if upgrade.is_some() && !carries {
        info.unknown =
            info.unknown.or(Some("there is nothing here that a connection could be switched for"));
    }
    let has_body = !matches!(http.body, HttpBody::Empty);
    if let Some(stream) = &stream {
        // A server takes its options from the query, and some take those of a form in the body before.
        let is_process = !matches!(stream.kind, StreamKind::Proxy | StreamKind::EphemeralContainers);
        if has_body && is_process {
            info.unknown = info.unknown.or(Some("what is to be run could be said in the body as well"));
        }
        if !stream::are_ports(request) {
            info.unknown = info.unknown.or(Some("a port is no number"));
        }
        info.dry_run = false;
    }
    if has_body && info.verb.starts_with("delete") {
        // The API server takes the options in the body, where there is one, and not those in the query.
        info.dry_run = false;
    }
    let impersonation = impersonation::listed(request)?;
    Ok(KubernetesEvent {
        info: Arc::new(info),
        upgrade,
        stream: stream.map(Arc::new),
        impersonation: impersonation.map(Arc::new),
        http,
    })
}

/// Asks for all of a list at once, where a part of it is shown. A page ends with a token that says at which object it stopped,
/// and that may be one which is not shown.
fn undo_paging(request: &HttpRequest, uri: &mut Uri) -> Result<(), Refusal> {
    if request.query.iter().any(|(name, value)| &**name == "continue" && !value.is_empty()) {
        return Err(CONTINUED);
    }
    // As many pieces of the text as there are pairs, and in their order.
    let pieces = request.query_text.split('&').zip(&request.query);
    let kept: Vec<&str> = pieces
        .filter(|(_, (name, _))| !matches!(&**name, "limit" | "continue"))
        .map(|(piece, _)| piece)
        .collect();
    if kept.len() < request.query.len() {
        let separator = if kept.is_empty() { "" } else { "?" };
        *uri = format!("{}{separator}{}", request.path, kept.join("&")).parse().map_err(|_| ANOTHER)?;
    }
    Ok(())
}

/// Clients of the Kubernetes API begin anew when they are told so.
const CONTINUED: Refusal = Refusal {
    status: StatusCode::GONE,
    code: "k8s.continue",
    detail: "a part of this list is shown, all of it at once: list again, without a continue token",
};

/// Does a JSON patch (RFC 6902) do more than write? What it copies or moves comes out under another name, and what it tests can be
/// guessed.
fn copies(body: &HttpBody) -> bool {
    let writes = |operation: Value<'_>| {
        let mut named = operation.members().filter(|(name, _)| name == "op").map(|(_, word)| word);
        let word = named.next().and_then(Value::as_str);
        word.is_some_and(|word| matches!(&*word, "add" | "replace" | "remove"))
    };
    match body {
        HttpBody::Empty => false,
        HttpBody::Read { json: Some(patch), .. } => !patch.root().elements().all(writes),
        _ => true,
    }
}

const COPIES: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides parts of this object, and a JSON patch that copies, moves or tests could show them",
};

/// What was hidden in a head, and what hides in the body.
#[derive(Debug)]
struct Both {
    head: Box<dyn Filter>,
    body: Box<dyn Filter>,
}

impl Filter for Both {
    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Refusal> {
        self.body.push(piece, out)
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Refusal> {
        self.body.finish(out)
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        let mut masked = self.head.masked();
        for (rule, count) in self.body.masked() {
            match masked.iter_mut().find(|(own, _)| *own == rule) {
                Some((_, sum)) => *sum += count,
                None => masked.push((rule, count)),
            }
        }
        masked
    }
}

/// The form of a request's body. Without a type it is JSON to an API server, and anything to what is behind a proxy.
fn form(request: &HttpRequest) -> Form {
    match request.header("content-type") {
        None if !answer::is_objects(&request_info::read(request)) => Form::Other,
        content_type => negotiate::form(content_type),
    }
}

/// Objects are filtered here, and nowhere else.
fn without_objects(plan: &MaskPlan) -> MaskPlan {
    MaskPlan { objects: Vec::new(), ..plan.clone() }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| negotiate::form(Some(content_type)) == Form::Json)
}

/// An event of another protocol: no exchange of this one asks about it.
const ANOTHER: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "k8s.unknown",
    detail: "the request is none of the Kubernetes API",
};

const NOT_SHOWN: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "k8s.not_shown",
    detail: "a policy shows other objects than this one",
};

const NOT_JSON: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "mask.unsupported",
    detail: "a policy shows some objects only, and the answer is not the JSON that was asked for",
};

#[cfg(test)]
mod tests;
