//! What the server holds, and how it starts and stops.

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing_actix_web::TracingLogger;

use crate::assets::Assets;
use crate::clock::Clock;
use crate::config::{Config, Switch};
use crate::connections::{Connection, Connections};
use crate::domain::Lifespan;
use crate::limits::Limits;
use crate::logging::RequestLog;
use crate::messages::{Capacity, Messages};
use crate::secret::{Secret, random_bytes};
use crate::services::accounts::HeldSettings;
use crate::services::changes::Noticed;
use crate::services::held_messages::HeldMessages;
use crate::services::invites;
use crate::services::nonces::Nonces;
use crate::services::one_time_links;
use crate::services::passwords::Passwords;
use crate::services::presence::Presence;
use crate::services::read_marks::ReadMarks;
use crate::services::rooms::{PublicRooms, Rooms};
use crate::services::sessions::{self, LiveSessions};
use crate::{
    allocator, compression, connections, database, error, headers, routes, same_origin, session,
};

/// How often memory is freed of what has expired: at most 10 s later, as promised.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Free memory is given back to the system when messages take so many bytes less than at the most.
const WORTH_GIVING_BACK: usize = 8 * 1024 * 1024;
/// How often the server looks for what the command line has changed, which is to be noticed within 2 s.
const NOTICE_EVERY: Duration = Duration::from_secs(1);
/// How many looks there are to one deletion of what was noticed long ago.
const LOOKS_TO_DELETE: u32 = 1200;
/// How many sweeps of messages there are to one of the rows held in memory.
const SWEEPS_TO_FORGET: u32 = 240;
/// How long a stop waits for requests that are being answered.
const STOP_TIMEOUT_S: u64 = 4;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long a client that is still sending what nobody reads may take to notice its answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What all workers share.
pub struct AppState {
    /// The settings.
    pub config: Config,
    /// The clock everything goes by.
    pub clock: Arc<dyn Clock>,
    /// Accounts, rooms, memberships and sessions.
    pub database: DatabaseConnection,
    /// The same, for what the server asks by itself: `statements` are those of requests.
    pub uncounted: DatabaseConnection,
    /// How many statements were sent to the database, but for those of `uncounted`.
    pub statements: Arc<AtomicU64>,
    /// What is said.
    pub messages: Messages,
    /// Messages of people who had been signed out.
    pub held_messages: HeldMessages,
    /// How far each person has read.
    pub read_marks: ReadMarks,
    /// Who has which room open.
    pub presence: Presence,
    /// What keeps people from doing things too often.
    pub limits: Limits,
    /// What the people who are here have chosen.
    pub settings: HeldSettings,
    /// The sessions in use.
    pub sessions: LiveSessions,
    /// The rooms in use, and who is in them.
    pub rooms: Rooms,
    /// The names of the public rooms, while the list is in use.
    pub public_rooms: PublicRooms,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Makes and reads the nonces of message forms.
    pub nonces: Nonces,
    /// The style sheet, the script and the icon.
    pub assets: Assets,
    /// Changes after each time that memory was freed of what has expired.
    pub sweeps: watch::Sender<()>,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}

/// Why a server did not start: a sentence for who started it.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The database's folder cannot be made.
    #[error("cannot create the database folder {}: {error}", folder.display())]
    DatabaseFolder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The database cannot be opened, changed or written.
    #[error("cannot use the database {url}: {error}")]
    Database {
        /// Which one.
        url: String,
        /// What the database says.
        error: DbErr,
    },
    /// No server has made the database yet.
    #[error("no Mirage database at {url}: set --database-url to the database that the server uses")]
    NoDatabase {
        /// Where it was looked for.
        url: String,
    },
    /// A newer program has changed the database.
    #[error(
        "the database {url} was migrated by a newer version of Mirage ({change}): run that version"
    )]
    NewerDatabase {
        /// Which one.
        url: String,
        /// The change that this program does not know.
        change: String,
    },
    /// The secret's file cannot be read or made.
    #[error("cannot read or create the secret file {}: {error}", file.display())]
    SecretFile {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The secret's file holds something else.
    #[error("{} is not a Mirage secret file: it must be exactly 64 bytes long", file.display())]
    NotASecret {
        /// The file.
        file: PathBuf,
    },
    /// The style sheet, the script or the icon cannot be read.
    #[error("cannot read {}: {error}. Set --assets to the folder that contains it", file.display())]
    Assets {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The address cannot be served on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// What the operating system says.
        error: io::Error,
    },
}

