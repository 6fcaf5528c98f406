//! The questions to Redis before a connection is used: could it write messages to a disk, or keep what was deleted?

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use sha2::{Digest, Sha256};

use crate::config::Persistence;

/// The reason why a Redis is not used, as a sentence that says how to set it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Redis saves snapshots.
    #[error(
        "Redis saves snapshots to a disk, where messages must never be: set save \"\" in its configuration, or run CONFIG SET save \"\""
    )]
    Save,
    /// Redis writes an append-only file.
    #[error(
        "Redis writes an append-only file to a disk, where messages must never be: set appendonly no in its configuration, or run CONFIG SET appendonly no"
    )]
    AppendOnly,
    /// Redis has replicas.
    #[error(
        "Redis has {0} connected replicas, which may write messages to a disk: disconnect them, or set --redis-persistence trust if you know that they do not"
    )]
    Replicas(u64),
    /// Redis keeps slow commands in a log.
    #[error(
        "Redis keeps the text of slow commands in its slow log: set slowlog-log-slower-than -1 in its configuration, or run CONFIG SET slowlog-log-slower-than -1"
    )]
    SlowLog,
    /// Redis drops keys when its memory is full.
    #[error(
        "Redis may drop any key when its memory is full (maxmemory-policy is {0}): set maxmemory-policy noeviction in its configuration, or run CONFIG SET maxmemory-policy noeviction"
    )]
    Eviction(String),
    /// Redis does not say how it is set.
    #[error(
        "Redis does not answer CONFIG GET {0}, so nobody can tell whether it writes messages to a disk: allow that command, or set --redis-persistence trust if you know that it does not"
    )]
    Silent(&'static str),
    /// This Redis is a replica.
    #[error("this Redis is a replica, which cannot be written: set --redis-url to the primary")]
    IsReplica,
    /// Redis does not say which one it is.
    #[error(
        "Redis does not answer INFO replication, by which a restarted Redis is told from one that kept its memory: allow that command"
    )]
    NoReplicationId,
}

/// Asks a Redis how it is set. Returns a number for the life of its memory: another one for each start of a Redis,
/// and for each one that takes another's place.
pub(super) async fn life_of(
    connection: &mut MultiplexedConnection,
    persistence: Persistence,
) -> Result<Result<u64, Refused>, RedisError> {
    for (setting, judge) in JUDGES {
        let value = match config(connection, setting).await? {
            Some(value) => value,
            None if persistence == Persistence::Trust => continue,
            None => return Ok(Err(Refused::Silent(setting))),
        };
        if let Some(refused) = judge(&value) {
            return Ok(Err(refused));
        }
    }
    replication(connection, persistence).await
}

type Judge = fn(&str) -> Option<Refused>;

/// Each setting that is asked for, and what is wrong with its value.
const JUDGES: [(&str, Judge); 4] = [
    ("save", |value| (!value.is_empty()).then_some(Refused::Save)),
    ("appendonly", |value| {
        (value != "no").then_some(Refused::AppendOnly)
    }),
    ("slowlog-log-slower-than", |value| {
        let is_off = value.parse::<i64>().is_ok_and(|least| least < 0);
        (!is_off).then_some(Refused::SlowLog)
    }),
    ("maxmemory-policy", |value| {
        (value != "noeviction").then(|| Refused::Eviction(value.to_owned()))
    }),
];

/// Returns the value of a setting, or `None` if Redis does not say it.
async fn config(
    connection: &mut MultiplexedConnection,
    setting: &str,
) -> Result<Option<String>, RedisError> {
    let mut command = cmd("CONFIG");
    command.arg("GET").arg(setting);
    let answer: Result<Vec<String>, _> = command.query_async(connection).await;
    match answer {
        Ok(answer) => Ok(answer.into_iter().nth(1)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn replication(
    connection: &mut MultiplexedConnection,
    persistence: Persistence,
) -> Result<Result<u64, Refused>, RedisError> {
    let info: String = match cmd("INFO").arg("replication").query_async(connection).await {
        Ok(info) => info,
        Err(error) if is_refusal(&error) => return Ok(Err(Refused::NoReplicationId)),
        Err(error) => return Err(error),
    };
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.trim().split_once(':'))
            .find_map(|(key, value)| (key == name).then_some(value))
    };
    if field("role").is_some_and(|role| role != "master") {
        return Ok(Err(Refused::IsReplica));
    }
    let replicas = field("connected_slaves").and_then(|count| count.parse().ok());
    if let Some(replicas @ 1..) = replicas
        && persistence == Persistence::Check
    {
        return Ok(Err(Refused::Replicas(replicas)));
    }
    let id = field("master_replid").filter(|id| !id.is_empty());
    Ok(id.map(hash).ok_or(Refused::NoReplicationId))
}

/// Returns whether Redis answered, but does not allow or know the command.
fn is_refusal(error: &RedisError) -> bool {
    // Without the right password, Redis answers nothing at all.
    error.code() != Some("NOAUTH")
        && !error.is_io_error()
        && !error.is_unrecoverable_error()
        && !error.is_timeout()
}

fn hash(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    let first = digest.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}
