//! Limits on connections: how many an address may have open, and how long a client may take for each step.
//!
//! actix times out only a client that never starts its first request. It waits without limit for the rest of
//! a later request, for a body, and for a client that does not read its answers, and meanwhile it buffers up to
//! 128 KiB of pipelined requests. This module gives each step a time limit:
//!
//! - A connection is idle for at most `--keep-alive`, or `--proxy-keep-alive` if a trusted proxy opened it.
//! - A request's head arrives within `--head-timeout`.
//! - The body arrives within `--body-timeout` ([`buffer_body`]).
//! - The client reads some of the answer within each `--write-timeout`.
//!
//! actix gets no byte of a pipelined request before the current answer is made, because it keeps the method of the
//! request that it parsed last, and would encode the answer to an earlier GET as that of a later HEAD. Other
//! connections have their turn before the next request of a connection is answered.
//!
//! A client that hangs up ends its poll ([`end_on_hang_up`]).
//!
//! A server that stops says in each answer that it is the connection's last ([`Connections::drain`]), and then ends the
//! connections on which no request has begun. actix's own way to drain them would also drop requests that have arrived.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_http::{ConnectionType, Extensions, Payload};
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::uri::Authority;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Instant, Sleep, sleep, sleep_until, timeout};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpMessage, HttpRequest};
use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::config::{Config, Switch, Timeouts};
use crate::domain::ClientAddress;
use crate::metrics::{Counter, Exposition, Kind};
use crate::web::body_limits;
use crate::web::error::AppError;
use crate::web::session::Visitor;
use crate::web::state::state;

/// How many bytes are read before they are parsed: about one request.
const READ_CHUNK: usize = 1024;
/// The size of a socket's send buffer in bytes: more than most pages have. The system's default would accept
/// megabytes of answers for a client that never reads, and each answer has to be made first.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a stopping server waits for the first request of a connection, which the client may just have opened.
const FIRST_REQUEST: Duration = Duration::from_millis(100);
/// How many open files are kept for the database, the log and other uses than connections.
const RESERVED_FILES: u64 = 64;

/// The numbers of connections and of what became of them.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    opened: Counter,
    closed: Counter,
    refused: Counter,
    /// Clients that did not send the head of a request in time.
    late_heads: Counter,
    /// Clients that did not send the body of a request in time.
    late_bodies: Counter,
    /// Clients that did not read an answer in time.
    late_readers: Counter,
    /// Connections that were idle between requests for too long.
    idle: Counter,
}

impl ConnectionCounts {
    /// Counts a client whose first request's head did not arrive in time: actix ends that connection.
    pub fn count_late_head(&self) {
        self.late_heads.increment();
    }

    /// Writes the numbers for Prometheus.
    pub fn write(&self, text: &mut Exposition) {
        let closed = self.closed.get();
        let opened = self.opened.get();
        let name = "mirage_connections_open";
        text.single(
            name,
            Kind::Gauge,
            "Connections that are open.",
            opened.saturating_sub(closed),
        );
        let name = "mirage_connections_opened_total";
        text.single(name, Kind::Counter, "Connections opened.", opened);
        let name = "mirage_connections_refused_total";
        let help = "Connections refused because their address had too many.";
        text.single(name, Kind::Counter, help, self.refused.get());
        let name = "mirage_connections_timed_out_total";
        let help = "Connections ended because the client took too long for a step of a request.";
        text.metric(name, Kind::Counter, help);
        for (step, counter) in [
            ("head", &self.late_heads),
            ("body", &self.late_bodies),
            ("write", &self.late_readers),
            ("idle", &self.idle),
        ] {
            text.sample(name, &[("step", step)], counter.get());
        }
    }
}

/// Counts the open connections by address.
pub struct Connections {
    /// `None`: unlimited.
    max_per_address: Option<usize>,
    trusted: Vec<IpNet>,
    timeouts: Timeouts,
    open: Mutex<HashMap<ClientAddress, usize>>,
    counts: Arc<ConnectionCounts>,
    is_draining: AtomicBool,
    /// Cancelled when connections without a request are to end.
    stopping: CancellationToken,
}

