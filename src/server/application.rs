//! Starts, runs and stops the server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use actix_server::Server;
use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::listener::Serving;
use super::live_state::LiveState;
use super::metrics::{self, Sources};
use super::notifications::Follower;
use super::{background, listener, systemd};
use crate::clock::{Clock, GuardedClock, SiteClock};
use crate::config::{Config, RedisUrl, Switch};
use crate::core::{Core, Probes, Told};
use crate::database::connection::{self, FileLock, OpenError, Sharing};
use crate::database::feed::{ChangeFeed, Origin};
use crate::database::link::DatabaseLink;
use crate::database::listener::{Subscriber, Subscription};
use crate::database::readers::Readers;
use crate::database::site;
use crate::domain::Lifespan;
use crate::live::messages::{Capacity, Messages};
use crate::live::outbox::SharedOutbox;
use crate::live::redis::{Driver, Link, LinkError};
use crate::live::rooms::{OwnRooms, PublicRooms, Rooms};
use crate::live::sessions::LiveSessions;
use crate::live::settings::SettingsCache;
use crate::metrics::TimeSum;
use crate::security::nonces::Nonces;
use crate::security::passwords::Passwords;
use crate::security::secret::{Secret, SecretError, random_bytes};
use crate::services::name_keys;
use crate::web::assets::{Assets, AssetsError};
use crate::web::body_limits::LargeBodies;
use crate::web::connections::Connections;
use crate::web::cookie::CookieConfig;
use crate::web::next::NextPages;
use crate::web::pages::about::{self, AboutError};
use crate::web::request_counts::RequestCounts;
use crate::web::state::WebState;
use crate::web::{message_html, routes};

/// How long a process that takes over a socket waits for the lock of the database, in which time an earlier one stops.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// How long a stopping process serves the connections that it has just accepted before its workers stop, and then those
/// that still arrive before it closes its socket.
const HANDOVER: Duration = Duration::from_millis(250);
/// The time between two tries to lock an SQLite file.
const LOCK_INTERVAL: Duration = Duration::from_millis(25);
/// How long a stopping process waits until it has freed the lock of a PostgreSQL database.
const UNLOCK_WAIT: Duration = Duration::from_secs(2);

/// The reason why a server did not start, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The change feed cannot be read, or the keys of names cannot be computed again.
    #[error("cannot use the database: {0}")]
    Feed(#[from] DbErr),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] LinkError),
    /// The secret file cannot be read or created.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The assets cannot be read.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The operator's text about the site cannot be read.
    #[error(transparent)]
    About(#[from] AboutError),
    /// The socket that the service manager passed cannot be used.
    #[error("cannot listen on the socket of the service manager: {0}")]
    Socket(io::Error),
    /// The address cannot be served on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// The error of the operating system.
        error: io::Error,
    },
}

/// A server that is bound to its port.
pub struct Application {
    address: SocketAddr,
    /// Whether a service manager holds the socket.
    is_activated: bool,
    metrics_address: Option<SocketAddr>,
    metrics: Option<Server>,
    serving: Serving,
    connections: Arc<Connections>,
    core: Arc<Core>,
    feed: Feed,
    driver: Option<Driver>,
    outbox: Option<Arc<SharedOutbox>>,
    /// Held until the database is closed.
    _lock: FileLock,
}

/// How this process learns of the changes of others.
struct Feed {
    /// Connections of which no statement is counted.
    connections: connection::Connections,
    source: Source,
}

enum Source {
    /// It looks for changes in SQLite's table.
    Polled(ChangeFeed),
    /// PostgreSQL notifies it.
    Heard(Box<(Subscriber, Subscription)>),
}

impl Feed {
    /// Follows the changes of others until `leaving` is cancelled.
    async fn follow(self, core: Arc<Core>, leaving: CancellationToken) {
        let (finishing, readers) = (Arc::clone(&core), self.connections.readers.clone());
        drop(tokio::spawn(async move {
            finishing.finish_deletions(&readers).await;
        }));
        match self.source {
            Source::Polled(feed) => {
                let following = background::follow_changes(core, feed);
                leaving.run_until_cancelled(following).await;
            }
            Source::Heard(subscribed) => {
                let follower = Follower::new(core, self.connections, *subscribed);
                follower.run(leaving).await;
            }
        }
    }
}

