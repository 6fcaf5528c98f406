//! One of two servers is cut off from Redis or PostgreSQL alone: it shows nothing that the site has forgotten, and to nobody
//! what they may no longer see.

use std::sync::Arc;
use std::time::Duration;

use crate::cut_links::{Forwarded, NOTICED_WITHIN, Proxy};
use crate::postgres::PostgresDatabase;
use crate::redis::Redis;
use crate::support::{Browser, ROOM_PASSWORD, TestApp, start_poll};

const LIFESPAN: Duration = Duration::from_secs(60);

/// Two servers of one site. One of them reaches PostgreSQL and Redis through proxies.
struct Scene {
    whole: TestApp,
    cut: TestApp,
    /// In front of Redis, and in front of PostgreSQL.
    proxies: [Proxy; 2],
    _redis: Redis,
}

impl Scene {
    async fn spawn() -> Self {
        let (database, redis) = (Arc::new(PostgresDatabase::migrated().await), Redis::start());
        let redis_url = format!("--redis-url={}", redis.url());
        let flags = ["--link-timeout=2s", "--message-lifespan=1min"];
        let own = [&[redis_url.as_str()], &flags[..]].concat();
        let whole = TestApp::through(Arc::clone(&database), database.port(), &own).await;
        let proxies = [
            Proxy::to(redis.port()).await,
            Proxy::to(database.port()).await,
        ];
        let redis_url = format!("--redis-url=redis://127.0.0.1:{}", proxies[0].port);
        let database_url = format!("--database-url={}", database.url_at(proxies[1].port));
        let own = [&[redis_url.as_str(), &database_url], &flags[..]].concat();
        let cut = whole.beside(&own).await;
        Self {
            whole,
            cut,
            proxies,
            _redis: redis,
        }
    }

    /// The same browser, which asks the server that is cut off.
    fn at_cut(&self, browser: &Browser) -> Browser {
        browser.at(&self.cut.address)
    }

    /// Waits until the server that was cut off serves the room again.
    async fn mend(&self, link: usize, browser: &Browser, room: i64) {
        self.proxies[link].forward(Forwarded::Everything);
        let served = async { while browser.room(room).await.status == 503 {} };
        let served = tokio::time::timeout(Duration::from_secs(30), served).await;
        served.unwrap_or_else(|_| panic!("{link}: the server does not come back"));
    }
}

#[actix_web::test]
async fn a_server_that_is_cut_off_shows_nothing_past_its_deadline() {
    let scene = Scene::spawn().await;
    let ada = scene.whole.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let there = scene.at_cut(&ada);
    for link in [0, 1] {
        ada.send(room, "soon gone").await.assert_status(303);
        assert_eq!(there.messages(room).await, ["soon gone"]);
        let waiting = start_poll(&scene.cut, &there, room).await;

        scene.proxies[link].forward(Forwarded::Nothing);
        scene.whole.clock.advance(LIFESPAN);

        let noticed = async {
            loop {
                let page = there.room(room).await;
                assert!(!page.body.contains("soon gone"), "{link}: {}", page.status);
                if page.status == 503 {
                    return;
                }
            }
        };
        let noticed = tokio::time::timeout(NOTICED_WITHIN, noticed).await;
        noticed.expect("the cut is not noticed");
        let poll = waiting.answer_within(NOTICED_WITHIN).await;
        assert!(poll.added.is_empty(), "{link}: {poll:?}");
        scene.mend(link, &there, room).await;
        assert_eq!(there.messages(room).await, [""; 0]);
    }
}

#[actix_web::test]
async fn a_server_that_is_cut_off_soon_shows_no_room_to_a_person_who_was_removed_elsewhere() {
    let scene = Scene::spawn().await;
    let (ada, bob) = (
        scene.whole.sign_up("ada").await,
        scene.whole.sign_up("bob").await,
    );
    let room = ada.create_private_room("Den").await;
    let there = scene.at_cut(&bob);
    for link in [0, 1] {
        bob.join_privately("Den", ROOM_PASSWORD)
            .await
            .assert_status(303);
        ada.send(room, "between us").await.assert_status(303);
        there.room(room).await.assert_status(200);
        let waiting = start_poll(&scene.cut, &there, room).await;

        scene.proxies[link].forward(Forwarded::Nothing);
        ada.manage(room, "bob", "remove", &[("confirm", "1")])
            .await
            .assert_status(303);

        let hidden = async { while there.room(room).await.status == 200 {} };
        let hidden = tokio::time::timeout(NOTICED_WITHIN, hidden).await;
        hidden.unwrap_or_else(|_| panic!("{link}: the room is still shown"));
        ada.send(room, "without bob").await.assert_status(303);
        let poll = waiting.answer_within(NOTICED_WITHIN).await;
        assert!(matches!(poll.status, 404 | 503), "{link}: {poll:?}");
        scene.mend(link, &there, room).await;
        there.room(room).await.assert_status(404);
    }
}
