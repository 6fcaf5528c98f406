//! Sessions that ended a moment ago, told to all logs before somebody is answered that their session has ended.
//!
//! A process that has not heard of the end yet may still take a message of the session, and asks the room's log to append
//! it. The log in memory looks at the session itself. The log on Redis looks at a key of the room.

use std::sync::Arc;

use redis::{cmd, pipe};

use super::redis::{KEY_MARGIN, Link, Unavailable};
use crate::clock::millis;
use crate::domain::RoomId;
use crate::security::tokens::TokenDigest;

/// Where the logs look whether a session has ended.
pub struct EndedSessions {
    link: Option<Arc<Link>>,
}

impl EndedSessions {
    /// For the logs in this process's memory, which look at the session itself.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { link: None }
    }

    /// For the logs on Redis.
    #[must_use]
    pub fn on_redis(link: Arc<Link>) -> Self {
        Self { link: Some(link) }
    }

    /// Returns whether the logs have to be told.
    #[must_use]
    pub fn must_be_told(&self) -> bool {
        self.link.is_some()
    }

    /// Tells the logs of the rooms of a person that the person's session has ended. No append that begins after this
    /// returns posts in that session.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn tell(&self, session: TokenDigest, rooms: &[RoomId]) -> Result<(), Unavailable> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        if rooms.is_empty() {
            return Ok(());
        }
        let part = format!("ended:{}", session.to_hex());
        let mut pipeline = pipe();
        for room in rooms {
            let mut set = cmd("SET");
            set.arg(link.keys().room(*room, &part)).arg(1);
            // All processes have heard of it or serve nothing after seconds.
            set.arg("PX").arg(millis(KEY_MARGIN));
            pipeline.add_command(set).ignore();
        }
        link.run_all(&pipeline).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::redis::test_redis::{TestRedis, link_to, system_clock};
    use super::*;
    use crate::security::tokens::Token;

    #[tokio::test]
    async fn an_ended_session_is_known_in_each_room_of_its_person() {
        let redis = TestRedis::start();
        let words = &["--link-timeout", "30s"];
        let linked = link_to(redis.port(), words, system_clock()).await;
        let (link, _driver) = linked.unwrap();
        let session = Token::random().digest();

        let ended = EndedSessions::on_redis(link);
        ended.tell(session, &[RoomId(1), RoomId(42)]).await.unwrap();
        ended.tell(session, &[]).await.unwrap();

        let mut connection = redis.connect().await;
        let mut keys = cmd("EXISTS");
        for room in [1, 2, 42] {
            keys.arg(format!(
                "mirage:{{5eed:r{room}}}:ended:{}",
                session.to_hex()
            ));
        }
        let known: usize = keys.query_async(&mut connection).await.unwrap();
        assert_eq!(known, 2);
    }
}
