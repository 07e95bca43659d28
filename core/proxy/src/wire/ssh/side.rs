//! One side of a channel: russh's half to read, which is read at once, and its half to write, which waits for the peer's window.
//!
//! russh hands on what it reads within the loop of its connection: whoever does not take it stops all channels. So a task takes it
//! from there, and what it holds is bounded by the window that the peer has; that opens when the driver has taken it on. Another task
//! writes, because a write waits for the peer's window, and one that is given up half done loses what it had begun. A third one
//! does what must not wait behind that: opening the peer's window, on which the other direction waits, and signals.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use gatewright_ssh::message::{Message, Request};
use parking_lot::Mutex;
use russh::{
    ChannelId, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig, client,
    server::{self, ChannelOpenHandle, Handle},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    forward::{Grants, Origin},
    words,
};
use crate::wire::Pipe;

/// Messages of a peer that wait for the driver and are no data. A client sends a handful before it waits for replies.
const MOST_WAITING: usize = 1024;

/// What they say, in bytes at most: commands, variables and their values.
const MOST_WAITING_BYTES: usize = 512 << 10;

/// One side of a channel.
pub(in crate::wire) struct Side {
    /// What is handed in before anything that was read.
    first: Option<Message>,
    heard: mpsc::UnboundedReceiver<Message>,
    /// What waits to be written.
    to_write: mpsc::UnboundedSender<Written>,
    at_once: mpsc::UnboundedSender<AtOnce>,
    /// The client's. One that closes its channel has given up what it said before.
    is_client: bool,
    state: Arc<State>,
    writer: Option<JoinHandle<()>>,
    /// Cancelled with this.
    over: CancellationToken,
}

/// What both tasks and the driver know.
#[derive(Default)]
struct State(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Bytes that wait to be written.
    queued: usize,
    /// The peer has closed the channel, or is gone.
    gone: bool,
    /// Messages that were read and not taken on.
    waiting: usize,
    /// Bytes of those of them that are no data.
    said: usize,
    waker: Option<Waker>,
}

/// What the writer does, in this order.
enum Written {
    Message(Message),
    Close,
}

/// What waits for nothing that is to be written.
enum AtOnce {
    /// So much of what the peer has sent was taken on.
    Credit(u32),
    /// A signal for what runs.
    Signal(Arc<str>),
}

/// Where the writer writes.
#[derive(Clone)]
enum Pen {
    Client {
        write: Arc<ChannelWriteHalf<server::Msg>>,
        handle: Handle,
    },
    Target {
        write: Arc<ChannelWriteHalf<client::Msg>>,
        /// What the target may open for as long as the channel is there.
        grants: Arc<Grants>,
        over: CancellationToken,
    },
}

impl Side {
    /// The client's side of a channel that it wants to open. `first` is handed in before anything that it says.
    pub(super) fn of_client(
        first: Option<Message>,
        read: ChannelReadHalf,
        write: ChannelWriteHalf<server::Msg>,
        handle: Handle,
        opening: ChannelOpenHandle,
    ) -> Self {
        let pen = Pen::Client { write: Arc::new(write), handle };
        Self::new(first, read, pen, Some(opening), CancellationToken::new())
    }

    /// The client's side of a channel that it has accepted.
    pub(super) fn of_open_client(
        read: ChannelReadHalf,
        write: ChannelWriteHalf<server::Msg>,
        handle: Handle,
    ) -> Self {
        let pen = Pen::Client { write: Arc::new(write), handle };
        Self::new(None, read, pen, None, CancellationToken::new())
    }

    /// The target's side of a channel that is open.
    pub(super) fn of_target(
        read: ChannelReadHalf,
        write: ChannelWriteHalf<client::Msg>,
        grants: Arc<Grants>,
    ) -> Self {
        let over = CancellationToken::new();
        let pen = Pen::Target { write: Arc::new(write), grants, over: over.clone() };
        Self::new(None, read, pen, None, over)
    }

