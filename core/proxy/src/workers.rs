//! The threads that serve clients.
//!
//! A connection stays on the thread that it was given to, with everything that is done for it: nothing is handed from one
//! thread to another while it goes on, and what a thread has written leaves together ([turns](crate::transport)). So nothing
//! on these threads may take long. What may is done elsewhere: modules give way every millisecond, long texts are parsed and
//! disks are synced on other threads.
//!
//! Not chosen: one runtime that hands tasks to whichever thread is free. For short requests, waking the other thread cost
//! more than what it took over, and its order of tasks leaves no moment at which everything that is ready was done.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::transport;

/// The threads that serve clients. Their drop ends them, and everything that runs on them.
pub struct Workers {
    workers: Vec<Worker>,
}

struct Worker {
    runtime: Handle,
    open: Arc<AtomicUsize>,
    /// Its drop tells the thread to end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A place on a worker. It is taken until this is dropped.
#[derive(Debug)]
pub struct Place {
    open: Arc<AtomicUsize>,
    /// Which worker, from 0.
    pub worker: usize,
    /// Where its tasks run.
    pub runtime: Handle,
}

impl Workers {
    /// Starts `count` threads with stacks of `stack` bytes.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread, or none of what a runtime needs.
    pub fn start(count: NonZeroUsize, stack: usize) -> io::Result<Self> {
        let workers =
            (0..count.get()).map(|number| Worker::start(number, stack)).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// How many places are taken.
    pub fn open(&self) -> usize {
        self.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum()
    }

    /// A place on the one that has the fewest connections. None: there is no worker.
    pub fn place(&self) -> Option<Place> {
        let fewest =
            self.workers.iter().enumerate().min_by_key(|(_, worker)| worker.open.load(Ordering::Relaxed));
        fewest.map(|(number, worker)| {
            worker.open.fetch_add(1, Ordering::Relaxed);
            Place { open: Arc::clone(&worker.open), worker: number, runtime: worker.runtime.clone() }
        })
    }
}

impl Worker {
    fn start(number: usize, stack: usize) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, when_started) = mpsc::sync_channel(1);
        let serve = move || {
            // Here, and not where the thread is started from: a runtime can not be dropped inside of another one.
            let runtime = Builder::new_current_thread().enable_all().thread_stack_size(stack).build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let _ = started.send(Ok(runtime.handle().clone()));
            runtime.block_on(async {
                tokio::spawn(transport::end_turns());
                // An error: nobody is left who could have said so.
                let _ = stopped.await;
            });
            // What hangs in a thread of its own (a disk) is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).stack_size(stack);
        let thread = thread.spawn(serve)?;
        let runtime = when_started.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, open: Arc::default(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a worker has panicked");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::transport::Socket;

    const STACK: usize = 1 << 20;

    #[test]
    fn connections_go_where_there_are_fewest() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap(), STACK).unwrap();
        let mut places: Vec<Place> = (0..4).map(|_| workers.place().unwrap()).collect();
        assert_eq!(places.iter().map(|place| place.worker).collect::<Vec<_>>(), [0, 1, 0, 1]);
        places.retain(|place| place.worker == 0);
        assert_eq!(workers.place().unwrap().worker, 1);
    }

    #[test]
    fn what_a_worker_does_ends_with_it() {
        let workers = Workers::start(NonZeroUsize::MIN, STACK).unwrap();
        let (held, ended) = oneshot::channel::<()>();
        workers.place().unwrap().runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(workers);
        assert!(ended.blocking_recv().is_err());
    }

    /// Runs `test` on a worker, with both ends of a connection: the socket is the one that has turns.
    fn on_a_worker<T, F>(test: impl FnOnce(Socket, TcpStream) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let workers = Workers::start(NonZeroUsize::MIN, STACK).unwrap();
        let place = workers.place().unwrap();
        let (done, when_done) = oneshot::channel();
        place.runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let socket = Socket::new(listener.accept().await.unwrap().0);
            let _ = done.send(test(socket, peer).await);
        });
        when_done.blocking_recv().unwrap()
    }

    #[test]
    fn what_is_written_in_a_turn_leaves_at_its_end_and_in_its_order() {
        let read = on_a_worker(|mut socket, mut peer| async move {
            for part in ["short ", "pieces ", "and "] {
                socket.write_all(part.as_bytes()).await.unwrap();
                socket.flush().await.unwrap();
            }
            // Nothing has left: this task has not given way yet.
            let early = peer.try_read(&mut [0; 100]).map_err(|error| error.kind());
            assert_eq!(early, Err(io::ErrorKind::WouldBlock));
            let long = vec![b'x'; 100_000];
            socket.write_all(&long).await.unwrap();
            socket.write_all(b" the end").await.unwrap();
            drop(socket);
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.unwrap();
            read
        });
        assert_eq!(&read[..17], b"short pieces and ");
        assert_eq!(read.len(), 17 + 100_000 + 8);
        assert!(read.ends_with(b"x the end"));
    }

    #[test]
    fn f020_a_peer_that_takes_nothing_is_waited_for_with_a_bound_and_loses_nothing_if_it_goes_on() {
        let (kept, read) = on_a_worker(|mut socket, mut peer| async move {
            // Until the peer's buffers are full, and what may wait here is there.
            let mut kept = 0_usize;
            let piece = [7; 1_000];
            loop {
                let written = std::future::poll_fn(|context| {
                    let socket = std::pin::Pin::new(&mut socket);
                    std::task::Poll::Ready(tokio::io::AsyncWrite::poll_write(socket, context, &piece))
                });
                match written.await {
                    std::task::Poll::Ready(written) => kept += written.unwrap(),
                    std::task::Poll::Pending => break,
                }
                tokio::task::yield_now().await;
            }
            let flushing = tokio::spawn(async move {
                socket.flush().await.unwrap();
                socket.shutdown().await.unwrap();
            });
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.unwrap();
            flushing.await.unwrap();
            (kept, read)
        });
        assert_eq!(kept, read.len());
        assert!(read.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn a_socket_that_is_dropped_with_much_to_send_is_closed() {
        let read = on_a_worker(|mut socket, mut peer| async move {
            let piece = [7; 1_000];
            loop {
                let write =
                    tokio::time::timeout(std::time::Duration::from_millis(50), socket.write_all(&piece));
                if write.await.is_err() {
                    break;
                }
            }
            drop(socket);
            // Ends, though not everything was sent.
            let mut read = Vec::new();
            let _ = peer.read_to_end(&mut read).await;
            read.len()
        });
        assert!(read > 0);
    }
}