impl Connections {
    /// Creates the counter, without connections, with the limits of `config`. Once `stopping` is cancelled, connections
    /// on which no request has begun end.
    #[must_use]
    pub fn new(config: &Config, stopping: CancellationToken) -> Self {
        Self {
            max_per_address: (config.limits == Switch::On)
                .then_some(config.connections_per_address),
            trusted: config.trusted_proxies.clone(),
            timeouts: config.timeouts,
            open: Mutex::default(),
            counts: Arc::default(),
            is_draining: AtomicBool::new(false),
            stopping,
        }
    }

    /// Makes each answer from now on the last one of its connection, and says so to the client, which sends its next
    /// request elsewhere.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Returns the numbers of connections.
    #[must_use]
    pub fn counts(&self) -> &Arc<ConnectionCounts> {
        &self.counts
    }

    /// Opens a connection over `stream`. Returns the connection and the peer's address.
    ///
    /// # Errors
    /// When the peer's address has the maximum number of connections already, or the client has hung up.
    pub fn open(self: &Arc<Self>, stream: TcpStream) -> io::Result<(Connection, SocketAddr)> {
        let peer = stream.peer_addr()?;
        let permit = self.permit_for(peer).ok_or(ErrorKind::QuotaExceeded)?;
        let is_trusted = ClientAddress::of_connection(peer.ip(), &self.trusted).is_none();
        // Nagle's algorithm would delay the end of a compressed page until its beginning is acknowledged: 40 ms.
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
        // Limits how long the system keeps sending its buffer after the connection is closed.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(
            &stream,
            u32::try_from(self.timeouts.write_timeout.as_millis()).unwrap_or(u32::MAX),
        )?;
        let connection = Connection {
            stream: stream.take(0),
            chunk_left: READ_CHUNK,
            held: Vec::new(),
            is_at_line_start: false,
            is_paused: false,
            exchange: Rc::new(Exchange::on(Arc::clone(self))),
            keep_alive: if is_trusted {
                self.timeouts.proxy_keep_alive
            } else {
                self.timeouts.keep_alive
            },
            timeouts: self.timeouts,
            has_written: false,
            has_head_begun: false,
            idle: Timer::default(),
            blocked: None,
            stopping: Box::pin(self.stopping.clone().cancelled_owned()),
            woken_when_stopping: None,
            last_chance: Timer::default(),
            permit,
        };
        Ok((connection, peer))
    }

    fn permit_for(self: &Arc<Self>, peer: SocketAddr) -> Option<ConnectionPermit> {
        let client = ClientAddress::of_connection(peer.ip(), &self.trusted);
        let counted = client.zip(self.max_per_address);
        if let Some((address, max)) = counted {
            let mut open = self.lock_open();
            let count = open.entry(address).or_default();
            if *count >= max {
                self.counts.refused.increment();
                return None;
            }
            *count += 1;
        }
        self.counts.opened.increment();
        Some(ConnectionPermit {
            connections: Arc::clone(self),
            address: counted.map(|(address, _)| address),
        })
    }

    fn lock_open(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection from an address. Releases its share of the limit when dropped.
struct ConnectionPermit {
    connections: Arc<Connections>,
    /// `None` if the connection is not counted.
    address: Option<ClientAddress>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.counts.closed.increment();
        let Some(address) = self.address else {
            return;
        };
        let mut open = self.connections.lock_open();
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

/// Raises the limit on open files to the most the system allows: each connection is an open file. A process starts
/// with 1,024 only for the sake of programs that use `select`, which can handle no more.
pub fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the open file limit: the number of connections stays low");
    }
}

/// Returns how many connections this process can have open, or `None` if there is no limit.
#[must_use]
pub fn max_connections() -> Option<usize> {
    let files = getrlimit(Resource::Nofile).current?;
    usize::try_from(files.saturating_sub(RESERVED_FILES)).ok()
}

/// The current use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waiting for the head of a request.
    Waiting,
    /// Receiving the body of a request.
    Receiving,
    /// Making or writing the answer to a request.
    Answering,
}

