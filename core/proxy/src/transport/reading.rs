//! Room to read into, as large as the traffic asks for.
//!
//! What is read is handed on as slices of the buffer it was read into. When they are all gone the buffer
//! is used again, so a session of small messages reads without allocating. An idle session keeps
//! [`SMALL`] bytes; one that streams grows to [`LARGE`], which is few enough system calls.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

#[derive(Debug)]
pub(crate) struct ReadBuffer {
    buffer: BytesMut,
    /// Bytes to have room for before each read.
    room: usize,
    /// Reads in a row that would have fitted the next smaller room.
    small_reads: u8,
}

/// Room of an idle session, in bytes.
const SMALL: usize = 4 << 10;

/// Most room, in bytes.
const LARGE: usize = 64 << 10;

/// Small reads after which the room shrinks.
const PATIENCE: u8 = 16;

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), room: SMALL, small_reads: 0 }
    }
}

impl ReadBuffer {
    pub(crate) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        if self.buffer.capacity() < self.room / 2 {
            self.buffer.reserve(self.room);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let count = ready!(poll_read_buf(Pin::new(stream), context, &mut self.buffer))?;
        if count == 0 {
            return Poll::Ready(Ok(None));
        }
        let read = self.buffer.split().freeze();
        self.adapt(count, room);
        Poll::Ready(Ok(Some(read)))
    }

    /// Chooses the room for later reads. The buffer holds nothing now: what was read is handed on.
    fn adapt(&mut self, count: usize, room: usize) {
        if count == room {
            self.room = (self.room * 4).min(LARGE);
            self.small_reads = 0;
        } else if self.room > SMALL && count < self.room / 4 {
            self.small_reads += 1;
            if self.small_reads == PATIENCE {
                self.room = SMALL;
                self.small_reads = 0;
                self.buffer = BytesMut::new();
            }
        } else {
            self.small_reads = 0;
        }
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
            assert_eq!(reading.room, SMALL, "forty small reads in a row");
        }
    }
}
