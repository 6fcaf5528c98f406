//! Hearing PostgreSQL's notifications: changes of other processes, and this process's own heartbeat.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use super::feed::{self, Change, Origin};
use super::opened::OpenError;

/// How long a start waits to hear its own notification.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the operator of a pooler must set.
const POOLERS: &str = "A pooler such as pgbouncer needs pool_mode = session";

/// Makes subscriptions to the notifications that concern a process.
#[derive(Clone)]
pub struct Subscriber {
    options: PgConnectOptions,
    origin: Origin,
}

/// A subscription to the notifications that concern a process.
pub struct Subscription {
    listener: PgListener,
    origin: Origin,
}

/// What a subscription heard.
#[derive(Debug)]
pub enum Heard {
    /// Changes of another process.
    Changes(Vec<Change>),
    /// This process's heartbeat, or a change of its own.
    Own,
}

/// The subscription has ended: notifications may be missed.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL's notifications cannot be heard: {0}")]
pub struct Deaf(String);

impl Subscriber {
    pub(super) fn new(options: PgConnectOptions, origin: Origin) -> Self {
        Self { options, origin }
    }

    /// Subscribes on a new connection.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached.
    pub async fn subscribe(&self) -> Result<Subscription, Deaf> {
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
        let origin = self.origin;
        Ok(Subscription { listener, origin })
    }

    /// Subscribes, and makes sure that this process hears its own notifications: through some poolers, it never would.
    pub(super) async fn subscribe_and_check(&self, url: &str) -> Result<Subscription, OpenError> {
        let unheard = |reason: String| OpenError::Unheard {
            url: url.to_owned(),
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
        let statement = AssertSqlSafe(heartbeat(self.origin));
        connection.execute(statement).await?;
        connection.close().await
    }
}

impl Subscription {
    /// Waits for the next notification. Can be cancelled.
    ///
    /// # Errors
    /// When the connection has ended. A connection that is cut without a word only stays silent.
    pub async fn hear(&mut self) -> Result<Heard, Deaf> {
        // A cut is `None` or an error, depending on how the connection ended.
        match self.listener.try_recv().await {
            Ok(Some(notification)) if notification.channel() == feed::CHANNEL => {
                let changes = feed::read_notification(notification.payload(), self.origin);
                Ok(changes.map_or(Heard::Own, Heard::Changes))
            }
            Ok(Some(_)) => Ok(Heard::Own),
            Ok(None) => Err(Deaf("the connection was closed".to_owned())),
            Err(error) => Err(Deaf(error.to_string())),
        }
    }
}

/// Sends a heartbeat through the pool, which this process's own subscription must hear.
///
/// # Errors
/// When the database fails.
pub async fn send_heartbeat(database: &DatabaseConnection, origin: Origin) -> Result<(), DbErr> {
    database.execute_unprepared(&heartbeat(origin)).await?;
    Ok(())
}

fn heartbeat(origin: Origin) -> String {
    format!("SELECT pg_notify('{}', '')", heartbeat_channel(origin))
}

/// Only this process listens to its heartbeat.
fn heartbeat_channel(origin: Origin) -> String {
    format!("{}_{}", feed::CHANNEL, origin.to_hex())
}
