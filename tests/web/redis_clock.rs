//! The clock of Redis is set by a day while servers run: nothing ends early, and nothing revives.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};

use crate::redis_server::{RedisServer, connect};
use crate::support::{Browser, PASSWORD, Page, TestApp, start_poll};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MOMENT: Duration = Duration::from_millis(1);

/// A Redis, and the connection of the test itself.
struct Scene {
    redis: RedisServer,
    connection: MultiplexedConnection,
}

impl Scene {
    async fn start() -> Self {
        let redis = RedisServer::with_own_clock();
        let connection = connect(&redis.url()).await;
        Self { redis, connection }
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &mut Cmd) -> T {
        command.query_async(&mut self.connection).await.unwrap()
    }

    /// The time by the clock of Redis, in seconds.
    async fn time(&mut self) -> i64 {
        let (seconds, _): (i64, i64) = self.ask(&mut cmd("TIME")).await;
        seconds
    }

    /// Sets the clock of Redis this many seconds ahead of the machine's, and makes sure that it goes by it.
    async fn set_clock(&mut self, was_ahead: i64, ahead: i64) {
        let half = u64::try_from(DAY.as_millis()).unwrap() / 2;
        let mut short = cmd("SET");
        short.arg("short").arg(1).arg("PX").arg(half);
        let () = self.ask(&mut short).await;
        let before = self.time().await;

        self.redis.set_clock(ahead);

        let moved = self.time().await - before;
        let step = ahead - was_ahead;
        assert!((step..step + 3_600).contains(&moved), "{moved} s");
        let is_there: bool = self.ask(cmd("EXISTS").arg("short")).await;
        assert_eq!(is_there, step < 0);
    }

    /// Asserts that Redis drops no key within a day.
    async fn assert_all_keys_stay(&mut self) {
        let keys: Vec<String> = self.ask(cmd("KEYS").arg("*")).await;
        assert!(!keys.is_empty());
        let day = i64::try_from(DAY.as_millis()).unwrap();
        for key in keys {
            let left: i64 = self.ask(cmd("PTTL").arg(&key)).await;
            // Negative numbers stand for keys without an end, and for those that are gone.
            assert!(left < 0 || left > day, "{key}: {left} ms");
        }
    }
}

async fn create_room(browser: &Browser, name: &str, nonce: &str) -> Page {
    let form = [("name", name), ("kind", "public"), ("nonce", nonce)];
    browser.post("/rooms/new", &form).await
}

async fn here(browser: &Browser, room: i64) -> String {
    browser.room(room).await.text("#members-heading")
}

#[actix_web::test]
async fn nothing_ends_early_and_nothing_revives_when_the_clock_of_redis_is_set_by_a_day() {
    for step in [86_400, -86_400] {
        let mut scene = Scene::start().await;
        let app = TestApp::with(&[
            &scene.redis.flag(),
            "--message-lifespan=1h",
            "--limits=on",
            "--limit-rooms=1+1/6h",
        ])
        .await;
        let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
        let room = ada.create_public_room("Tea").await;
        ada.send(room, "gone").await.assert_status(303);
        app.clock.advance(HOUR);
        assert_eq!(ada.messages(room).await, [""; 0]);
        let cleo = app.sign_up("cleo").await;
        bob.join(room).await;
        cleo.join(room).await;
        ada.send(room, "lives").await.assert_status(303);
        let nonce = cleo.nonce(room).await;
        cleo.post("/logout", &[("sign-out", "1")]).await;
        let draft = cleo.send_with(room, "a draft", &nonce).await;
        draft.assert_status(303);
        let nonce = bob.get("/rooms/new").await;
        let nonce = nonce.attribute("main form [name=nonce]", "value");
        let created = create_room(&bob, "Cake", &nonce).await;
        created.assert_status(303);
        let cursor = bob.cursor(room).await;
        let everybody = "Members (3), 3 here now";
        assert_eq!(here(&ada, room).await, everybody);
        scene.assert_all_keys_stay().await;
        let waiting = start_poll(&app, &ada, room).await;

        scene.set_clock(0, step).await;

        // Nothing has ended.
        bob.send(room, "lives, too").await.assert_status(303);
        assert_eq!(waiting.answer().await.added, ["lives, too"]);
        app.hear_all(room).await;
        let poll = bob.poll(room, &format!("?after={cursor}&wait=0")).await;
        assert_eq!(
            (poll.is_reset, poll.added),
            (false, vec!["lives, too".to_owned()])
        );
        let all = ["lives", "lives, too"];
        assert_eq!(ada.messages(room).await, all);
        assert_eq!(bob.messages(room).await, all);
        assert_eq!(here(&ada, room).await, everybody);
        let own = bob.get("/rooms/mine").await;
        assert!(!own.body.contains("new message"), "{}", own.body);
        let again = create_room(&bob, "Cake", &nonce).await;
        again.assert_redirect(created.location());
        create_room(&bob, "Bread", "").await.assert_status(429);
        let out = cleo.get("/rooms/mine").await;
        out.assert_redirect("/login?next=/rooms/mine");

        // Each ends at its time.
        app.clock.advance(MINUTE);
        assert_eq!(here(&ada, room).await, "Members (3), 1 here now");
        app.clock.advance(9 * MINUTE);
        // It is a new form.
        create_room(&bob, "Cake", &nonce).await.assert_status(429);
        app.clock.advance(50 * MINUTE - MOMENT);
        assert_eq!(ada.messages(room).await, all);
        app.clock.advance(MOMENT);
        assert_eq!(ada.messages(room).await, [""; 0]);
        let poll = bob.poll(room, &format!("?after={cursor}&wait=0")).await;
        assert_eq!((poll.status, poll.added), (204, Vec::new()));
        app.clock.advance(5 * HOUR - MOMENT);
        create_room(&bob, "Bread", "").await.assert_status(429);
        app.clock.advance(MOMENT);
        create_room(&bob, "Bread", "").await.assert_status(303);
        app.clock.advance(18 * HOUR - MOMENT);
        let form = [("name", "cleo"), ("password", PASSWORD)];
        cleo.post("/login", &form).await.assert_status(303);
        let held = format!("/rooms/{room}?held=1");
        assert_eq!(cleo.get(&held).await.text("#message"), "a draft");
        app.clock.advance(MOMENT);
        assert_eq!(cleo.get(&held).await.text("#message"), "");

        scene.set_clock(step, 0).await;

        // Nothing revives.
        assert_eq!(ada.messages(room).await, [""; 0]);
        assert_eq!(cleo.get(&held).await.text("#message"), "");
        let poll = bob.poll(room, "?wait=0").await;
        assert_eq!(poll.added, [""; 0]);
        ada.send(room, "new").await.assert_status(303);
        assert_eq!(bob.messages(room).await, ["new"]);
    }
}