/// A server that is bound to its port.
pub struct Application {
    port: u16,
    server: Server,
    state: Arc<AppState>,
    noticed: Noticed,
}

impl Application {
    /// Opens the database, binds the port and starts to serve when [`Application::run_until_stopped`]
    /// is called.
    ///
    /// # Errors
    /// When something it needs is not there.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartupError> {
        let assets = Assets::load(&config.assets)?;
        let secret = Secret::load_or_create(&config.secret_file)?;
        let statements = Arc::new(AtomicU64::new(0));
        let uncounted = database::open(&config.storage).await?;
        let database = database::counting(uncounted.clone(), Arc::clone(&statements));
        let noticed = Noticed::all_so_far(&uncounted).await;
        let noticed = noticed.map_err(|error| StartupError::Database {
            url: config.storage.database_url.clone(),
            error,
        })?;
        let capacity = Capacity {
            messages_a_room: config.max_messages,
            bytes: config.buffer_bytes,
        };
        let start = u64::from_be_bytes(random_bytes());
        let state = Arc::new(AppState {
            messages: Messages::new(capacity, start, clock.now()),
            database,
            uncounted,
            statements,
            held_messages: HeldMessages::default(),
            read_marks: ReadMarks::default(),
            presence: Presence::default(),
            limits: Limits::new(
                config.limits == Switch::On,
                &config.rates,
                Arc::clone(&clock),
            ),
            settings: HeldSettings::new(),
            sessions: LiveSessions::new(),
            rooms: Rooms::new(),
            public_rooms: PublicRooms::new(),
            passwords: Passwords::new(),
            nonces: Nonces::new(&secret),
            assets,
            sweeps: watch::Sender::new(()),
            stopping: CancellationToken::new(),
            clock,
            config,
        });
        if state.config.limits == Switch::Off {
            tracing::warn!("rate limits are off: use this for tests and benchmarks only");
        }
        if state.config.is_https() && state.config.trusted_proxies.is_empty() {
            // Only a proxy can speak TLS here.
            tracing::warn!(
                "--trusted-proxies is not set: rate limits count all clients as one address, the proxy's"
            );
        }
        let (server, port) = serve(&state, &secret)?;
        Ok(Self {
            port,
            server,
            state,
            noticed,
        })
    }

    /// The port it is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What its workers share.
    #[must_use]
    pub fn state(&self) -> &Arc<AppState> {
        &self.state
    }

    /// Serves until `stop` returns, then answers who waits and ends.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let handle = self.server.handle();
        let sweeper = tokio::spawn(sweep_now_and_then(Arc::clone(&self.state)));
        let noticing = tokio::spawn(notice_changes(Arc::clone(&self.state), self.noticed));
        let mut server = std::pin::pin!(self.server);
        let result = tokio::select! {
            result = &mut server => result,
            () = stop => {
                tracing::info!("shutting down");
                self.state.stopping.cancel();
                let (result, ()) = tokio::join!(server, handle.stop(true));
                result
            }
        };
        self.state.stopping.cancel();
        sweeper.abort();
        noticing.abort();
        if let Err(error) = self.state.database.clone().close().await {
            tracing::warn!(%error, "failed to close the database");
        }
        result
    }
}

fn serve(state: &Arc<AppState>, secret: &Secret) -> Result<(Server, u16), StartupError> {
    let config = &state.config;
    let server = bind(config).and_then(|(listener, port)| {
        let server = server(state, secret, listener)?;
        Ok((server, port))
    });
    server.map_err(|error| StartupError::Bind {
        address: config.address.bind.to_string(),
        error,
    })
}

