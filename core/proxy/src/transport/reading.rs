//! Room to read into, as large as the traffic asks for.
//!
//! Small messages are read onto the stack, and copied: a session of them keeps nothing, however many sessions
//! there are. One that streams gets a buffer, and what it reads is handed on as slices of that buffer; when they are
//! all gone, the buffer is used again. It grows to [`LARGE`] bytes, which is few enough system calls.
//!
//! Not chosen: a small buffer for each session. It saved a copy of some hundred bytes, and eight KiB for both sides are a quarter of
//! what an idle session takes.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    buffer: BytesMut,
    /// What it has room for before each read, in bytes. 0: what comes is read onto the stack.
    room: usize,
    /// Reads in a row for which the stack would have done.
    small_reads: u8,
}

/// Room on the stack, in bytes.
const SMALL: usize = 4 << 10;

/// Most room, in bytes.
const LARGE: usize = 64 << 10;

/// Small reads after which a session streams no more.
const PATIENCE: u8 = 16;

impl ReadBuffer {
    pub(crate) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        if self.room == 0 {
            let mut room = [MaybeUninit::uninit(); SMALL];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(stream).poll_read(context, &mut read))?;
            let read = Bytes::copy_from_slice(read.filled());
            return Poll::Ready(Ok(self.adapted(read, SMALL)));
        }
        if self.buffer.capacity() < self.room / 2 {
            self.buffer.reserve(self.room);
        }
        let room = self.buffer.capacity();
        ready!(poll_read_buf(Pin::new(stream), context, &mut self.buffer))?;
        let read = self.buffer.split().freeze();
        Poll::Ready(Ok(self.adapted(read, room)))
    }

    /// Nothing is expected for a while: gives its memory back.
    pub(crate) fn rest(&mut self) {
        *self = Self::default();
    }

    /// What was read where there was `room`, after the room for later reads was chosen. None: there was nothing.
    fn adapted(&mut self, read: Bytes, room: usize) -> Option<Bytes> {
        if read.len() == room {
            self.room = (room * 4).min(LARGE);
            self.small_reads = 0;
        } else if self.room > 0 && read.len() < SMALL {
            self.small_reads += 1;
            if self.small_reads == PATIENCE {
                self.rest();
            }
        } else {
            self.small_reads = 0;
        }
        (!read.is_empty()).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::transport::{Socket, Stream};

    #[tokio::test]
    async fn nothing_is_lost_while_the_room_grows_and_shrinks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Stream::Plain(Socket::new(listener.accept().await.unwrap().0));
        let mut reading = ReadBuffer::default();
        for round in 0..3 {
            let sizes = [200_000].into_iter().chain(std::iter::repeat_n(5, 40));
            for size in sizes {
                let sent = vec![round; size];
                let mut received = Vec::new();
                let write = peer.write_all(&sent);
                let read = async {
                    while received.len() < sent.len() {
                        let read = std::future::poll_fn(|context| reading.poll_read(&mut stream, context));
                        received.extend_from_slice(&read.await.unwrap().unwrap());
                    }
                };
                let (written, ()) = tokio::join!(write, read);
                written.unwrap();
                assert!(received == sent, "{size} bytes in round {round}");
            }
            assert!(reading.room == 0, "forty small reads in a row");
            if round == 1 {
                // In the middle of a stream.
                peer.write_all(&[9; SMALL]).await.unwrap();
                let mut left = SMALL;
                while left > 0 {
                    let read = std::future::poll_fn(|context| reading.poll_read(&mut stream, context));
                    left -= read.await.unwrap().unwrap().len();
                }
                reading.rest();
                assert_eq!(reading.buffer.capacity(), 0);
            }
        }
    }
}
