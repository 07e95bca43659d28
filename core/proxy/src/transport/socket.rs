//! A TCP socket whose short writes leave at the end of a [turn].

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::AbortHandle,
    time::timeout,
};

use super::turn;

/// A socket.
pub struct Socket {
    reading: OwnedReadHalf,
    outbox: Arc<Outbox>,
}

/// The writing half of a socket, and what was written and has not left.
pub(super) struct Outbox {
    stream: OwnedWriteHalf,
    /// Does nothing leave before the records of the turn are written?
    after_records: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// At most [`MOST_WAITING`].
    bytes: Vec<u8>,
    sender: Sender,
    /// The peer takes nothing any more, which whoever writes next is told.
    failed: Option<io::Error>,
    /// Who waits until everything has left.
    waker: Option<Waker>,
    /// Nobody reads or writes it any more.
    is_over: bool,
}

/// Who sends what waits.
#[derive(Default)]
enum Sender {
    /// Nobody has to.
    #[default]
    Nobody,
    /// The end of the turn.
    Turn,
    /// A task, because the peer did not take all of it at once. It ends with its socket.
    Task(AbortHandle),
}

/// What would be more than this is written at once, in bytes: then a copy would cost more than it saves.
const MOST_WAITING: usize = 16 << 10;

impl Socket {
    /// A socket.
    pub fn new(stream: TcpStream) -> Self {
        let (reading, stream) = stream.into_split();
        let (after_records, waiting) = (AtomicBool::new(false), Mutex::default());
        Self { reading, outbox: Arc::new(Outbox { stream, after_records, waiting }) }
    }

    /// From now on nothing leaves before the [records](turn::write_first) of the turn are written.
    pub(super) fn send_after_records(&self) {
        self.outbox.after_records.store(true, Ordering::Relaxed);
    }

    /// For the end of the connection, whoever has the socket by then.
    pub fn farewell(&self) -> Farewell {
        Farewell(Arc::clone(&self.outbox))
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        self.outbox.stream.as_ref()
    }
}

impl Drop for Socket {
    /// What the end of a turn can not send at once is sent by nobody then.
    fn drop(&mut self) {
        let mut waiting = self.outbox.waiting.lock();
        waiting.is_over = true;
        if let Sender::Task(task) = &waiting.sender {
            task.abort();
            waiting.bytes = Vec::new();
            waiting.sender = Sender::Nobody;
        }
    }
}

/// The end of a connection, when all was said. A socket that is closed while its peer still sends is reset, and what the peer had
/// not read by then is lost to it: so nothing more is said, and what comes is thrown away until the peer has closed its side.
pub struct Farewell(Arc<Outbox>);

impl Farewell {
    /// Waits for the peer's end, for as long as `limit`. Where somebody else goes on with the connection, it does nothing.
    pub async fn say(self, limit: Duration) {
        if !self.0.waiting.lock().is_over {
            return;
        }
        let stream = self.0.stream.as_ref();
        let _ = timeout(limit, async {
            // What was written in this turn leaves before the end does.
            let left = poll_fn(|context| self.0.poll_empty(&mut self.0.waiting.lock(), context)).await;
            if left.is_err() || SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
                return;
            }
            let mut thrown_away = [0; 4096];
            while stream.readable().await.is_ok() {
                match stream.try_read(&mut thrown_away) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        })
        .await;
    }
}