    fn new(
        first: Option<Message>,
        read: ChannelReadHalf,
        pen: Pen,
        opening: Option<ChannelOpenHandle>,
        over: CancellationToken,
    ) -> Self {
        let (hear, heard) = mpsc::unbounded_channel();
        let (to_write, written) = mpsc::unbounded_channel();
        let (at_once, urgent) = mpsc::unbounded_channel();
        let is_client = matches!(pen, Pen::Client { .. });
        let state = Arc::<State>::default();
        tokio::spawn(listen(read, hear, Arc::clone(&state), over.clone()));
        tokio::spawn(do_at_once(pen.clone(), urgent));
        let writer = tokio::spawn(write_all(pen, opening, written, Arc::clone(&state), over.clone()));
        Self { first, heard, to_write, at_once, is_client, state, writer: Some(writer), over }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl Pipe for Side {
    type Unit = Message;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(Some(first)));
        }
        self.heard.poll_recv(context).map(|heard| {
            if let Some(message) = &heard {
                let mut known = self.state.0.lock();
                known.waiting -= 1;
                known.said -= message.said();
                drop(known);
                if let Some(bytes) = u32::try_from(message.window()).ok().filter(|bytes| *bytes > 0) {
                    let _ = self.at_once.send(AtOnce::Credit(bytes));
                }
            }
            Ok(heard)
        })
    }

    fn queue(&mut self, unit: Message) {
        if let Message::Request { request: Request::Signal(name), .. } = &unit {
            let _ = self.at_once.send(AtOnce::Signal(Arc::clone(name)));
            return;
        }
        self.state.0.lock().queued += unit.window();
        let _ = self.to_write.send(Written::Message(unit));
    }

    fn queued(&self) -> usize {
        self.state.0.lock().queued
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut known = self.state.0.lock();
        // What a target has said before it left is heard first, and what a client has said, where somebody wants to hear it.
        if known.gone && (self.is_client || known.waiting == 0) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        known.waker = Some(context.waker().clone());
        if known.queued == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    async fn close(mut self) {
        let _ = self.to_write.send(Written::Close);
        if let Some(writer) = self.writer.take() {
            let _ = writer.await;
        }
    }
}

impl State {
    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.lock();
        change(&mut known);
        if let Some(waker) = known.waker.take() {
            waker.wake();
        }
    }
}

/// Takes everything that russh has read, and never waits for anybody who is to hear it.
async fn listen(
    mut read: ChannelReadHalf,
    hear: mpsc::UnboundedSender<Message>,
    state: Arc<State>,
    over: CancellationToken,
) {
    loop {
        let said = tokio::select! {
            said = read.wait() => said,
            // Nobody hears it any more. russh is to find nobody who takes it.
            () = over.cancelled() => return,
        };
        let Some(said) = said.filter(|said| !matches!(said, russh::ChannelMsg::Close)) else { break };
        let Some(message) = words::heard(said) else { continue };
        let mut is_flood = false;
        state.change(|known| {
            known.waiting += 1;
            known.said += message.said();
            // Data is bounded by the window; requests are not.
            is_flood =
                message.window() == 0 && (known.waiting > MOST_WAITING || known.said > MOST_WAITING_BYTES);
        });
        if is_flood || hear.send(message).is_err() {
            break;
        }
    }
    drop(hear);
    state.change(|known| known.gone = true);
}

/// Ends when the side is dropped.
async fn do_at_once(pen: Pen, mut urgent: mpsc::UnboundedReceiver<AtOnce>) {
    while let Some(next) = urgent.recv().await {
        let done = match (&pen, next) {
            (Pen::Client { write, .. }, AtOnce::Credit(bytes)) => write.credit(bytes).await,
            (Pen::Target { write, .. }, AtOnce::Credit(bytes)) => write.credit(bytes).await,
            (Pen::Target { write, .. }, AtOnce::Signal(name)) => write.signal(Sig::from_name(&name)).await,
            // Nobody sends one to a client.
            (Pen::Client { .. }, AtOnce::Signal(_)) => Ok(()),
        };
        if done.is_err() {
            return;
        }
    }
}

async fn write_all(
    pen: Pen,
    mut opening: Option<ChannelOpenHandle>,
    mut written: mpsc::UnboundedReceiver<Written>,
    state: Arc<State>,
    over: CancellationToken,
) {
    while let Some(next) = written.recv().await {
        let size = match &next {
            Written::Message(message) => message.window(),
            _ => 0,
        };
        let closes = matches!(next, Written::Close);
        // Whoever reads no more and does not leave is left with the channel: a write to a full window has no end of its own.
        let done = tokio::select! {
            done = pen.write(&mut opening, next) => done,
            () = over.cancelled() => false,
        };
        state.change(|known| {
            known.queued -= size;
            known.gone |= !done;
        });
        if closes || !done {
            break;
        }
    }
    pen.close().await;
}

