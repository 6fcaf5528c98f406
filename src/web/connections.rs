//! Connections: how many one address may have, and how long a client may take over each step.
//!
//! By itself, actix gives up on a client that never begins. It waits for ever for the rest of a later
//! request, for a body, and for a client that does not read its answers, and meanwhile it takes in as many
//! requests as fit into 128 KiB. Here, each step has its time:
//!
//! - A request's head comes within twice `--head-timeout`, half of which a connection may be idle.
//! - Its body comes within `--body-timeout` ([`receive`]).
//! - What is written is taken bit by bit, each within `--write-timeout`.
//!
//! And of what is sent ahead of an answer, little is read before the answer is taken, and others have their
//! turn before the next answer is made.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use actix_http::{Extensions, Payload};
use actix_web::body::{BodySize, BodyStream, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep, timeout};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{Error, HttpMessage, HttpRequest};
use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::config::{Config, Switch, Timeouts};
use crate::domain::ClientAddress;
use crate::web::error::AppError;
use crate::web::routes;
use crate::web::state::state;

/// How many bytes are read before what they say is looked at: about a request. actix takes up to 7 KiB of
/// memory for each that waits for its turn, and 28 bytes can be one.
const READ_AT_ONCE: u64 = 1024;
/// How many bytes the system holds for a client to take, in the system's own memory: more than most pages
/// have. By itself, it would let who never reads be sent some megabytes, which have to be made first.
const SEND_BUFFER: usize = 64 * 1024;
/// How many open files are left for what is no connection: the database, the log.
const OTHER_FILES: u64 = 64;

/// The connections that are open, by address.
pub struct Connections {
    /// None: as many as like.
    most: Option<usize>,
    trusted: Vec<IpNet>,
    timeouts: Timeouts,
    open: Mutex<HashMap<ClientAddress, usize>>,
}

impl Connections {
    /// None yet, on a server with these settings.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            most: (config.limits == Switch::On).then_some(config.connections_per_address),
            trusted: config.trusted_proxies.clone(),
            timeouts: config.timeouts,
            open: Mutex::default(),
        }
    }

    /// A connection over `stream`, and whom it is with.
    ///
    /// # Errors
    /// When there are as many with that address as there may be, or when it is gone already.
    pub fn open(self: &Arc<Self>, stream: TcpStream) -> io::Result<(Connection, SocketAddr)> {
        let peer = stream.peer_addr()?;
        let place = self.place_for(peer).ok_or(ErrorKind::QuotaExceeded)?;
        // Or the end of a compressed page would wait until its beginning is acknowledged: 40 ms.
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
        // For what the system still has to send when the connection is closed.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(
            &stream,
            u32::try_from(self.timeouts.write_timeout.as_millis()).unwrap_or(u32::MAX),
        )?;
        let connection = Connection {
            stream: stream.take(READ_AT_ONCE),
            exchange: Rc::default(),
            timeouts: self.timeouts,
            idle: None,
            blocked: None,
            _place: place,
        };
        Ok((connection, peer))
    }

    fn place_for(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let address = ClientAddress::from_peer(peer.ip(), &self.trusted);
        let connections = Arc::clone(self);
        if let Some(most) = self.most.filter(|_| address.is_limited()) {
            let mut open = self.count();
            let count = open.entry(address).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            connections,
            address,
        })
    }

    fn count(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that an address may have. Free again when dropped.
struct Place {
    connections: Arc<Connections>,
    address: ClientAddress,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.count();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Lets this process have as many open files as it may: each connection is one, and by old custom, a
/// process begins with 1,024 for the sake of programs that can count no further.
pub fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "there can only be few connections");
    }
}

/// How many connections this process can have, if there is an end to it.
#[must_use]
pub fn most() -> Option<usize> {
    let files = getrlimit(Resource::Nofile).current?;
    usize::try_from(files.saturating_sub(OTHER_FILES)).ok()
}

/// What a connection is used for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The head of a request is to come.
    Waiting,
    /// The body of one.
    Receiving,
    /// All of it is there, and its answer is being made or written.
    Answering,
}

