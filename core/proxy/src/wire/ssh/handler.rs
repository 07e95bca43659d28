//! What russh calls on a client's connection.
//!
//! It calls this within the loop of the connection: whatever it waits for, all channels wait for. So it waits for nothing but the proof
//! of an identity, before there is any channel; everything else is the business of the channels' own tasks.

use std::sync::Arc;

use gatewright_ssh::message::Open;
use russh::{
    Channel,
    keys::{Algorithm, Certificate},
    server::{
        Auth, ChannelOpenHandle, GlobalReplyHandle, Handler, Msg, PublicKeyOffer, Response, Session,
        VerifiedPublicKey,
    },
};

use super::{
    admission::Shown,
    serve::{Shared, refused},
};

/// What russh calls.
pub(super) struct Served(pub(super) Arc<Shared>);

/// The connection can not go on.
#[derive(Debug)]
pub(super) struct Failed(pub(super) russh::Error);

impl From<russh::Error> for Failed {
    fn from(error: russh::Error) -> Self {
        Self(error)
    }
}

impl Handler for Served {
    type Error = Failed;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Failed> {
        Ok(self.0.admit_outer(user).unwrap_or_else(refused))
    }

    /// It proves nothing yet; but a key that would not do need not sign anything.
    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Failed> {
        // RSA's own name is that of SHA-1.
        if *offer.algorithm == (Algorithm::Rsa { hash: None }) {
            return Ok(refused());
        }
        let shown = offer.certificate.map_or(Shown::Key(offer.public_key), Shown::Certificate);
        Ok(self.0.would_admit(user, shown))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Failed> {
        Ok(self.0.admit_key(user, Shown::Key(key.public_key)))
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Failed> {
        Ok(self.0.admit_key(user, Shown::Certificate(certificate)))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Failed> {
        Ok(self.0.admit_token(user, password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Failed> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "Gatewright".into(),
                instructions:
                    "The answer is a token: `gatewright token mint`, or one of your identity provider."
                        .into(),
                prompts: vec![("Token: ".into(), false)].into(),
            });
        };
        let token = response.next();
        Ok(match token.as_deref().map(std::str::from_utf8) {
            Some(Ok(token)) => self.0.admit_token(user, token.trim()),
            _ => refused(),
        })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Failed> {
        self.0.lead_to(session.handle());
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        reply: GlobalReplyHandle,
        _: &mut Session,
    ) -> Result<(), Failed> {
        self.0.forward(Open::TcpipForward { address: Arc::from(address), port }, reply);
        Ok(())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, Failed> {
        Ok(self.0.cancel_forward(&Open::TcpipForward { address: Arc::from(address), port }))
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        reply: GlobalReplyHandle,
        _: &mut Session,
    ) -> Result<(), Failed> {
        self.0.forward(Open::StreamlocalForward { path: Arc::from(path) }, reply);
        Ok(())
    }

    async fn cancel_streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, Failed> {
        Ok(self.0.cancel_forward(&Open::StreamlocalForward { path: Arc::from(path) }))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        self.0.open(Open::Session, channel, reply, session);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        let originator = (Arc::from(originator), originator_port);
        let open = Open::DirectTcpip { host: Arc::from(host), port, originator };
        self.0.open(open, channel, reply, session);
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        self.0.open(Open::DirectStreamlocal { path: Arc::from(path) }, channel, reply, session);
        Ok(())
    }
}
