//! A client's connection: one exchange after the other, or, in HTTP/2, beside each other.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use gatewright_http::{
    exchange::{Exchange, Seed, Shared},
    inject::forwarded_for,
    request::Scheme,
};
use hyper::{
    Request, Response,
    body::Incoming,
    header::HeaderValue,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    sync::oneshot,
    time::{Interval, Sleep, sleep},
};

use super::{
    ClientSide, MOST_BUFFERED, Messages, Pool,
    body::{Cut, Outgoing},
    heads::Heads,
    line::Line,
    patience::Patient,
    running::Running,
    seldom::Seldom,
};
use crate::{
    client_sessions::ClientSessions,
    driver::{Driver, without_budget},
    metrics::ConnectionGuard,
    shutdown::DrainGuard,
    tls::ALPN_HTTP_2,
    transport::Connection,
    workers::Place,
};

/// A client that was accepted, and is over TLS by now where it wanted that.
pub struct Client {
    /// Its connection.
    pub connection: Connection,
    /// The application protocol that TLS agreed on.
    pub alpn: Option<Arc<[u8]>>,
    /// What it proves, and the sessions that it has.
    pub sessions: Arc<ClientSessions>,
    /// Counts the connection among those that are open.
    pub counted: ConnectionGuard,
    /// Its place among the connections of a worker.
    pub place: Place,
}

/// What all exchanges of one connection begin with.
struct Site {
    sessions: Arc<ClientSessions>,
    /// The client's address, for targets.
    client: HeaderValue,
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    line: Arc<Line>,
    scheme: Scheme,
    guard: DrainGuard,
}

/// Serves a connection. HTTP/2 is spoken where TLS has agreed on it, and nowhere else: neither a client that begins with
/// it in the clear nor one that asks for it with `Upgrade` gets it (threats A66).
pub async fn serve(shared: Arc<Shared>, pool: Arc<Pool>, client: Client, guard: DrainGuard) {
    let Client { connection, alpn, sessions, counted, place } = client;
    let scheme = if connection.is_secure() { Scheme::Https } else { Scheme::Http };
    let line = Arc::new(Line::new(counted, Some(place)));
    let door = sessions.door();
    let rest = door.listener.login_timeout;
    let stall = door.listener.stall_timeout;
    let site = Arc::new(Site {
        client: forwarded_for(sessions.client()),
        sessions: Arc::clone(&sessions),
        shared,
        pool,
        line: Arc::clone(&line),
        scheme,
        guard: guard.clone(),
    });
    let service = service_fn(move |request| Arc::clone(&site).exchange(request));
    let farewell = connection.farewell();
    // For as long as the client may lose something, the process does not end.
    let ending = guard.clone();
    let stream = Patient::new(connection.into_stream(), stall);
    let served = if alpn.as_deref() == Some(ALPN_HTTP_2) {
        let connection = http2().serve_connection(TokioIo::new(stream), service);
        conduct(connection, http2::Connection::graceful_shutdown, &line, &sessions, guard, rest).await
    } else {
        let io = TokioIo::new(stream.with_heads(Heads::new(Arc::clone(&line))));
        let connection = http1(rest).serve_connection(io, service).with_upgrades();
        let end = http1::UpgradeableConnection::graceful_shutdown;
        conduct(connection, end, &line, &sessions, guard, rest).await
    };
    // Where protocols were switched, the last exchange goes on.
    sessions.rest();
    farewell.say(FAREWELL).await;
    drop(ending);
    if let Err(error) = served {
        tracing::debug!(%error, client = %sessions.client(), "an HTTP connection ended early");
        if error.is_parse() {
            door.metrics.refuse("http.framing");
        }
    }
}

/// A body is taken in piece by piece; this bounds the head, and how long it may take.
fn http1(limit: Duration) -> http1::Builder {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limit).max_buf_size(MOST_BUFFERED);
    server
}

/// What one connection may ask for at once (threats A76). The limits on resets are h2's own: 20 streams that were reset
/// before they were served, 1024 that the gateway had to reset; then the connection is ended.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MOST_HEADERS)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(16 << 10)
        .max_send_buf_size(MOST_BUFFERED)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    server
}

/// Streams of one connection at a time.
const STREAMS: u32 = 100;

/// Bytes of all headers of a request, as HTTP/2 counts them (32 more for each). What is allowed is decided by
/// [`gatewright_http::headers`], which answers; beyond this, nothing is kept.
const MOST_HEADERS: u32 = 64 << 10;

/// Bytes of a stream's body that may be on their way.
const STREAM_WINDOW: u32 = 256 << 10;

/// How long a client may take to close its side, when the gateway has said all.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes of all bodies of a connection that may be on their way.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// How often a client is asked whether it is there (fault F4).
const PING: Duration = Duration::from_secs(30);

