//! A connection that has switched protocols: frames in, frames out, and nothing that was not understood in between.
//!
//! | switched to | carries | read by |
//! | --- | --- | --- |
//! | WebSocket, `[v4.\|v5.][base64.]channel.k8s.io` or none | exec, attach; port-forward of ports in the query | `tunnel/channel.rs` |
//! | WebSocket, `SPDY/3.1+portforward.k8s.io` | SPDY in its messages: port-forward | `tunnel/nested.rs` |
//! | SPDY/3.1 | exec, attach, port-forward | `tunnel/spdy.rs` |
//! | WebSocket | log, watch: messages of the server | `tunnel/messages.rs` |
//! | WebSocket | what a Pod or Service behind a proxy speaks | `tunnel/messages.rs` |
//!
//! Frames are read and written again, not copied: what leaves is what was inspected. Where nothing is to be hidden, that
//! gives the same bytes.

mod channel;
mod messages;
mod nested;
mod spdy;

use std::sync::Arc;

use gatewright_http::{refusal::Refusal, tunnel::Tunnel};
use gatewright_masking::MaskKey;
use gatewright_model::{
    kubernetes::{KubernetesEvent, StreamKind, Transport},
    mask::MaskPlan,
};
use http::StatusCode;

pub use self::{channel::ChannelTunnel, messages::MessageTunnel, nested::NestedTunnel, spdy::SpdyTunnel};
use crate::{channels::Channels, violation::Violation};

/// What becomes of a connection. `protocol`: what the target chose of what was offered. `recorded`: what passes has to be.
///
/// # Errors
///
/// 502 `upstream.upgrade`: the target chose something that this request can not be carried by. 403 `mask.unsupported`,
/// `record.unsupported`: what must be hidden or recorded can not be, in this.
pub fn new(
    event: &KubernetesEvent,
    protocol: &str,
    masks: Option<&MaskPlan>,
    key: &MaskKey,
    recorded: bool,
) -> Result<Box<dyn Tunnel>, Refusal> {
    let Some(upgrade) = &event.upgrade else { return Err(NOT_ASKED) };
    if recorded && title(event).is_none() {
        return Err(NOT_RECORDED);
    }
    let Some(stream) = &event.stream else {
        return match upgrade.transport {
            Transport::WebSocket => Ok(Box::new(MessageTunnel::new(&event.info, protocol, masks, key)?)),
            Transport::Spdy => Err(NOT_ASKED),
        };
    };
    let channels = || Channels::new(stream, masks, key, recorded);
    Ok(match (stream.kind, upgrade.transport, protocol) {
        (StreamKind::Exec | StreamKind::Attach | StreamKind::PortForward, Transport::Spdy, _) => {
            Box::new(SpdyTunnel::new(event.clone(), channels()?))
        }
        (StreamKind::PortForward, Transport::WebSocket, "SPDY/3.1+portforward.k8s.io") => {
            Box::new(NestedTunnel::new(event.clone(), channels()?))
        }
        (StreamKind::Exec | StreamKind::Attach | StreamKind::PortForward, Transport::WebSocket, _) => {
            Box::new(ChannelTunnel::new(protocol, &stream.ports, channels()?)?)
        }
        (StreamKind::Proxy, Transport::WebSocket, _) => Box::new(MessageTunnel::of_proxy(masks)?),
        (StreamKind::Proxy | StreamKind::Run | StreamKind::EphemeralContainers, ..) => {
            return Err(NOT_ASKED);
        }
    })
}

/// Can what a plan hides be hidden in the stream that a request asks for? Asked before it is sent.
///
/// # Errors
///
/// 403 `mask.unsupported`.
pub fn check(event: &KubernetesEvent, plan: &MaskPlan, key: &MaskKey) -> Result<(), Refusal> {
    let is_log = &*event.info.subresource == "log";
    match &event.stream {
        Some(stream) => Channels::new(stream, Some(plan), key, false).map(drop),
        None if is_log => Channels::of_log(Some(plan), key).map(drop),
        None => MessageTunnel::of_proxy(Some(plan)).map(drop),
    }
}

/// What a recording of a stream is called: of a command its program, because arguments may be secrets. None: it shows nothing to
/// anybody, or is not opened by this request.
pub fn title(event: &KubernetesEvent) -> Option<Arc<str>> {
    let stream = event.stream.as_ref().filter(|_| event.opens_a_process())?;
    let program = stream.command.first().cloned();
    Some(program.unwrap_or_else(|| Arc::from(stream.kind.as_str())))
}

/// A peer broke the protocol.
fn refusal(violation: Violation) -> Refusal {
    Refusal { status: StatusCode::BAD_GATEWAY, code: violation.code, detail: violation.detail }
}

const NOT_RECORDED: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "record.unsupported",
    detail: "a policy wants a connection recorded that shows nothing",
};

const NOT_ASKED: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "upstream.upgrade",
    detail: "the target switched to a protocol that can not carry what was asked for",
};

#[cfg(test)]
mod tests;