impl Application {
    /// Opens the database and binds the port. The server answers requests once
    /// [`Application::run_until_stopped`] is called.
    ///
    /// # Errors
    /// When the database, the secret, the assets, the text about the site or the address cannot be used.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartupError> {
        let clock: Arc<dyn Clock> = Arc::new(GuardedClock::new(clock));
        let about = config.about.as_deref().map(about::load).transpose()?;
        let assets = Assets::load(config.assets.as_deref())?;
        let secret = Secret::load_or_create(&config.secret_file)?;
        let statements = Arc::new(AtomicU64::new(0));
        let inherited = systemd::inherited_listener().map_err(StartupError::Socket)?;
        let is_activated = inherited.is_some();
        let origin = Origin::random();
        // Before anything is locked or migrated.
        let sharing = sharing(&config);
        let mut subscribed = connection::subscribe(&config.storage, sharing, origin).await?;
        let patience = if is_activated {
            LOCK_WAIT
        } else {
            Duration::ZERO
        };
        let lock = lock_file(&config, patience).await?;
        if let Some((_, subscription)) = &mut subscribed {
            subscription.lock(patience).await?;
        }
        let connections = connection::open(&config.storage).await?;
        name_keys::renew(&connections.writer, clock.now()).await?;
        let (clock, redis, driver) = connect_redis(&config, &connections.writer, clock).await?;
        let (link, source) = match subscribed {
            None => {
                let feed = ChangeFeed::follow(connections.clone(), origin).await?;
                (DatabaseLink::to_a_file(), Source::Polled(feed))
            }
            Some(subscribed) => {
                let link = DatabaseLink::to_a_server(config.redis.link_timeout);
                (link, Source::Heard(Box::new(subscribed)))
            }
        };
        let feed = Feed {
            connections: connections.clone(),
            source,
        };
        let statement_time = Arc::<TimeSum>::default();
        let count = |database| {
            let (statements, time) = (Arc::clone(&statements), Arc::clone(&statement_time));
            connection::count_statements(database, statements, time)
        };
        let link = Arc::new(link);
        let (readers, writer) = (count(connections.readers), count(connections.writer));
        let database = Readers::new(readers, Arc::clone(&link));
        let live = match &redis {
            None => LiveState::in_memory(&config, &clock),
            Some(link) => LiveState::on_redis(&config, &clock, link)
                .await
                .or(Err(LinkError::Silent))?,
        };
        let messages = messages_of(&config, redis.as_ref(), &clock, &secret);
        let passwords = Passwords::new(config.limits, config.hash_cost);
        let core = Arc::new(Core {
            messages,
            database,
            writer,
            origin,
            told: Told::default(),
            redis,
            database_link: Arc::clone(&link),
            outbox: live.outbox,
            drafts: live.drafts,
            done_forms: live.done_forms,
            read_marks: live.read_marks,
            presence: live.presence,
            limits: live.limits,
            ended_sessions: live.ended_sessions,
            settings: SettingsCache::new(Arc::clone(&link)),
            sessions: LiveSessions::new(Arc::clone(&link)),
            rooms: Rooms::new(Arc::clone(&link)),
            own_rooms: OwnRooms::new(Arc::clone(&link)),
            public_rooms: PublicRooms::new(Arc::clone(&link)),
            nonces: Nonces::new(&secret),
            feed_read_at: AtomicI64::new(clock.site_time().0),
            stopping: CancellationToken::new(),
            probes: Probes {
                statements,
                statement_time,
                sweeps: watch::Sender::new(()),
                hashing: passwords.probe(),
            },
            passwords,
            started_at: clock.now(),
            clock,
            config,
        });
        if let Some(redis) = &core.redis {
            let told = Arc::downgrade(&core);
            redis.apply_told(Arc::new(move |text: &[u8]| {
                if let Some(core) = told.upgrade() {
                    core.apply_told(text);
                }
            }));
        }
        warn_of_risks(&core.config);
        let metrics = core.config.metrics_bind.map(bind_metrics).transpose()?;
        let patterns = routes::table().into_iter().map(|endpoint| endpoint.pattern);
        let request_counts = metrics
            .is_some()
            .then(|| Arc::new(RequestCounts::new(patterns)));
        let connections = Connections::new(&core.config, core.stopping.clone());
        let connections = Arc::new(connections);
        let sources = request_counts.clone().map(|requests| Sources {
            core: Arc::clone(&core),
            requests,
            connections: Arc::clone(connections.counts()),
        });
        let state = WebState {
            core: Arc::clone(&core),
            assets,
            about,
            cookie: CookieConfig::new(&secret, core.config.is_https()),
            body_limits: routes::body_limits,
            large_bodies: LargeBodies::default(),
            next_pages: NextPages::at(routes::page_patterns()),
            request_counts,
        };
        let bound = inherited.map_or_else(|| listener::bind(&core.config), Ok);
        let served = bound.and_then(|listener| {
            let address = listener.local_addr()?;
            let serving = listener::serve(state, Arc::clone(&connections), listener)?;
            Ok((serving, address))
        });
        let (serving, address) = served.map_err(|error| StartupError::Bind {
            address: core.config.address.bind.to_string(),
            error,
        })?;
        let metrics_address = metrics.as_ref().and_then(|at| at.local_addr().ok());
        let metrics = metrics.zip(sources).map(|(listener, sources)| {
            metrics::serve(sources, listener).map_err(|error| StartupError::Bind {
                address: metrics_address.map_or_else(String::new, |at| at.to_string()),
                error,
            })
        });
        Ok(Self {
            address,
            is_activated,
            metrics_address,
            metrics: metrics.transpose()?,
            serving,
            connections,
            core,
            feed,
            driver,
            outbox: live.to_write,
            _lock: lock,
        })
    }

    /// Returns the address that the server is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address on which Prometheus can read metrics, if there is one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns the port that the server is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the core that the services of this server work on.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Serves until `stop` completes, then answers the waiting polls and shuts down.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Serving { server, late } = self.serving;
        let handle = server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(background::sweep(Arc::clone(&self.core)));
        tasks.spawn(background::sweep_rows(Arc::clone(&self.core)));
        let metrics = self.metrics.as_ref().map(Server::handle);
        if let Some(server) = self.metrics {
            tasks.spawn(async { drop(server.await) });
        }
        let watchdog = tasks.spawn(systemd::feed_watchdog(Arc::clone(&self.core)));
        let leaving = CancellationToken::new();
        let following = self.feed.follow(Arc::clone(&self.core), leaving.clone());
        let mut following = tokio::spawn(following);
        if let Some(driver) = self.driver {
            tasks.spawn(driver.run());
        }
        if let Some(outbox) = self.outbox {
            tasks.spawn(outbox.run());
        }
        let mut server = std::pin::pin!(server);
        let result = tokio::select! {
            result = &mut server => result,
            // They run as long as the server. Without them nothing would expire from memory, or the changes of
            // commands would be missed.
            ended = tasks.join_next() => {
                tracing::error!(?ended, "a background task ended");
                Err(io::Error::other("a background task ended"))
            }
            ended = &mut following => {
                tracing::error!(?ended, "the change feed is not followed any more");
                Err(io::Error::other("a background task ended"))
            }
            () = stop => {
                tracing::info!("shutting down");
                systemd::notify_stopping();
                // A service that stops is not watched.
                watchdog.abort();
                let late = async {
                    // With a socket of the service manager, further connections wait in it for the next process.
                    if !self.is_activated {
                        late.await;
                    }
                };
                let stop = async {
                    self.connections.drain();
                    handle.pause().await;
                    // A stopping worker drops those connections that it was handed and has not begun to serve, so it gets
                    // the time to begin.
                    sleep(HANDOVER).await;
                    let stopped = handle.stop(true);
                    if !self.is_activated {
                        // The server closes its own socket meanwhile: a connection that comes later would be lost in it.
                        sleep(HANDOVER).await;
                    }
                    self.core.stopping.cancel();
                    stopped.await;
                };
                let (result, (), ()) = tokio::join!(server, stop, late);
                result
            }
        };
        self.core.stopping.cancel();
        if let Some(metrics) = metrics {
            metrics.stop(false).await;
        }
        tasks.abort_all();
        if let Some(redis) = &self.core.redis {
            redis.leave().await;
        }
        for database in [self.core.database.connections(), &self.core.writer] {
            if let Err(error) = database.clone().close().await {
                tracing::warn!(%error, "failed to close the database");
            }
        }
        // Last, because the next server waits for this.
        leaving.cancel();
        if !following.is_finished() {
            drop(tokio::time::timeout(UNLOCK_WAIT, following).await);
        }
        result
    }
}