impl Outbox {
    /// Ends the turn: sends what waits, as far as the peer takes it; a task sends the rest. Gives back the buffer, where it is
    /// not needed any more. What may leave only after the records of the turn does not where these were not `written`.
    pub(super) fn send(self: Arc<Self>, written: bool) -> Option<Vec<u8>> {
        let mut waiting = self.waiting.lock();
        if !matches!(waiting.sender, Sender::Turn) {
            return None;
        }
        waiting.sender = Sender::Nobody;
        if !written && self.is_after_records() {
            waiting.fail(unrecorded());
            // Whoever waits for the peer's answer is told at once that there is none.
            let _ = SockRef::from(self.stream.as_ref()).shutdown(Shutdown::Both);
            return None;
        }
        match self.try_send(&mut waiting) {
            Ok(true) => Some(std::mem::take(&mut waiting.bytes)),
            Ok(false) if waiting.is_over => None,
            Ok(false) => {
                let task = tokio::spawn(Arc::clone(&self).send_rest());
                waiting.sender = Sender::Task(task.abort_handle());
                None
            }
            Err(error) => {
                waiting.fail(error);
                None
            }
        }
    }

    fn is_after_records(&self) -> bool {
        self.after_records.load(Ordering::Relaxed)
    }

    async fn send_rest(self: Arc<Self>) {
        loop {
            let writable = self.stream.writable().await;
            let mut waiting = self.waiting.lock();
            match writable.and_then(|()| self.try_send(&mut waiting)) {
                Ok(true) => {
                    waiting.bytes = Vec::new();
                    waiting.sender = Sender::Nobody;
                    if let Some(waker) = waiting.waker.take() {
                        waker.wake();
                    }
                    return;
                }
                Ok(false) => {}
                Err(error) => return waiting.fail(error),
            }
        }
    }

    /// Sends what waits. Is nothing left?
    fn try_send(&self, waiting: &mut Waiting) -> io::Result<bool> {
        while !waiting.bytes.is_empty() {
            match self.stream.try_write(&waiting.bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) if count == waiting.bytes.len() => waiting.bytes.clear(),
                Ok(count) => drop(waiting.bytes.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Ready when nothing waits but what leaves with the turn.
    fn poll_room(&self, waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = waiting.failed.take() {
            return Poll::Ready(Err(error));
        }
        if let Sender::Task(_) = waiting.sender {
            waiting.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when nothing waits. What does is sent now.
    fn poll_empty(&self, waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_room(waiting, context))?;
        if self.is_after_records() && turn::write_records().is_err() {
            return Poll::Ready(Err(unrecorded()));
        }
        while !self.try_send(waiting)? {
            ready!(self.stream.as_ref().poll_write_ready(context))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_now(&self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.as_ref().poll_write_ready(context))?;
            match self.stream.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Waiting {
    /// Does this leave at the end of the turn?
    fn take(&mut self, outbox: &Arc<Outbox>, parts: &[IoSlice<'_>], size: usize) -> bool {
        if self.bytes.len() + size > MOST_WAITING {
            return false;
        }
        if matches!(self.sender, Sender::Nobody) {
            if !turn::enlist(outbox) {
                return false;
            }
            self.sender = Sender::Turn;
            self.bytes = turn::buffer();
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        true
    }

    fn fail(&mut self, error: io::Error) {
        self.bytes = Vec::new();
        self.sender = Sender::Nobody;
        self.failed = Some(error);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn unrecorded() -> io::Error {
    io::Error::other("its record can not be written")
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().reading).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outbox = &self.get_mut().outbox;
        let mut waiting = outbox.waiting.lock();
        ready!(outbox.poll_room(&mut waiting, context))?;
        let size = parts.iter().map(|part| part.len()).sum();
        if waiting.take(outbox, parts, size) {
            return Poll::Ready(Ok(size));
        }
        ready!(outbox.poll_empty(&mut waiting, context))?;
        outbox.poll_write_now(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What leaves with the turn is as good as gone. What its peer did not take then is waited for.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outbox = &self.get_mut().outbox;
        outbox.poll_room(&mut outbox.waiting.lock(), context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outbox = &self.get_mut().outbox;
        ready!(outbox.poll_empty(&mut outbox.waiting.lock(), context))?;
        let shut = SockRef::from(outbox.stream.as_ref()).shutdown(Shutdown::Write);
        Poll::Ready(match shut {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            shut => shut,
        })
    }
}