/// The state that a connection and the request on it share.
struct Exchange {
    stage: Cell<Stage>,
    /// Whether a request was answered since the connection last had nothing to read.
    is_busy: Cell<bool>,
    /// How many bytes of the body are still to be received, if the request says how long its body is.
    body_left: Cell<Option<usize>>,
    /// Whether the connection ends when the client hangs up, even if the current request has no answer yet.
    ends_on_hang_up: Cell<bool>,
    /// The task to wake when the connection may be read again.
    reader: Cell<Option<Waker>>,
    /// A body that was not read to its end. Kept until the answer is written: if the body is dropped earlier, actix
    /// waits for its end, which may never come.
    unread_body: RefCell<Option<Body>>,
    /// All connections, among them this one.
    connections: Arc<Connections>,
    /// The memory of a large body. Kept until the answer is written, because the answer may give the text back.
    large_body: Cell<Option<OwnedSemaphorePermit>>,
}

type Body = Pin<Box<BodyStream<Payload>>>;

impl Exchange {
    fn on(connections: Arc<Connections>) -> Self {
        Self {
            stage: Cell::new(Stage::Waiting),
            is_busy: Cell::default(),
            body_left: Cell::default(),
            ends_on_hang_up: Cell::default(),
            reader: Cell::default(),
            unread_body: RefCell::default(),
            connections,
            large_body: Cell::default(),
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "listener.rs gives it to every connection"
    )]
    fn of(request: &HttpRequest) -> &Rc<Self> {
        request
            .conn_data()
            .expect("every connection has an exchange")
    }

    fn late_body(&self) {
        self.connections.counts.late_bodies.increment();
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A timer that every request starts anew, and that seldom ends.
///
/// The runtime's timer is left as it is when the end moves to a later time, and goes on when it ends too early.
#[derive(Default)]
struct Timer {
    /// When the timer ends, if it runs.
    end: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Waits until the timer ends. Starts it with this span if it does not run.
    fn poll(&mut self, span: Duration, context: &mut Context<'_>) -> Poll<()> {
        let end = *self.end.get_or_insert_with(|| Instant::now() + span);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if end < sleep.deadline() {
            sleep.as_mut().reset(end);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if end <= sleep.deadline() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(end);
        }
    }

    fn stop(&mut self) {
        self.end = None;
    }
}

/// A connection that limits how long the client may take for each step.
pub struct Connection {
    /// The stream, limited to the bytes of the current read.
    stream: Take<TcpStream>,
    /// How many more bytes are read before they are parsed.
    chunk_left: usize,
    /// Bytes that were received after the end of a request, at most [`READ_CHUNK`] of them.
    held: Vec<u8>,
    /// Whether no byte of the current line has arrived, except for carriage returns.
    is_at_line_start: bool,
    /// Whether actix is to parse what it has before it gets more, because that may be a whole request.
    is_paused: bool,
    exchange: Rc<Exchange>,
    /// How long the connection may be idle between requests.
    keep_alive: Duration,
    timeouts: Timeouts,
    /// Whether an answer was written, at least in part.
    has_written: bool,
    /// Whether a byte of the next request has arrived since the last write, if there was one.
    has_head_begun: bool,
    /// Runs since the last write, or since the first byte of a request after it.
    idle: Timer,
    /// Runs while the client reads nothing of the answer.
    blocked: Option<Pin<Box<Sleep>>>,
    /// Completes when the server stops.
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The task that `stopping` wakes.
    woken_when_stopping: Option<Waker>,
    /// Runs while the server has stopped and the first request has not begun.
    last_chance: Timer,
    permit: ConnectionPermit,
}

impl Connection {
    /// Makes the connection's exchange available to its requests.
    pub fn attach_exchange(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.exchange));
    }

    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let span = if !self.has_written {
            // actix times out the first request, and answers 408.
            self.timeouts.head_timeout * 2
        } else if self.has_head_begun {
            self.timeouts.head_timeout
        } else {
            self.keep_alive
        };
        self.idle.poll(span, context)
    }

    /// Waits until the server stops, which it does only after [`Connections::drain`].
    fn poll_stopping(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker();
        let woken = self.woken_when_stopping.as_ref();
        let is_woken = woken.is_some_and(|woken| woken.will_wake(waker));
        // Looking at the token takes locks that all workers share.
        if is_woken && !self.permit.connections.is_draining() {
            return Poll::Pending;
        }
        self.woken_when_stopping = Some(waker.clone());
        self.stopping.as_mut().poll(context)
    }

    fn poll_blocked(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let span = self.timeouts.write_timeout;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(span)));
        blocked.as_mut().poll(context)
    }
}