/// Connects to Redis, if it is set. Returns the clock that goes by the site's time.
async fn connect_redis(
    config: &Config,
    writer: &DatabaseConnection,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<dyn Clock>, Option<Arc<Link>>, Option<Driver>), StartupError> {
    let Some(url) = &config.redis.redis_url else {
        return Ok((clock, None, None));
    };
    let key = site::key(writer).await?;
    let clock = Arc::new(SiteClock::new(clock));
    let connected = Link::connect(url, &config.redis, &key, Arc::clone(&clock));
    let (link, driver) = Box::pin(connected).await?;
    Ok((clock, Some(link), Some(driver)))
}

fn bind_metrics(address: SocketAddr) -> Result<TcpListener, StartupError> {
    metrics::bind(address).map_err(|error| StartupError::Bind {
        address: address.to_string(),
        error,
    })
}

/// Returns whether the server can use its database beside others.
fn sharing(config: &Config) -> Sharing {
    if config.redis.redis_url.is_some() {
        Sharing::Together
    } else {
        Sharing::Alone
    }
}

/// Locks an SQLite file. A service manager that holds the socket may start this process while an earlier one ends: waits
/// for that one then, as the connections do, in the socket's queue.
async fn lock_file(config: &Config, patience: Duration) -> Result<FileLock, OpenError> {
    let until = Instant::now() + patience;
    loop {
        match connection::lock_file(&config.storage) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => {
                sleep(LOCK_INTERVAL).await;
            }
            locked => return locked,
        }
    }
}

