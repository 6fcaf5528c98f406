//! Starts, runs and stops the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use actix_server::Server;
use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{background, listener};
use crate::clock::{Clock, GuardedClock, SiteClock};
use crate::config::{Config, RedisUrl, Switch};
use crate::core::{Core, Probes};
use crate::database::connection::{self, OpenError, ServerLock};
use crate::database::feed::{ChangeFeed, Origin};
use crate::database::site;
use crate::live::done_forms::DoneForms;
use crate::live::drafts::Drafts;
use crate::live::messages::{Capacity, Messages};
use crate::live::presence::Presence;
use crate::live::rate_limits::Limits;
use crate::live::read_marks::ReadMarks;
use crate::live::redis::{Driver, Link, LinkError};
use crate::live::rooms::{OwnRooms, PublicRooms, Rooms};
use crate::live::sessions::LiveSessions;
use crate::live::settings::SettingsCache;
use crate::security::nonces::Nonces;
use crate::security::passwords::Passwords;
use crate::security::secret::{Secret, SecretError, random_bytes};
use crate::services::name_keys;
use crate::web::assets::{Assets, AssetsError};
use crate::web::body_limits::LargeBodies;
use crate::web::cookie::CookieConfig;
use crate::web::next::NextPages;
use crate::web::pages::about::{self, AboutError};
use crate::web::state::WebState;
use crate::web::{message_html, routes};

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
    port: u16,
    server: Server,
    core: Arc<Core>,
    feed: ChangeFeed,
    driver: Option<Driver>,
    /// Held until the database is closed.
    _lock: ServerLock,
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
        let lock = connection::lock(&config.storage).await?;
        let connections = connection::open(&config.storage).await?;
        name_keys::renew(&connections.writer, clock.now()).await?;
        let (clock, redis, driver) = connect_redis(&config, &connections.writer, clock).await?;
        let origin = Origin::random();
        let feed = ChangeFeed::follow(
            connections.readers.clone(),
            connections.writer.clone(),
            origin,
        )
        .await?;
        let count = |database| connection::count_statements(database, Arc::clone(&statements));
        let (database, writer) = (count(connections.readers), count(connections.writer));
        let capacity = Capacity {
            messages_per_room: config.max_messages,
            bytes: config.buffer_bytes,
        };
        let life = u64::from_be_bytes(random_bytes());
        let passwords = Passwords::new(config.limits);
        let core = Arc::new(Core {
            messages: Messages::in_memory(
                capacity,
                life,
                clock.site_time(),
                Arc::new(message_html::render),
            ),
            database,
            writer,
            origin,
            redis,
            drafts: Drafts::default(),
            done_forms: DoneForms::default(),
            read_marks: ReadMarks::default(),
            presence: Presence::default(),
            limits: Limits::new(
                config.limits == Switch::On,
                &config.rates,
                Arc::clone(&clock),
            ),
            settings: SettingsCache::new(),
            sessions: LiveSessions::new(),
            rooms: Rooms::new(),
            own_rooms: OwnRooms::new(),
            public_rooms: PublicRooms::new(),
            nonces: Nonces::new(&secret),
            stopping: CancellationToken::new(),
            probes: Probes {
                statements,
                sweeps: watch::Sender::new(()),
                hashing: passwords.probe(),
            },
            passwords,
            clock,
            config,
        });
        warn_of_risks(&core.config);
        let state = WebState {
            core: Arc::clone(&core),
            assets,
            about,
            cookie: CookieConfig::new(&secret, core.config.is_https()),
            body_limits: routes::body_limits,
            large_bodies: LargeBodies::default(),
            next_pages: NextPages::at(routes::page_patterns()),
        };
        let served = listener::bind(&core.config).and_then(|(listener, port)| {
            let server = listener::serve(state, listener)?;
            Ok((server, port))
        });
        let (server, port) = served.map_err(|error| StartupError::Bind {
            address: core.config.address.bind.to_string(),
            error,
        })?;
        Ok(Self {
            port,
            server,
            core,
            feed,
            driver,
            _lock: lock,
        })
    }

    /// Returns the port that the server is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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
        let handle = self.server.handle();
        let mut tasks = JoinSet::new();
        tasks.spawn(background::sweep(Arc::clone(&self.core)));
        tasks.spawn(background::sweep_rows(Arc::clone(&self.core)));
        tasks.spawn(background::follow_changes(
            Arc::clone(&self.core),
            self.feed,
        ));
        if let Some(driver) = self.driver {
            tasks.spawn(driver.run());
        }
        let mut server = std::pin::pin!(self.server);
        let result = tokio::select! {
            result = &mut server => result,
            // They run as long as the server. Without them nothing would expire from memory, or the changes of
            // commands would be missed.
            ended = tasks.join_next() => {
                tracing::error!(?ended, "a background task ended");
                Err(io::Error::other("a background task ended"))
            }
            () = stop => {
                tracing::info!("shutting down");
                self.core.stopping.cancel();
                let (result, ()) = tokio::join!(server, handle.stop(true));
                result
            }
        };
        self.core.stopping.cancel();
        tasks.abort_all();
        for database in [&self.core.database, &self.core.writer] {
            if let Err(error) = database.clone().close().await {
                tracing::warn!(%error, "failed to close the database");
            }
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