/// How long it may take to say so.
const PONG: Duration = Duration::from_secs(20);

/// How often exchanges are polled that wait for their target or for a reviewer: what nobody wakes them for (the end of a
/// time, of a session, of the process) is heard of so much later at most.
const LOOK: Duration = Duration::from_millis(500);

/// Sees a connection to its end: drains it, ends it where it rests for too long, cuts it where its client does not take
/// what it was sent.
async fn conduct<C>(
    connection: C,
    end: impl Fn(Pin<&mut C>),
    line: &Line,
    sessions: &ClientSessions,
    guard: DrainGuard,
    rest: Duration,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut around = Around {
        drained: Box::pin(guard.clone().drained()),
        ended: Box::pin(guard.ended()),
        rest: tokio::time::interval_at((Instant::now() + rest).into(), rest),
        ending: false,
        over: false,
    };
    let mut look = Look::default();
    let mut exchanges = line.exchanges();
    loop {
        let event = {
            let mut event = Seldom::new(Box::pin(around.event(line)));
            let event = poll_fn(|context| {
                if let Poll::Ready(served) = connection.as_mut().poll(context) {
                    return Poll::Ready(Event::Served(served));
                }
                // A target that sends without an end leaves no budget for anything else.
                without_budget(context, |context| {
                    look.poll(context, line);
                    event.poll(context)
                })
            });
            event.await
        };
        match event {
            Event::Served(served) => return served,
            Event::Cut => return Ok(()),
            Event::Drained => {
                end(connection.as_mut());
                line.look();
            }
            Event::Ended => line.look(),
            Event::Rest => {
                // What is refused before anybody was asked who it is keeps no connection open.
                let quiet = line.exchanges() == exchanges || !sessions.has_proved();
                exchanges = line.exchanges();
                if quiet {
                    // Something may go on for hours, and be judged again when the policies change, or never.
                    sessions.rest();
                }
                if quiet && line.is_idle() {
                    if std::mem::replace(&mut around.ending, true) {
                        // It was told, and does not go.
                        return Ok(());
                    }
                    end(connection.as_mut());
                }
            }
        }
    }
}

/// What a connection hears of beside what is said on it.
enum Event {
    /// It is over.
    Served(hyper::Result<()>),
    /// It is to be cut.
    Cut,
    /// Sessions are to end at their next quiet point.
    Drained,
    /// They are to end at once.
    Ended,
    /// The time has come to see whether it rests.
    Rest,
}

struct Around {
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    rest: Interval,
    /// Its end was asked for.
    ending: bool,
    /// It was to end at once.
    over: bool,
}

impl Around {
    async fn event(&mut self, line: &Line) -> Event {
        tokio::select! {
            biased;
            () = line.cut() => Event::Cut,
            () = &mut self.drained, if !self.ending => {
                self.ending = true;
                Event::Drained
            }
            () = &mut self.ended, if !self.over => {
                self.over = true;
                Event::Ended
            }
            _ = self.rest.tick() => Event::Rest,
        }
    }
}

/// Polls the exchanges of a connection once in a while, for as long as there are any.
#[derive(Default)]
struct Look {
    timer: Option<Seldom<Pin<Box<Sleep>>>>,
    is_set: bool,
}

impl Look {
    fn poll(&mut self, context: &mut Context<'_>, line: &Line) {
        if !self.is_set {
            if line.is_idle() {
                return;
            }
            self.is_set = true;
            match &mut self.timer {
                Some(timer) => timer.change().as_mut().reset((Instant::now() + LOOK).into()),
                None => self.timer = Some(Seldom::new(Box::pin(sleep(LOOK)))),
            }
        }
        if let Some(timer) = &mut self.timer
            && timer.poll(context).is_ready()
        {
            self.is_set = false;
            line.look();
            // The connection is polled before this, and its exchanges are to see it.
            context.waker().wake_by_ref();
        }
    }
}

impl Site {
    /// Runs one exchange, and gives its answer as soon as there is a head. The rest comes while it is sent.
    async fn exchange(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Outgoing>, Cut> {
        let (answer, answered) = oneshot::channel();
        let seed = Seed {
            session: self.sessions.id(),
            events: Arc::clone(self.sessions.events()),
            client: self.client.clone(),
            scheme: self.scheme,
        };
        let session = Box::new(Exchange::new(Arc::clone(&self.shared), seed));
        let stall = self.sessions.door().listener.stall_timeout;
        let side = ClientSide::new(request, answer, Line::begin(&self.line), stall);
        let wire = Messages { pool: Arc::clone(&self.pool) };
        let driver = Driver::new(wire, Arc::clone(&self.sessions), session, side);
        let running = Running::new(Box::pin(driver.run(None, self.guard.clone())));
        running.until(answered).await.map_err(|_| Cut)
    }
}