/// Makes the rooms' logs, in memory or on Redis.
fn messages_of(
    config: &Config,
    redis: Option<&Arc<Link>>,
    clock: &Arc<dyn Clock>,
    secret: &Secret,
) -> Messages {
    let capacity = Capacity {
        messages_per_room: config.max_messages,
        bytes: config.buffer_bytes,
    };
    let renderer = Arc::new(message_html::render);
    match redis {
        Some(link) => {
            let longest = Lifespan(config.message_lifespan);
            let (link, clock) = (Arc::clone(link), Arc::clone(clock));
            let key = secret.key("texts of messages");
            Messages::on_redis(link, clock, capacity, longest, &key, renderer)
        }
        None => {
            let life = u64::from_be_bytes(random_bytes());
            Messages::in_memory(capacity, life, clock.site_time(), renderer)
        }
    }
}

fn warn_of_risks(config: &Config) {
    if config.limits == Switch::Off {
        tracing::warn!("rate limits are off: use this for tests and benchmarks only");
    }
    if let Some(host) = config.storage.database_url.unproved_host() {
        tracing::warn!(
            host,
            "the link to PostgreSQL is not proved to lead there: others may read or change what is sent. Set sslmode=verify-full"
        );
    }
    let redis = config.redis.redis_url.as_ref();
    if redis.is_some_and(RedisUrl::is_plain_to_another_host) {
        tracing::warn!(
            "the link to Redis is not encrypted, and messages cross it: use rediss:// in --redis-url"
        );
    }
    if config.is_https() && config.trusted_proxies.is_empty() {
        // Only a proxy can speak TLS here.
        tracing::warn!(
            "--trusted-proxies is not set: rate limits count all clients as one address, the proxy's"
        );
    }
}