fn bind(config: &Config) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(config.address.bind)?;
    // Again, for a longer queue.
    rustix::net::listen(&listener, BACKLOG)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// What [`actix_web::HttpServer`] makes, but for the connections, which are ours.
fn server(state: &Arc<AppState>, secret: &Secret, listener: TcpListener) -> io::Result<Server> {
    let head_timeout = state.config.timeouts.head_timeout;
    let connections = Arc::new(Connections::new(&state.config));
    // Made once: made for each worker, each would have rooms of its own.
    let shared = web::Data::from(Arc::clone(state));
    let cookie = session::Cookie::new(&state.config, secret);
    let app = move || {
        // The last is the outermost.
        App::new()
            .app_data(web::Data::clone(&shared))
            .wrap(from_fn(same_origin::refuse_others))
            .wrap(from_fn(connections::receive))
            .wrap(from_fn(error::show_page))
            .wrap(cookie.middleware())
            .wrap(from_fn(headers::add))
            .wrap(from_fn(compression::compress))
            .wrap(TracingLogger::<RequestLog>::new())
            .wrap(from_fn(connections::answer))
            .configure(routes::configure)
    };
    let workers = available_parallelism().map_or(1, NonZero::get);
    let mut server = ServerBuilder::new()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT_S);
    if let Some(most) = connections::most() {
        server = server.max_concurrent_connections((most / workers).max(1));
    }
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("mirage", listener, move || {
        let connections = Arc::clone(&connections);
        let open = move |stream| {
            let connection = connections.open(stream);
            ready(
                connection
                    .map(|(connection, peer)| (connection, Some(peer)))
                    .map_err(DispatchError::Io),
            )
        };
        let stopping = stopping.clone();
        let app = app()
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .client_request_timeout(head_timeout)
            .keep_alive(head_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(Connection::introduce)
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(open).and_then(http)
    })?;
    Ok(server.run())
}

/// Frees memory, with traffic or without.
async fn sweep_now_and_then(app: Arc<AppState>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    let mut most_bytes = 0;
    for sweep in 1_u32.. {
        ticks.tick().await;
        let now = app.clock.now();
        most_bytes = most_bytes.max(app.messages.bytes());
        app.messages.sweep(now);
        app.presence.sweep(now);
        let bytes = app.messages.bytes();
        if most_bytes - bytes >= WORTH_GIVING_BACK {
            most_bytes = bytes;
            // It fails only where it panics, and it does not.
            drop(tokio::task::spawn_blocking(allocator::give_back).await);
        }
        app.sweeps.send_replace(());
        if sweep.is_multiple_of(SWEEPS_TO_FORGET) {
            app.held_messages.sweep(now);
            app.read_marks
                .sweep(Lifespan(app.config.message_lifespan), now);
            app.limits.sweep();
            app.settings.sweep();
            app.sessions.sweep();
            app.rooms.sweep();
            app.public_rooms.sweep();
            if let Err(error) = sessions::delete_expired(&app).await {
                tracing::warn!(%error, "failed to delete expired sessions");
            }
            if let Err(error) = invites::delete_expired(&app).await {
                tracing::warn!(%error, "failed to delete expired invites");
            }
            if let Err(error) = one_time_links::delete_expired(&app).await {
                tracing::warn!(%error, "failed to delete expired one-time links");
            }
        }
    }
}

/// Brings what is held in memory up to date with what the command line has changed.
async fn notice_changes(app: Arc<AppState>, mut noticed: Noticed) {
    let mut ticks = tokio::time::interval(NOTICE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_away = false;
    for look in 1_u32.. {
        ticks.tick().await;
        let mut result = noticed.go_on(&app).await;
        if result.is_ok() && look.is_multiple_of(LOOKS_TO_DELETE) {
            result = noticed.delete_old(&app).await;
        }
        match result {
            Ok(()) => is_away = false,
            // Told once, not each second.
            Err(_) if is_away => {}
            Err(error) => {
                is_away = true;
                tracing::warn!(%error, "failed to poll the change feed");
            }
        }
    }
}