/// What a connection and the request on it know of each other.
struct Exchange {
    stage: Cell<Stage>,
    /// Whether a request has been answered since the connection last had nothing to read.
    is_at_it: Cell<bool>,
    /// Who wants to read, once there is anything that may be read.
    reader: Cell<Option<Waker>>,
    /// The rest of a body that is not read to its end. Held until the answer is written: actix reads one
    /// that was dropped before to the end, which may never come.
    rest: RefCell<Option<Body>>,
}

type Body = Pin<Box<BodyStream<Payload>>>;

impl Default for Exchange {
    fn default() -> Self {
        Self {
            stage: Cell::new(Stage::Waiting),
            is_at_it: Cell::default(),
            reader: Cell::default(),
            rest: RefCell::default(),
        }
    }
}

impl Exchange {
    #[expect(clippy::expect_used, reason = "app.rs gives it to every connection")]
    fn of(request: &HttpRequest) -> &Rc<Self> {
        request
            .conn_data()
            .expect("every connection has an exchange")
    }

    fn go_on_to(&self, stage: Stage) {
        self.stage.set(stage);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A connection with a client, who has only so much time for each step.
pub struct Connection {
    /// Limited to what may be read before what it says is looked at.
    stream: Take<TcpStream>,
    exchange: Rc<Exchange>,
    timeouts: Timeouts,
    /// Runs from the last write on.
    idle: Option<Pin<Box<Sleep>>>,
    /// Runs while nothing that is written is taken.
    blocked: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Connection {
    /// Lets the requests on it know it.
    pub fn introduce(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.exchange));
    }

    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let span = self.timeouts.head_timeout * 2;
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(span)));
        idle.as_mut().poll(context)
    }

    fn poll_blocked(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let span = self.timeouts.write_timeout;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(span)));
        blocked.as_mut().poll(context)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let stage = this.exchange.stage.get();
        // What comes now is about a request after this one.
        let is_ahead = stage == Stage::Answering || this.blocked.is_some();
        let readable = this.stream.limit();
        if is_ahead && readable < READ_AT_ONCE {
            // actix looks at what it has when there is more, or when it is woken.
            this.exchange.reader.set(Some(context.waker().clone()));
            if readable == 0 {
                return Poll::Pending;
            }
        }
        if !is_ahead && stage == Stage::Waiting && this.poll_idle(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        if readable == 0 {
            this.stream.set_limit(READ_AT_ONCE);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        let is_empty = this.stream.limit() == readable;
        if result.is_pending() && !is_ahead {
            this.stream.set_limit(READ_AT_ONCE);
            this.exchange.is_at_it.set(false);
        }
        if is_ahead && is_empty && matches!(result, Poll::Ready(Ok(()))) {
            // Told now, actix would forget the requests that came before the end.
            this.exchange.reader.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        result
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
                this.idle = None;
                if this.blocked.take().is_some() {
                    this.exchange.wake_reader();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.poll_blocked(context));
                // Nor is the client to get what it has not taken yet.
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

/// Tells the connection of a request that it is being answered, until the answer is written. The
/// outermost layer.
///
/// # Errors
/// Those of what it wraps.
pub async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answer>, Error> {
    let exchange = Rc::clone(Exchange::of(request.request()));
    exchange.go_on_to(Stage::Answering);
    let is_at_it = exchange.is_at_it.replace(true);
    let answering = Answering(exchange);
    if is_at_it {
        // Else a client that sends many at once would have them all answered before anybody else's next.
        tokio::task::yield_now().await;
    }
    let response = next.call(request).await?.map_into_boxed_body();
    Ok(response.map_body(|_, body| Answer {
        body,
        _answering: answering,
    }))
}

/// That a request is being answered. When dropped, the next one may come.
struct Answering(Rc<Exchange>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.rest.take();
        self.0.go_on_to(Stage::Waiting);
    }
}

/// The body of an answer.
pub struct Answer {
    body: BoxBody,
    _answering: Answering,
}

impl MessageBody for Answer {
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

/// Reads the body of a request, whether anything will ask for it or not: then none is ever left unread,
/// and all have the same limits.
///
/// # Errors
/// Those of what it wraps.
pub async fn receive<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let payload = request.take_payload();
    if !matches!(payload, Payload::None) {
        match body(request.request(), payload).await {
            Ok(body) => request.set_payload(body.into()),
            Err(error) => return Ok(request.error_response(error).map_into_right_body()),
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

async fn body(request: &HttpRequest, payload: Payload) -> Result<Bytes, AppError> {
    let exchange = Exchange::of(request);
    let most = routes::body_limit(request.match_pattern().as_deref());
    let mut body = Box::pin(BodyStream::new(payload));
    let result = if announced_length(request) > most {
        Err(AppError::TooLarge)
    } else {
        exchange.go_on_to(Stage::Receiving);
        let span = state(request).core.config.timeouts.body_timeout;
        let result = timeout(span, whole(&mut body, most)).await;
        exchange.go_on_to(Stage::Answering);
        result.unwrap_or(Err(AppError::TooSlow))
    };
    if result.is_err() {
        exchange.rest.replace(Some(body));
    }
    result
}

/// What the client says that the body has; 0 if it does not say.
fn announced_length(request: &HttpRequest) -> usize {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}

async fn whole(body: &mut Body, most: usize) -> Result<Bytes, AppError> {
    let mut whole = BytesMut::new();
    while let Some(part) = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await {
        let part = part.map_err(|_broken_off| AppError::BadRequest)?;
        if whole.len() + part.len() > most {
            return Err(AppError::TooLarge);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_http::HttpService;
    use actix_service::{
        IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, map_config,
    };
    use actix_web::dev::AppConfig;
    use actix_web::middleware::from_fn;
    use actix_web::rt::net::TcpListener;
    use actix_web::{App, web};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Command;

    fn connections(flags: &[&str]) -> Arc<Connections> {
        let Ok(Command::Serve(config)) = Command::parse([&["mirage"], flags].concat()) else {
            panic!("{flags:?} are no settings of a server")
        };
        Arc::new(Connections::new(&config))
    }

    /// Both ends of a connection, the server's first.
    async fn connection(connections: &Arc<Connections>) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (stream, _) = listener.accept().await.unwrap();
        let (connection, _) = connections.open(stream).unwrap();
        (connection, client.unwrap())
    }

    fn many(count: u64) -> Vec<u8> {
        (0..count).map(|_| b'x').collect()
    }

    /// How much can be read of what is there, however often it is tried.
    async fn readable(connection: &mut Connection) -> u64 {
        connection.stream.get_ref().readable().await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        for _ in 0..100 {
            let mut buffer = [0; 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            let result = Pin::new(&mut *connection).poll_read(&mut context, &mut buffer);
            assert!(!matches!(result, Poll::Ready(Err(_))));
            read.extend_from_slice(buffer.filled());
        }
        u64::try_from(read.len()).unwrap()
    }

    #[actix_web::test]
    async fn little_is_read_of_what_is_sent_ahead_of_an_answer() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.go_on_to(Stage::Answering);
        client.write_all(&many(4 * READ_AT_ONCE)).await.unwrap();

        assert_eq!(readable(&mut connection).await, READ_AT_ONCE);
        assert_eq!(readable(&mut connection).await, 0);
        exchange.go_on_to(Stage::Receiving);
        assert_eq!(readable(&mut connection).await, 3 * READ_AT_ONCE);
    }

    #[actix_web::test]
    async fn a_client_is_at_it_until_there_is_nothing_of_it_to_read() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.is_at_it.set(true);
        client.write_all(b"x").await.unwrap();

        exchange.go_on_to(Stage::Answering);
        assert_eq!(readable(&mut connection).await, 1);
        assert!(exchange.is_at_it.get());
        client.write_all(b"x").await.unwrap();
        exchange.go_on_to(Stage::Waiting);
        assert_eq!(readable(&mut connection).await, 1);
        assert!(!exchange.is_at_it.get());
    }

    #[actix_web::test]
    async fn who_sends_many_requests_at_once_lets_others_have_their_turn() {
        let answered = Rc::new(RefCell::new(String::new()));
        let writes_down = {
            let answered = Rc::clone(&answered);
            move |request: HttpRequest| {
                answered.borrow_mut().push_str(request.path());
                std::future::ready("")
            }
        };
        let app = App::new()
            .wrap(from_fn(answer))
            .default_service(web::to(writes_down))
            .into_factory()
            .map_err(|error: Error| error.error_response());
        let http = HttpService::build()
            .on_connect_ext(Connection::introduce)
            .h1(map_config(app, |()| AppConfig::default()));
        let server = http.new_service(()).await.unwrap();
        let connections = connections(&[]);
        let (many, mut sends_many) = connection(&connections).await;
        let (one, mut sends_one) = connection(&connections).await;
        let request = |path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        let of_many = request("/m").repeat(5);
        sends_many.write_all(of_many.as_bytes()).await.unwrap();
        sends_one.write_all(request("/1").as_bytes()).await.unwrap();
        for (connection, client) in [(&many, &mut sends_many), (&one, &mut sends_one)] {
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
    async fn who_waits_to_read_is_woken_when_the_answer_is_done() {
        let (mut connection, mut client) = connection(&connections(&[])).await;
        let exchange = Rc::clone(&connection.exchange);
        exchange.go_on_to(Stage::Answering);
        client.write_all(&many(2 * READ_AT_ONCE)).await.unwrap();
        assert_eq!(readable(&mut connection).await, READ_AT_ONCE);

        let reading = actix_web::rt::spawn(async move { connection.read_u8().await });
        tokio::task::yield_now().await;
        drop(Answering(exchange));

        assert_eq!(reading.await.unwrap().unwrap(), b'x');
    }

    #[actix_web::test]
    async fn a_client_may_be_silent_for_long_only_while_it_is_answered() {
        let (mut connection, _client) = connection(&connections(&["--head-timeout=100ms"])).await;
        let exchange = Rc::clone(&connection.exchange);
        let mut buffer = [0; 1];
        let mut read = async || {
            let silence = timeout(Duration::from_secs(1), connection.read(&mut buffer));
            silence.await.map(|read| read.map_err(|error| error.kind()))
        };

        exchange.go_on_to(Stage::Answering);
        assert!(read().await.is_err(), "it still waits");
        exchange.go_on_to(Stage::Receiving);
        assert!(read().await.is_err(), "it still waits");
        exchange.go_on_to(Stage::Waiting);
        assert_eq!(read().await, Ok(Err(ErrorKind::TimedOut)));
    }

    #[actix_web::test]
    async fn the_system_gives_up_on_a_client_that_takes_nothing_as_well() {
        let (connection, _client) = connection(&connections(&["--write-timeout=7s"])).await;

        let timeout = rustix::net::sockopt::tcp_user_timeout(connection.stream.get_ref());

        assert_eq!(timeout, Ok(7000));
    }

    #[test]
    fn connections_are_counted_by_address_until_they_are_closed() {
        let connections =
            connections(&["--connections-per-address=2", "--trusted-proxies=10.0.0.1"]);
        let from =
            |address: &str| connections.place_for(SocketAddr::new(address.parse().unwrap(), 1));
        let first = from("2001:db8::1");
        let second = from("2001:db8::2");

        assert!(first.is_some() && second.is_some() && from("2001:db8::3").is_none());
        assert!(from("2001:db8:0:1::1").is_some() && from("192.0.2.1").is_some());
        let of_the_proxy: Vec<_> = (0..9).map(|_| from("10.0.0.1")).collect();
        assert!(of_the_proxy.iter().all(Option::is_some));
        drop(first);
        assert!(from("2001:db8::3").is_some());
        drop((second, of_the_proxy));
        assert!(connections.count().is_empty());
    }
}
