//! One of two servers loses its subscription to Redis alone, while Redis answers its commands.

use std::sync::Arc;
use std::time::Duration;

use mirage::live::redis::{LinkState, Session};
use redis::cmd;

use crate::cut_links::{Forwarded, NOTICED_WITHIN, Proxy};
use crate::postgres::PostgresDatabase;
use crate::redis::Redis;
use crate::redis_server::connect;
use crate::support::{Browser, TestApp, start_poll};

const ROUNDS: usize = 10;

/// Two servers of one site with a room. One of them reaches Redis through a proxy.
struct Scene {
    whole: TestApp,
    cut: TestApp,
    proxy: Proxy,
    redis: Redis,
    /// At the server that nothing is done to.
    ada: Browser,
    room: i64,
}

impl Scene {
    async fn spawn(timeout: &str) -> Self {
        let (database, redis) = (Arc::new(PostgresDatabase::migrated().await), Redis::start());
        let timeout = format!("--link-timeout={timeout}");
        let redis_url = format!("--redis-url={}", redis.url());
        let own = [redis_url.as_str(), &timeout];
        let whole = TestApp::through(Arc::clone(&database), database.port(), &own).await;
        let proxy = Proxy::to(redis.port()).await;
        let redis_url = format!("--redis-url=redis://127.0.0.1:{}", proxy.port);
        let database_url = format!("--database-url={}", database.url());
        let cut = whole.beside(&[&redis_url, &database_url, &timeout]).await;
        let ada = whole.sign_up("ada").await;
        let room = ada.create_public_room("Tea").await;
        Self {
            whole,
            cut,
            proxy,
            redis,
            ada,
            room,
        }
    }

    fn servers(&self) -> [&TestApp; 2] {
        [&self.cut, &self.whole]
    }
}

/// Waits until a server has such a link to Redis, at most for this time.
async fn reach(server: &TestApp, span: Duration, is_meant: impl Fn(LinkState) -> bool) {
    let mut states = server.core.redis.as_ref().unwrap().states();
    let reached = states.wait_for(|state| is_meant(*state));
    let within = tokio::time::timeout(span, reached).await;
    within
        .unwrap_or_else(|_| panic!("the link does not change"))
        .unwrap();
}

/// Waits until a server has a session after this one.
async fn reach_session_after(server: &TestApp, before: Session) {
    reach(
        server,
        Duration::from_secs(30),
        |state| matches!(state, LinkState::Up(now) if now.number > before.number),
    )
    .await;
}

fn session_of(server: &TestApp) -> Session {
    server.core.redis.as_ref().unwrap().session().unwrap()
}

#[actix_web::test]
async fn a_server_whose_subscription_is_silent_serves_nothing_until_it_has_another_one() {
    let scene = Scene::spawn("2s").await;
    let (ada, room) = (&scene.ada, scene.room);
    let there = ada.at(&scene.cut.address);
    ada.send(room, "hello").await.assert_status(303);
    let (cursor, nonce) = (there.cursor(room).await, there.nonce(room).await);
    let waiting = start_poll(&scene.cut, &there, room).await;
    let (before, connections) = (session_of(&scene.cut), scene.proxy.connections());

    scene.proxy.forward(Forwarded::Queries);
    ada.send(room, "missed").await.assert_status(303);

    reach(&scene.cut, NOTICED_WITHIN, |state| state == LinkState::Down).await;
    assert_eq!(waiting.answer().await.status, 503);
    there.room(room).await.assert_status(503);
    let refused = there.send_with(room, "kept", &nonce).await;
    refused.assert_status(503);
    assert_eq!(refused.text("textarea"), "kept");

    // Until then, its old subscription would bring everything after all.
    let replaced = async {
        while scene.proxy.connections() == connections {
            tokio::task::yield_now().await;
        }
    };
    let replaced = tokio::time::timeout(NOTICED_WITHIN, replaced).await;
    replaced.expect("the silence is not noticed");
    scene.proxy.forward(Forwarded::Everything);
    reach_session_after(&scene.cut, before).await;
    assert_eq!(there.messages(room).await, ["hello", "missed"]);
    let poll = there.poll(room, &format!("?after={cursor}&wait=0")).await;
    assert_eq!(
        (poll.is_reset, poll.added),
        (false, vec!["missed".to_owned()])
    );
}

#[actix_web::test]
async fn a_subscription_that_redis_ends_is_replaced_and_its_readers_miss_nothing() {
    let scene = Scene::spawn("30s").await;
    let (ada, room) = (&scene.ada, scene.room);
    let there = ada.at(&scene.cut.address);
    let mut connection = connect(&scene.redis.url()).await;
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let (before, nonce) = (scene.servers().map(session_of), ada.nonce(room).await);
        let waiting = start_poll(&scene.cut, &there, room).await;

        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("pubsub");
        let killed: usize = kill.query_async(&mut connection).await.unwrap();
        assert_eq!(killed, 2);
        sent.push(format!("message {round}"));
        ada.send_with(room, &sent[round], &nonce)
            .await
            .assert_status(303);

        let poll = waiting.answer_within(NOTICED_WITHIN).await;
        assert_eq!((poll.is_reset, &poll.added[..]), (false, &sent[round..]));
        for (server, before) in scene.servers().into_iter().zip(before) {
            reach_session_after(server, before).await;
        }
        assert_eq!(there.messages(room).await, sent);
    }
}
