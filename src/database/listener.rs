//! Hearing PostgreSQL's notifications: changes of other processes, and this process's own heartbeat. The connection that
//! hears them also holds the server's lock.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use super::feed::{self, Changes, Origin};
use super::link::SentAt;
use super::opened::OpenError;
use super::postgres;
use super::server_lock::{self, Sharing};

/// How long a start waits to hear its own notification.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for PostgreSQL to end a connection.
const END_TIME: Duration = Duration::from_millis(500);

/// What the operator of a pooler must set.
const POOLERS: &str = "A pooler such as pgbouncer needs pool_mode = session";

/// Makes subscriptions to the notifications that concern a process.
#[derive(Clone)]
pub struct Subscriber {
    options: PgConnectOptions,
    /// The database's URL for messages, without its password.
    url: String,
    sharing: Sharing,
    origin: Origin,
}

/// A subscription to the notifications that concern a process. Its connection also holds the server's lock.
pub struct Subscription {
    listener: PgListener,
    url: String,
    sharing: Sharing,
    origin: Origin,
    /// The process of PostgreSQL that holds the lock, once it is taken.
    holder: Option<i32>,
}

/// The reason why a subscription was not made again.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// PostgreSQL cannot be reached.
    #[error(transparent)]
    Deaf(#[from] Deaf),
    /// Another server has taken the lock, or the lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] OpenError),
}

/// What a subscription heard.
#[derive(Debug)]
pub enum Heard {
    /// Changes of another process.
    Changes(Changes),
    /// A change of this process.
    Own,
    /// This process's heartbeat, which was sent at this time.
    Heartbeat(SentAt),
}

/// The subscription has ended: notifications may be missed.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL's notifications cannot be heard: {0}")]
pub struct Deaf(String);

impl Deaf {
    /// Returns the error of a PostgreSQL that does not answer in time.
    #[must_use]
    pub fn no_answer() -> Self {
        Self("PostgreSQL does not answer".to_owned())
    }
}

impl Subscriber {
    pub(super) fn new(
        options: PgConnectOptions,
        url: String,
        sharing: Sharing,
        origin: Origin,
    ) -> Self {
        Self {
            options,
            url,
            sharing,
            origin,
        }
    }

    /// Subscribes again, and takes the lock again that the process of PostgreSQL `holder` held.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached, or another server has taken the lock.
    pub async fn subscribe_again(&self, holder: Option<i32>) -> Result<Subscription, Lost> {
        let mut subscription = self.subscribe().await?;
        let mut patience = Duration::ZERO;
        if let Some(holder) = holder {
            let ended = server_lock::end_holder(&mut subscription.listener, holder).await;
            if ended.map_err(|error| Deaf(error.to_string()))? {
                patience = END_TIME;
            }
        }
        subscription.lock(patience).await?;
        Ok(subscription)
    }

    /// Subscribes on a new connection.
    async fn subscribe(&self) -> Result<Subscription, Deaf> {
        let deaf = |error: sqlx::Error| Deaf(error.to_string());
        // A pool of its own, which is dropped with the subscription: its connection is never used for anything else.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(deaf)?;
        listener.ignore_pool_close_event(true);
        // A lost connection is replaced by a new subscription alone, or changes would be missed unnoticed.
        listener.eager_reconnect(false);
        let heartbeats = heartbeat_channel(self.origin);
        let channels = [feed::CHANNEL, heartbeats.as_str()];
        listener.listen_all(channels).await.map_err(deaf)?;
        Ok(Subscription {
            listener,
            url: self.url.clone(),
            sharing: self.sharing,
            origin: self.origin,
            holder: None,
        })
    }

    /// Subscribes, and makes sure that this process hears its own notifications: through some poolers, it never would.
    pub(super) async fn subscribe_and_check(&self) -> Result<Subscription, OpenError> {
        let unheard = |reason: String| OpenError::Unheard {
            url: self.url.clone(),
            reason,
        };
        let subscription = self.subscribe().await;
        let mut subscription = subscription.map_err(|Deaf(reason)| unheard(reason))?;
        let heard = async {
            let sent = self.send_once().await;
            sent.map_err(|error| error.to_string())?;
            subscription.hear().await.map_err(|Deaf(reason)| reason)
        };
        match tokio::time::timeout(START_TIMEOUT, heard).await {
            Ok(Ok(_)) => Ok(subscription),
            // A pooler may also give the notification to another client.
            Ok(Err(reason)) => Err(unheard(format!("{reason}. {POOLERS}"))),
            Err(_) => Err(unheard(format!(
                "one was sent and did not arrive. {POOLERS}"
            ))),
        }
    }

    /// Sends a heartbeat on a connection of its own.
    async fn send_once(&self) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let statement = AssertSqlSafe(heartbeat(self.origin, SentAt(0)));
        connection.execute(statement).await?;
        connection.close().await
    }
}

impl Subscription {
    /// Takes the server's lock on this connection. Waits as long as `patience` for other servers to free it.
    ///
    /// # Errors
    /// When another server holds the lock that long, or PostgreSQL fails.
    pub async fn lock(&mut self, patience: Duration) -> Result<(), OpenError> {
        let taken = server_lock::take(&mut self.listener, self.sharing, patience).await;
        self.holder = taken.map_err(postgres::failed(&self.url))?;
        match self.holder {
            Some(_) => Ok(()),
            None => Err(OpenError::InUse {
                url: self.url.clone(),
                advice: self.sharing.advice(),
            }),
        }
    }

    /// Returns the process of PostgreSQL that holds the lock, if it was taken.
    #[must_use]
    pub fn holder(&self) -> Option<i32> {
        self.holder
    }

    /// Frees the lock, so that a server which waits for it need not wait for the end of the connection.
    ///
    /// # Errors
    /// When the connection has ended, and the lock with it.
    pub async fn unlock(mut self) -> Result<(), Deaf> {
        let freed = server_lock::free(&mut self.listener).await;
        freed.map_err(|error| Deaf(error.to_string()))
    }

    /// Waits for the next notification. Can be cancelled.
    ///
    /// # Errors
    /// When the connection has ended. A connection that is cut without a word only stays silent.
    pub async fn hear(&mut self) -> Result<Heard, Deaf> {
        // A cut is `None` or an error, depending on how the connection ended.
        match self.listener.try_recv().await {
            Ok(Some(notification)) if notification.channel() == feed::CHANNEL => {
                let changes = feed::read_text(notification.payload(), self.origin);
                Ok(changes.map_or(Heard::Own, Heard::Changes))
            }
            Ok(Some(notification)) => {
                let sent_at = notification.payload().parse().unwrap_or(0);
                Ok(Heard::Heartbeat(SentAt(sent_at)))
            }
            Ok(None) => Err(Deaf("the connection was closed".to_owned())),
            Err(error) => Err(Deaf(error.to_string())),
        }
    }
}

/// Sends a heartbeat of this time through the pool, which this process's own subscription must hear.
///
/// # Errors
/// When the database fails.
pub async fn send_heartbeat(
    database: &DatabaseConnection,
    origin: Origin,
    sent_at: SentAt,
) -> Result<(), DbErr> {
    database
        .execute_unprepared(&heartbeat(origin, sent_at))
        .await?;
    Ok(())
}

fn heartbeat(origin: Origin, sent_at: SentAt) -> String {
    let channel = heartbeat_channel(origin);
    format!("SELECT pg_notify('{channel}', '{}')", sent_at.0)
}

/// Only this process listens to its heartbeat.
fn heartbeat_channel(origin: Origin) -> String {
    format!("{}_{}", feed::CHANNEL, origin.to_hex())
}
