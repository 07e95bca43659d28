//! NotificationResponse: somebody has notified a channel that the session listens to.

use bytes::{BufMut as _, Bytes};
use gatewright_model::session::{ProtocolError, Side};

use super::tag;
use crate::{
    reader::{Malformed, Reader},
    reply::message,
};

/// The whole message without what the notification says.
///
/// # Errors
///
/// The body is malformed.
pub fn without_payload(body: &[u8]) -> Result<Bytes, ProtocolError> {
    let (process, channel) =
        read(body).map_err(|cause| cause.in_message(Side::Upstream, "NotificationResponse"))?;
    Ok(message(tag::NOTIFICATION_RESPONSE, |body| {
        body.put_u32(process);
        body.put_slice(channel.as_bytes());
        body.put_slice(&[0, 0]);
    }))
}

fn read(body: &[u8]) -> Result<(u32, &str), Malformed> {
    let mut reader = Reader::new(body);
    let (process, channel, _payload) = (reader.u32()?, reader.text()?, reader.text()?);
    reader.finish()?;
    Ok((process, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a032_what_a_notification_says_is_taken_out() {
        let body = b"\0\0\0\x07channel\x00123-45-6789\0";
        assert_eq!(&*without_payload(body).unwrap(), b"A\0\0\0\x11\0\0\0\x07channel\0\0");
        assert!(without_payload(b"\0\0\0\x07channel\0").is_err());
        assert!(without_payload(b"\0\0\0\x07channel\0\0x").is_err());
    }
}
