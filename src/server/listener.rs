//! Binds the address and builds the HTTP server.

use std::future::ready;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::num::NonZero;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::web::connections::{self, Connection, Connections};
use crate::web::state::WebState;
use crate::web::{around, routes};

/// How long a shutdown waits for requests in progress, in seconds.
const STOP_TIMEOUT_S: u64 = 4;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The time between two looks for connections that arrive while the workers stop.
const LATE_INTERVAL: Duration = Duration::from_millis(1);
/// How long a connection stays open after its last answer while the client still sends.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Binds the address of `config`.
pub(super) fn bind(config: &Config) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(config.address.bind)?;
    // The standard library has no setting for a longer queue.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// What serves the connections of a listener.
pub(super) struct Serving {
    /// Serves them until it is stopped.
    pub server: Server,
    /// Serves those that arrive while `server` stops ([`serve_late`]), once it is awaited.
    pub late: Pin<Box<dyn Future<Output = ()>>>,
}

/// Builds the HTTP server, as [`actix_web::HttpServer`] does, but over [`Connection`]s with time limits.
pub(super) fn serve(
    state: WebState,
    connections: Arc<Connections>,
    listener: TcpListener,
) -> io::Result<Serving> {
    let config = &state.core.config;
    let timeouts = config.timeouts;
    let stopping = state.core.stopping.clone();
    // Made here, once: made in `app`, each worker would have its own state.
    let state = web::Data::new(state);
    let app = move || {
        App::new()
            .app_data(web::Data::clone(&state))
            .wrap(from_fn(around::answer))
            .configure(|service| routes::configure(service, &state.cookie))
    };
    let workers = available_parallelism().map_or(1, NonZero::get);
    let mut server = ServerBuilder::new()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT_S);
    if let Some(max) = connections::max_connections() {
        server = server.max_concurrent_connections((max / workers).max(1));
    }
    let service = move || {
        let counts = Arc::clone(connections.counts());
        let connections = Arc::clone(&connections);
        let open = move |stream| {
            let connection = connections.open(stream);
            ready(
                connection
                    .map(|(connection, peer)| (connection, Some(peer)))
                    .map_err(DispatchError::Io),
            )
        };
        let app = app()
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .client_request_timeout(timeouts.head_timeout)
            // `Connection` ends the idle connections that may last less long.
            .keep_alive(timeouts.keep_alive.max(timeouts.proxy_keep_alive))
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .on_connect_ext(Connection::attach_exchange)
            .h1(map_config(app, |()| AppConfig::default()));
        let end = move |error| {
            if matches!(error, DispatchError::SlowRequestTimeout) {
                counts.count_late_head();
            }
            log_end(error)
        };
        fn_service(open).and_then(http).map_err(end)
    };
    let late = Box::pin(serve_late(listener.try_clone()?, service.clone(), stopping));
    let server = server.listen("mirage", listener, service)?.run();
    Ok(Serving { server, late })
}

/// Serves, on the calling thread, the connections that arrive while the workers stop: these drop what they are handed.
/// Once `stopping` is cancelled, accepts what is left in the queue, closes the listener, and waits for the last answers.
///
/// The system resets the connections that are in the queue when its listener is closed. Between the last look and the
/// close there is only one system call.
async fn serve_late<F: ServiceFactory<TcpStream, Config = ()>>(
    listener: TcpListener,
    factory: impl Fn() -> F,
    stopping: CancellationToken,
) where
    F::Service: 'static,
{
    let mut made = None;
    let mut connections = JoinSet::new();
    loop {
        let is_last = stopping.is_cancelled();
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                // Mostly, there is no other connection: actix has made the socket non-blocking.
                Err(_) => break,
            };
            let stream = stream.set_nonblocking(true).map(|()| stream);
            if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                let service = match &made {
                    Some(service) => Rc::clone(service),
                    // Made for the first connection, because that takes a while, and mostly there is none.
                    None => match factory().new_service(()).await {
                        Ok(service) => Rc::clone(made.insert(Rc::new(service))),
                        Err(_) => return,
                    },
                };
                connections.spawn_local(async move { drop(service.call(stream).await) });
            }
        }
        if is_last {
            break;
        }
        sleep(LATE_INTERVAL).await;
    }
    drop(listener);
    let ended = connections.join_all();
    drop(timeout(Duration::from_secs(STOP_TIMEOUT_S), ended).await);
}

/// Logs why a connection ended early: at debug level if the client is the cause.
fn log_end(error: DispatchError) -> DispatchError {
    match error {
        DispatchError::Parse(_)
        | DispatchError::Io(_)
        | DispatchError::SlowRequestTimeout
        | DispatchError::DisconnectTimeout => tracing::debug!(%error, "connection ended early"),
        _ => tracing::error!(%error, "connection failed"),
    }
    error
}