impl Pen {
    /// Writes it. `false`: the peer takes nothing any more.
    async fn write(&self, opening: &mut Option<ChannelOpenHandle>, written: Written) -> bool {
        match (self, written) {
            (_, Written::Close) => true,
            (Self::Client { write, handle }, Written::Message(message)) => {
                to_client(write, handle, opening, message).await
            }
            (Self::Target { write, grants, over }, Written::Message(message)) => {
                if let Message::Request { request: Request::AgentForwarding, .. } = &message {
                    grants.grant(Origin::Agent, over.clone());
                }
                if let Message::Request { request: Request::X11 { single_connection, .. }, .. } = &message {
                    if *single_connection {
                        grants.grant_one(Origin::X11, over.clone());
                    } else {
                        grants.grant(Origin::X11, over.clone());
                    }
                }
                to_target(write, message).await
            }
        }
    }

    async fn close(self) {
        // An error: it is closed already.
        let _ = match self {
            Self::Client { write, .. } => write.close().await,
            Self::Target { write, .. } => write.close().await,
        };
    }
}

async fn to_client(
    write: &ChannelWriteHalf<server::Msg>,
    handle: &Handle,
    opening: &mut Option<ChannelOpenHandle>,
    message: Message,
) -> bool {
    let id: ChannelId = write.id();
    match message {
        Message::Accepted => {
            if let Some(opening) = opening.take() {
                opening.accept().await;
            }
            true
        }
        Message::Refused(reason) => {
            tracing::debug!(%reason, "a channel was refused");
            if let Some(opening) = opening.take() {
                let why = ChannelOpenFailure::AdministrativelyProhibited;
                opening.reject_because(why, reason.to_string()).await;
            }
            true
        }
        Message::Success => handle.channel_success(id).await.is_ok(),
        Message::Failure => handle.channel_failure(id).await.is_ok(),
        Message::Data(data) => write.data_bytes(data).await.is_ok(),
        Message::ExtendedData(stream, data) => write.extended_data_bytes(stream, data).await.is_ok(),
        Message::ExitStatus(status) => handle.exit_status_request(id, status).await.is_ok(),
        Message::ExitSignal { signal, core_dumped, message } => {
            let signal = Sig::from_name(&signal);
            let (message, language) = (message.to_string(), String::new());
            handle.exit_signal_request(id, signal, core_dumped, message, language).await.is_ok()
        }
        Message::Eof => write.eof().await.is_ok(),
        // Nobody sends these to a client.
        Message::Open(_) | Message::Request { .. } => true,
    }
}

async fn to_target(write: &ChannelWriteHalf<client::Msg>, message: Message) -> bool {
    let Message::Request { request, want_reply } = message else {
        return match message {
            Message::Data(data) => write.data_bytes(data).await.is_ok(),
            Message::ExtendedData(stream, data) => write.extended_data_bytes(stream, data).await.is_ok(),
            Message::Eof => write.eof().await.is_ok(),
            // Nobody sends anything else to a target.
            _ => true,
        };
    };
    let sent = match request {
        Request::Pty { terminal, size, modes } => {
            let modes = words::modes(&modes);
            write
                .request_pty(
                    want_reply,
                    &terminal,
                    size.columns,
                    size.rows,
                    size.width,
                    size.height,
                    &modes,
                )
                .await
        }
        Request::Env { name, value } => write.set_env(want_reply, &*name, &*value).await,
        Request::Exec(text) => write.exec(want_reply, text).await,
        Request::Shell => write.request_shell(want_reply).await,
        Request::Subsystem(name) => write.request_subsystem(want_reply, &*name).await,
        Request::WindowChange(size) => {
            write.window_change(size.columns, size.rows, size.width, size.height).await
        }
        Request::AgentForwarding => write.agent_forward(want_reply).await,
        Request::X11 { single_connection, protocol, cookie, screen } => {
            write.request_x11(want_reply, single_connection, &*protocol, &*cookie, screen).await
        }
        // The first is not written here, and nobody sends the other.
        Request::Signal(_) | Request::Other(_) => Ok(()),
    };
    sent.is_ok()
}