impl Connection {
    /// Returns whether bytes that arrive now belong to a later request.
    fn is_withheld(&self) -> bool {
        match self.exchange.stage.get() {
            Stage::Answering => true,
            Stage::Receiving => self.exchange.body_left.get() == Some(0),
            Stage::Waiting => self.blocked.is_some(),
        }
    }

    /// Receives bytes of a later request, and holds them. Returns whether there are any: `false` means that the
    /// client sends no more.
    fn poll_next_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.held.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut bytes = [0; READ_CHUNK];
        let mut bytes = ReadBuf::new(&mut bytes);
        ready!(Pin::new(self.stream.get_mut()).poll_read(context, &mut bytes))?;
        self.held.extend_from_slice(bytes.filled());
        Poll::Ready(Ok(!self.held.is_empty()))
    }

    /// Reads at most `limit` bytes, first those that are held. Returns how many.
    fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            let before = buffer.filled().len();
            self.stream
                .set_limit(u64::try_from(limit).unwrap_or(u64::MAX));
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            return Poll::Ready(Ok(buffer.filled().len() - before));
        }
        let count = limit.min(self.held.len());
        let rest = self.held.split_off(count);
        buffer.put_slice(&std::mem::replace(&mut self.held, rest));
        Poll::Ready(Ok(count))
    }

    /// Returns the end of the first empty line in `bytes`. Heads of requests and chunked bodies end in one (RFC
    /// 9112, sections 2.1 and 7.1).
    fn find_empty_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_empty = |line: &[u8]| line.iter().all(|byte| *byte == b'\r');
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            if self.is_at_line_start && is_empty(line) {
                self.is_at_line_start = false;
                return Some(start);
            }
            self.is_at_line_start = true;
        }
        self.is_at_line_start &= is_empty(bytes.get(start..).unwrap_or_default());
        None
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // At once, because actix may not read again before the server stops.
        let stopping = this.poll_stopping(context);
        if this.is_withheld() {
            this.is_paused = false;
            this.chunk_left = READ_CHUNK;
            this.exchange.reader.set(Some(context.waker().clone()));
            let has_hung_up = matches!(this.poll_next_request(context)?, Poll::Ready(false));
            if has_hung_up && this.exchange.ends_on_hang_up.get() {
                return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
            }
            // If the end of the stream were reported before the answer is made, actix would not tell the end of
            // the connection from that of the requests.
            return Poll::Pending;
        }
        if this.is_paused {
            this.is_paused = false;
            this.chunk_left = READ_CHUNK;
            if this.poll_next_request(context)?.is_ready() {
                context.waker().wake_by_ref();
            } else {
                this.exchange.is_busy.set(false);
            }
            return Poll::Pending;
        }
        let stage = this.exchange.stage.get();
        if stage == Stage::Waiting && this.poll_idle(context).is_ready() {
            let is_late_head = this.has_head_begun || !this.has_written;
            let counts = &this.permit.connections.counts;
            let counter = if is_late_head {
                &counts.late_heads
            } else {
                &counts.idle
            };
            counter.increment();
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        if this.chunk_left == 0 {
            this.chunk_left = READ_CHUNK;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let body_left = (stage == Stage::Receiving)
            .then(|| this.exchange.body_left.get())
            .flatten();
        let limit = this.chunk_left.min(body_left.unwrap_or(usize::MAX));
        let limit = limit.min(buffer.remaining());
        let before = buffer.filled().len();
        let Poll::Ready(count) = this.poll_bytes(context, buffer, limit)? else {
            this.chunk_left = READ_CHUNK;
            this.exchange.is_busy.set(false);
            if stage == Stage::Waiting && !this.has_head_begun {
                // Reports the end of the stream when the server stops: there is no request to answer.
                ready!(stopping);
                if !this.has_written {
                    ready!(this.last_chance.poll(FIRST_REQUEST, context));
                }
                return Poll::Ready(Ok(()));
            }
            return Poll::Pending;
        };
        this.chunk_left -= count;
        if stage == Stage::Waiting && !this.has_head_begun {
            this.has_head_begun = true;
            if this.has_written {
                this.idle.stop();
            }
        }
        if let Some(left) = body_left {
            this.exchange.body_left.set(Some(left - count));
            return Poll::Ready(Ok(()));
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(end) = this.find_empty_line(read) {
            let rest = read.get(end..).unwrap_or_default();
            this.held.splice(..0, rest.iter().copied());
            buffer.set_filled(before + end);
            this.is_paused = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(this.stream.get_mut()).poll_write(context, bytes) {
            Poll::Ready(result) => {
                this.idle.stop();
                this.has_written = true;
                this.has_head_begun = false;
                // actix may not read again before the next request, so the timer has to start here.
                let _just_started = this.poll_idle(context);
                if this.blocked.take().is_some() {
                    this.exchange.wake_reader();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.poll_blocked(context));
                this.permit.connections.counts.late_readers.increment();
                // Makes the system discard the data that the client has not read yet.
                this.stream.get_ref().set_zero_linger()?;
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(context)
    }
}

/// Marks the connection as answering until the answer is written. Lets other connections have their turn first, if
/// this one has just had its.
pub async fn begin_answer(request: &HttpRequest) -> Answering {
    let exchange = Rc::clone(Exchange::of(request));
    exchange.enter(Stage::Answering);
    let is_busy = exchange.is_busy.replace(true);
    let answering = Answering {
        guard: AnswerGuard(exchange),
        asks_for_upgrade: request.head().upgrade(),
    };
    if is_busy {
        // Without this, a client that pipelines many requests gets all its answers before anybody else's turn.
        tokio::task::yield_now().await;
    }
    answering
}

/// An answer that is being made.
pub struct Answering {
    guard: AnswerGuard,
    asks_for_upgrade: bool,
}

impl Answering {
    /// Returns the answer, whose body keeps the connection marked as answering.
    #[must_use]
    pub fn with(self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<AnswerBody> {
        let connections = &self.guard.0.connections;
        // For an upgrade, actix would send `Connection: upgrade`, although the upgrade is ignored.
        if self.asks_for_upgrade || connections.is_draining() {
            let head = response.response_mut().head_mut();
            head.set_connection_type(ConnectionType::Close);
        }
        response.map_body(|_, body| AnswerBody {
            body,
            _guard: self.guard,
        })
    }
}

/// Marks a request as being answered. When dropped, the connection waits for the next request.
struct AnswerGuard(Rc<Exchange>);

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        self.0.unread_body.take();
        self.0.large_body.take();
        self.0.enter(Stage::Waiting);
    }
}

/// Ends the connection, and with it the handler that waits, when the client hangs up while the returned guard lives.
///
/// A client that only shuts down its sending side cannot be told from one that hangs up. Other requests are
/// therefore answered (RFC 9112, section 9.6).
pub fn end_on_hang_up(request: &HttpRequest) -> HangUpGuard {
    let exchange = Rc::clone(Exchange::of(request));
    exchange.ends_on_hang_up.set(true);
    // The client may have hung up already.
    exchange.wake_reader();
    HangUpGuard(exchange)
}

/// Keeps a connection ending when its client hangs up, until dropped.
pub struct HangUpGuard(Rc<Exchange>);

impl Drop for HangUpGuard {
    fn drop(&mut self) {
        self.0.ends_on_hang_up.set(false);
    }
}

/// The body of an answer, which keeps the connection marked as answering until it is written.
pub struct AnswerBody {
    body: BoxBody,
    _guard: AnswerGuard,
}

impl MessageBody for AnswerBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

/// Reads the whole body of a request before its handler runs, so that all bodies have the same limits and none is left
/// unread. Refuses CONNECT and requests whose `Host` is not a host.
///
/// # Errors
/// When the request is refused, or its body is too large or too slow.
pub async fn buffer_body(request: &mut ServiceRequest) -> Result<(), AppError> {
    let payload = request.take_payload();
    let is_refused = request.method() == Method::CONNECT
        || !request.headers().get(HOST).is_none_or(is_valid_host);
    if is_refused || !matches!(payload, Payload::None) {
        let body = Box::pin(BodyStream::new(payload));
        // Boxed because every waiting poll, which has no body, would otherwise reserve memory for this future.
        let body = Box::pin(read_body(request.request(), body, is_refused)).await?;
        request.set_payload(body.into());
    }
    Ok(())
}

/// Returns whether this is a host with or without a port, or empty (RFC 9110, section 7.2).
fn is_valid_host(host: &HeaderValue) -> bool {
    let host = host.as_bytes();
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}

async fn read_body(
    request: &HttpRequest,
    mut body: Body,
    is_refused: bool,
) -> Result<Bytes, AppError> {
    let exchange = Exchange::of(request);
    let length = announced_length(request);
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut is_unread = false;
    let limit = if is_refused {
        Err(AppError::BadRequest)
    } else if !is_chunked && length <= body_limits::SHORT {
        // Most bodies are short, and finding out which route they are for takes as long as routing.
        Ok(body_limits::SHORT)
    } else {
        limit_for(request, length).await
    };
    let result = match limit {
        Err(error) => Err(error),
        Ok(limit) => {
            // For actix, the rest of the connection is the body of a request for an upgrade. The upgrade is not served,
            // so it is ignored (RFC 9110, section 7.8).
            let is_endless = !is_chunked && request.headers().contains_key(UPGRADE);
            exchange.body_left.set((!is_chunked).then_some(length));
            exchange.enter(Stage::Receiving);
            let span = state(request).core.config.timeouts.body_timeout;
            let wanted = is_endless.then_some(length);
            let result = timeout(span, collect(&mut body, limit, wanted)).await;
            exchange.body_left.set(None);
            exchange.enter(Stage::Answering);
            is_unread = is_endless;
            result.unwrap_or_else(|_too_late| {
                exchange.late_body();
                Err(AppError::TooSlow)
            })
        }
    };
    if is_unread || result.is_err() {
        exchange.unread_body.replace(Some(body));
    }
    result
}

/// Returns how many bytes the body of `request` may have, which announces `length` bytes. Reserves the memory of a
/// large body. A large body that announces no length is refused: browsers announce the length of forms.
async fn limit_for(request: &HttpRequest, length: usize) -> Result<usize, AppError> {
    let state = state(request);
    let limits = (state.body_limits)(request.match_pattern().as_deref());
    if length <= limits.everybody {
        return Ok(limits.everybody);
    }
    if length > limits.signed_in || Visitor::of(request).await?.user.is_none() {
        return Err(AppError::TooLarge);
    }
    let memory = state.large_bodies.reserve(length);
    let memory = memory.ok_or(AppError::TooLarge)?;
    Exchange::of(request).large_body.set(Some(memory));
    Ok(length)
}

/// Returns the `Content-Length`, or 0 without one.
fn announced_length(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}

/// Reads the body to its end or, if `wanted` is set, until it has so many bytes.
async fn collect(body: &mut Body, limit: usize, wanted: Option<usize>) -> Result<Bytes, AppError> {
    let mut bytes = BytesMut::new();
    while wanted.is_none_or(|wanted| bytes.len() < wanted) {
        let part = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await;
        let Some(part) = part else { break };
        let part = part.map_err(|_broken_off| AppError::BadRequest)?;
        if bytes.len() + part.len() > limit {
            return Err(AppError::TooLarge);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use actix_http::HttpService;
    use actix_service::{
        IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, map_config,
    };
    use actix_web::dev::AppConfig;
    use actix_web::middleware::{Next, from_fn};
    use actix_web::rt::net::TcpListener;
    use actix_web::{App, Error, web};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Command;

    fn connections(flags: &[&str]) -> Arc<Connections> {
        let Ok(Command::Serve(config)) = Command::parse([&["mirage"], flags].concat()) else {
            panic!("{flags:?} are no settings of a server")
        };
        Arc::new(Connections::new(&config, CancellationToken::new()))
    }

    /// Opens a connection, and returns the server's end and the client's.
    async fn connection(connections: &Arc<Connections>) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (stream, _) = listener.accept().await.unwrap();
        let (connection, _) = connections.open(stream).unwrap();
        (connection, client.unwrap())
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|_| b'x').collect()
    }

    /// Tries to read 100 times, and returns how many bytes that gave.
    async fn readable(connection: &mut Connection) -> usize {
        if connection.held.is_empty() {
            connection.stream.get_ref().readable().await.unwrap();
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        for _ in 0..100 {
            let mut buffer = [0; 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            let result = Pin::new(&mut *connection).poll_read(&mut context, &mut buffer);
            assert!(!matches!(result, Poll::Ready(Err(_))));
            read.extend_from_slice(buffer.filled());
        }
        read.len()
    }

    #[actix_web::test]
    async fn no_byte_of_a_pipelined_request_is_given_out_before_the_answer() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.enter(Stage::Answering);
        client.write_all(&bytes(4 * READ_CHUNK)).await.unwrap();

        assert_eq!(readable(&mut connection).await, 0);
        assert_eq!(connection.held.len(), READ_CHUNK);
        exchange.enter(Stage::Waiting);
        assert_eq!(readable(&mut connection).await, 4 * READ_CHUNK);
    }

    #[actix_web::test]
    async fn reading_pauses_after_each_head_and_each_body() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        let post = "POST / HTTP/1.1\r\n\r\n";
        let sent = format!("{post}body{post}\n\nGET / HTTP/1.1\n\n");
        client.write_all(sent.as_bytes()).await.unwrap();
        connection.stream.get_ref().readable().await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut read = |length: Option<usize>| {
            exchange.body_left.set(length);
            let mut all = Vec::new();
            loop {
                let mut buffer = [0; 8];
                let mut buffer = ReadBuf::new(&mut buffer);
                let result = Pin::new(&mut connection).poll_read(&mut context, &mut buffer);
                if result.is_pending() {
                    return String::from_utf8(all).unwrap();
                }
                all.extend_from_slice(buffer.filled());
            }
        };

        assert_eq!(read(None), post);
        exchange.enter(Stage::Receiving);
        assert_eq!(read(Some(4)), "body");
        exchange.enter(Stage::Answering);
        assert_eq!(read(None), "");
        exchange.enter(Stage::Waiting);
        assert_eq!(read(None), post);
        assert_eq!(read(None), "\n\n");
        assert_eq!(read(None), "GET / HTTP/1.1\n\n");
    }

    #[actix_web::test]
    async fn a_hang_up_is_reported_early_only_if_it_ends_the_answer() {
        let (mut connection, client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.enter(Stage::Answering);
        drop(client);

        assert_eq!(readable(&mut connection).await, 0);
        exchange.ends_on_hang_up.set(true);
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    }

    #[actix_web::test]
    async fn a_connection_is_busy_until_nothing_is_left_to_read() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.is_busy.set(true);
        client.write_all(b"x").await.unwrap();

        exchange.enter(Stage::Answering);
        assert_eq!(readable(&mut connection).await, 0);
        assert!(exchange.is_busy.get());
        exchange.enter(Stage::Waiting);
        assert_eq!(readable(&mut connection).await, 1);
        assert!(!exchange.is_busy.get());
    }

    /// Notes that a task was woken.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[actix_web::test]
    async fn a_connection_is_woken_when_the_server_stops_even_if_it_was_never_idle() {
        let connections = connections(&[]);
        let (mut connection, mut client) = connection(&connections).await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        connection.stream.get_ref().readable().await.unwrap();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut buffer = [0; 1024];
        let mut buffer = ReadBuf::new(&mut buffer);
        let read =
            Pin::new(&mut connection).poll_read(&mut Context::from_waker(&waker), &mut buffer);
        assert!(read.is_ready() && connection.is_paused);

        connections.drain();
        connections.stopping.cancel();

        assert!(woken.0.load(Ordering::Relaxed));
    }

    async fn track_answer(
        request: ServiceRequest,
        next: Next<BoxBody>,
    ) -> Result<ServiceResponse<AnswerBody>, Error> {
        let answering = begin_answer(request.request()).await;
        Ok(answering.with(next.call(request).await?))
    }

    #[actix_web::test]
    async fn a_client_that_pipelines_requests_does_not_starve_others() {
        let answered = Rc::new(RefCell::new(String::new()));
        let record = {
            let answered = Rc::clone(&answered);
            move |request: HttpRequest| {
                answered.borrow_mut().push_str(request.path());
                std::future::ready("")
            }
        };
        let app = App::new()
            .wrap(from_fn(track_answer))
            .default_service(web::to(record))
            .into_factory()
            .map_err(|error: Error| error.error_response());
        let http = HttpService::build()
            .on_connect_ext(Connection::attach_exchange)
            .h1(map_config(app, |()| AppConfig::default()));
        let server = http.new_service(()).await.unwrap();
        let connections = connections(&[]);
        let (many, mut many_client) = connection(&connections).await;
        let (one, mut one_client) = connection(&connections).await;
        let request = |path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        let pipelined = request("/m").repeat(5);
        many_client.write_all(pipelined.as_bytes()).await.unwrap();
        one_client
            .write_all(request("/1").as_bytes())
            .await
            .unwrap();
        for (connection, client) in [(&many, &mut many_client), (&one, &mut one_client)] {
            client.shutdown().await.unwrap();
            connection.stream.get_ref().readable().await.unwrap();
        }

        let (many, one) = tokio::join!(server.call((many, None)), server.call((one, None)));

        assert!(many.is_ok() && one.is_ok());
        let order = answered.borrow();
        assert_eq!(order.len(), 12);
        assert!(!order.ends_with("/1"), "{order}");
    }

    #[actix_web::test]
    async fn a_waiting_reader_is_woken_when_the_answer_is_done() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.enter(Stage::Answering);
        client.write_all(&bytes(2 * READ_CHUNK)).await.unwrap();
        assert_eq!(readable(&mut connection).await, 0);

        let reading = actix_web::rt::spawn(async move { connection.read_u8().await });
        tokio::task::yield_now().await;
        drop(AnswerGuard(exchange));

        assert_eq!(reading.await.unwrap().unwrap(), b'x');
    }

    #[actix_web::test]
    async fn a_silent_client_times_out_only_between_requests() {
        let (mut connection, _client) = connection(&connections(&["--head-timeout=100ms"])).await;
        let exchange = Rc::clone(&connection.exchange);
        let mut buffer = [0; 1];
        let mut read = async || {
            let silence = timeout(Duration::from_secs(1), connection.read(&mut buffer));
            silence.await.map(|read| read.map_err(|error| error.kind()))
        };

        exchange.enter(Stage::Answering);
        assert!(read().await.is_err(), "it still waits");
        exchange.enter(Stage::Receiving);
        assert!(read().await.is_err(), "it still waits");
        exchange.enter(Stage::Waiting);
        assert_eq!(read().await, Ok(Err(ErrorKind::TimedOut)));
    }

    #[actix_web::test]
    async fn the_write_timeout_is_set_on_the_socket_too() {
        let (connection, _client) = connection(&connections(&["--write-timeout=7s"])).await;

        let timeout = rustix::net::sockopt::tcp_user_timeout(connection.stream.get_ref());

        assert_eq!(timeout, Ok(7000));
    }

    #[actix_web::test]
    async fn a_connection_ends_when_the_server_stops_unless_a_request_has_begun() {
        let connections = connections(&[]);
        let (mut idle, _idle_client) = connection(&connections).await;
        let (mut new, _new_client) = connection(&connections).await;
        let (mut begun, mut client) = connection(&connections).await;
        let mut buffer = [0; 9];
        idle.has_written = true;
        client.write_all(b"G").await.unwrap();
        begun.read_exact(&mut buffer[..1]).await.unwrap();
        let reading = actix_web::rt::spawn(async move { idle.read_u8().await });
        tokio::task::yield_now().await;

        connections.drain();
        connections.stopping.cancel();

        let ended = |read: io::Result<u8>| read.unwrap_err().kind() == ErrorKind::UnexpectedEof;
        assert!(ended(reading.await.unwrap()));
        let watch = Instant::now();
        assert!(ended(new.read_u8().await));
        assert!(watch.elapsed() >= FIRST_REQUEST);
        client.write_all(b"ET / HTTP").await.unwrap();
        begun.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ET / HTTP");
    }

    #[test]
    fn connections_are_counted_by_address_until_they_are_closed() {
        let connections =
            connections(&["--connections-per-address=2", "--trusted-proxies=10.0.0.1"]);
        let from =
            |address: &str| connections.permit_for(SocketAddr::new(address.parse().unwrap(), 1));
        let first = from("2001:db8::1");
        let second = from("2001:db8::2");

        assert!(first.is_some() && second.is_some() && from("2001:db8::3").is_none());
        assert!(from("2001:db8:0:1::1").is_some() && from("192.0.2.1").is_some());
        let from_proxy: Vec<_> = (0..9).map(|_| from("10.0.0.1")).collect();
        assert!(from_proxy.iter().all(Option::is_some));
        drop(first);
        assert!(from("2001:db8::3").is_some());
        drop((second, from_proxy));
        assert!(connections.lock_open().is_empty());
    }
}
