//! One of two servers is cut off from Redis or PostgreSQL alone: it shows nothing that the site has forgotten, and to nobody
//! what they may no longer see.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mirage::clock::Stopwatch;
use mirage::live::redis::Handler;
use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use crate::cut_links::{Forwarded, NOTICED_WITHIN, Proxy};
use crate::made_public::send_form;
use crate::postgres::PostgresDatabase;
use crate::redis::Redis;
use crate::support::{Browser, ROOM_PASSWORD, TestApp, start_poll};
use crate::two_servers::is_table_awaited;

const LIFESPAN: Duration = Duration::from_secs(60);

/// Two servers of one site. One of them reaches PostgreSQL and Redis through proxies.
struct Scene {
    whole: TestApp,
    cut: TestApp,
    /// In front of Redis, and in front of PostgreSQL.
    proxies: [Proxy; 2],
    /// The settings of another server that is not cut off.
    settings: Vec<String>,
    database: Arc<PostgresDatabase>,
    _redis: Redis,
}

/// The default.
const LINK_TIMEOUT: Duration = Duration::from_secs(1);

impl Scene {
    /// A scene whose servers have a link timeout of 2 s.
    async fn spawn() -> Self {
        Self::with_timeouts("2s", "2s").await
    }

    /// A scene whose servers have these link timeouts.
    async fn with_timeouts(whole: &str, cut: &str) -> Self {
        let (database, redis) = (Arc::new(PostgresDatabase::migrated().await), Redis::start());
        let redis_url = format!("--redis-url={}", redis.url());
        let timeout = format!("--link-timeout={whole}");
        let own = [redis_url.as_str(), &timeout, "--message-lifespan=1min"];
        let whole = TestApp::through(Arc::clone(&database), database.port(), &own).await;
        let database_url = format!("--database-url={}", database.url());
        let settings = [&own[..], &[&database_url]].concat();
        let settings = settings.into_iter().map(str::to_owned).collect();
        let proxies = [
            Proxy::to(redis.port()).await,
            Proxy::to(database.port()).await,
        ];
        let redis_url = format!("--redis-url=redis://127.0.0.1:{}", proxies[0].port);
        let database_url = format!("--database-url={}", database.url_at(proxies[1].port));
        let timeout = format!("--link-timeout={cut}");
        let lifespan = "--message-lifespan=1min";
        let own = [redis_url.as_str(), &database_url, &timeout, lifespan];
        let cut = whole.beside(&own).await;
        Self {
            whole,
            cut,
            proxies,
            settings,
            database,
            _redis: redis,
        }
    }

    /// The same browser, which asks the server that is cut off.
    fn at_cut(&self, browser: &Browser) -> Browser {
        browser.at(&self.cut.address)
    }

    /// Creates a private room with a message, and returns its owner and its ID.
    async fn private_room(&self) -> (Browser, i64) {
        let ada = self.whole.sign_up("ada").await;
        let room = ada.create_private_room("Den").await;
        ada.send(room, "between us").await.assert_status(303);
        (ada, room)
    }

    /// Waits until the server that was cut off serves the room again.
    async fn mend(&self, link: usize, browser: &Browser, room: i64) {
        self.proxies[link].forward(Forwarded::Everything);
        until_served(browser, room).await;
    }
}

/// Waits until a server serves a room.
async fn until_served(browser: &Browser, room: i64) {
    let served = async { while browser.room(room).await.status == 503 {} };
    let served = tokio::time::timeout(Duration::from_secs(30), served).await;
    served.unwrap_or_else(|_| panic!("the server does not come back"));
}

/// Waits until this time by the stopwatch is over.
async fn until_over(time: Duration, watch: Stopwatch) {
    while watch.elapsed() <= time {
        tokio::time::sleep(time.saturating_sub(watch.elapsed())).await;
    }
}

/// Asserts that a person is shown nothing that may be old.
async fn assert_refused(browser: &Browser, room: i64, nonce: &str) {
    browser.room(room).await.assert_status(503);
    assert_eq!(browser.poll(room, "?wait=0").await.status, 503);
    assert_eq!(browser.poll(room, "").await.status, 503);
    let sent = browser.send_with(room, "not lost", nonce).await;
    sent.assert_status(503);
    assert_eq!(sent.text("textarea"), "not lost");
    browser.get("/healthz").await.assert_status(503);
    browser.get("/rooms/mine").await.assert_status(503);
}

// The server compares times when it is asked: what a heartbeat proves was so when the heartbeat was sent, which was before
// the cut. So this holds however late its tasks are.
#[actix_web::test]
async fn a_request_that_is_sent_a_second_after_a_cut_is_refused() {
    let scene = Scene::with_timeouts("30s", "1s").await;
    let (ada, room) = scene.private_room().await;
    let nonce = ada.nonce(room).await;
    let there = scene.at_cut(&ada);
    for link in [0, 1] {
        // A busy machine may have been too slow for it, too.
        until_served(&there, room).await;
        let query = format!("?after={}", ada.cursor(room).await);
        let reader = there.clone();
        let waiting = tokio::spawn(async move { reader.poll(room, &query).await });

        scene.proxies[link].forward(Forwarded::Nothing);
        until_over(LINK_TIMEOUT, Stopwatch::start()).await;

        assert_refused(&there, room, &nonce).await;
        let poll = waiting.await.unwrap();
        assert!(matches!(poll.status, 204 | 503), "{link}: {poll:?}");
        scene.proxies[link].forward(Forwarded::Everything);
    }
}

#[actix_web::test]
async fn a_server_whose_own_tasks_are_late_refuses_what_it_cannot_prove() {
    let scene = Scene::with_timeouts("30s", "1s").await;
    let (ada, room) = scene.private_room().await;
    let nonce = ada.nonce(room).await;
    let there = scene.at_cut(&ada);
    until_served(&there, room).await;

    // The tasks that prove both links are on the thread that hears this channel.
    let link = scene.cut.core.redis.as_ref().unwrap();
    let (is_held_up, mut held_up) = tokio::sync::mpsc::unbounded_channel();
    let (let_go, is_let_go) = std::sync::mpsc::channel::<()>();
    let is_let_go = Mutex::new(is_let_go);
    let hold_up: Handler = Arc::new(move |_| {
        is_held_up.send(()).unwrap();
        // Ends when the test drops its end.
        let _ = is_let_go.lock().unwrap().recv();
    });
    let channel = link.keys().site("late");
    link.up().await;
    link.subscribe(&channel, hold_up).await.unwrap();
    let whole = scene.whole.core.redis.as_ref().unwrap();
    let mut publish = ::redis::cmd("PUBLISH");
    let () = whole.run(publish.arg(&channel).arg("")).await.unwrap();
    held_up.recv().await.unwrap();
    until_over(LINK_TIMEOUT, Stopwatch::start()).await;

    assert_refused(&there, room, &nonce).await;
    // Pages that need no Redis.
    there.get("/account").await.assert_status(503);
    there.get("/account/sessions").await.assert_status(503);
    drop(let_go);
    until_served(&there, room).await;
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

#[actix_web::test]
async fn a_server_that_is_cut_off_holds_up_changes_only_until_it_serves_nothing() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let scene = Scene::spawn().await;
    let (ada, room) = scene.private_room().await;
    let bob = scene.whole.sign_up("bob").await;
    let joined = bob.join_privately("Den", ROOM_PASSWORD).await;
    joined.assert_status(303);
    let there = scene.at_cut(&bob);
    there.room(room).await.assert_status(200);

    for proxy in &scene.proxies {
        proxy.forward(Forwarded::Nothing);
    }
    let watch = Stopwatch::start();
    ada.manage(room, "bob", "remove", &[("confirm", "1")])
        .await
        .assert_status(303);
    let taken = watch.elapsed();
    assert!(taken < 2 * TIMEOUT + Duration::from_secs(10), "{taken:?}");
    there.room(room).await.assert_status(503);

    // Nobody waits for it any more.
    let watch = Stopwatch::start();
    ada.create_public_room("Tea").await;
    let taken = watch.elapsed();
    assert!(taken < 2 * TIMEOUT, "{taken:?}");
}

#[actix_web::test]
async fn a_server_that_is_cut_off_does_not_hold_up_the_deletion_of_what_was_private() {
    let scene = Scene::spawn().await;
    let settings: Vec<&str> = scene.settings.iter().map(String::as_str).collect();
    let other = scene.whole.beside(&settings).await;
    let (ada, room) = scene.private_room().await;
    let member = ada.at(&other.address);
    let holder = Database::connect(scene.database.url()).await.unwrap();
    let hold = holder.begin().await.unwrap();
    let lock = "LOCK TABLE changes IN EXCLUSIVE MODE";
    hold.execute_unprepared(lock).await.unwrap();
    let publishing = tokio::spawn(async move {
        let path = format!("/rooms/{room}/settings/public");
        ada.post(&path, &[("confirm", "1")]).await
    });
    // The messages until now are gone, and the change is about to be committed.
    while !is_table_awaited(&scene.whole).await {}
    let page = member.room(room).await;
    assert_eq!(page.texts("#log .text"), [""; 0]);
    let sent = send_form(&member, &page, "meanwhile").await;
    sent.assert_status(303);
    assert_eq!(member.messages(room).await, ["meanwhile"]);

    scene.proxies[0].forward(Forwarded::Nothing);
    hold.commit().await.unwrap();

    // As soon as the other server knows of it, anybody may join the room there.
    while !member.room(room).await.body.contains("Public room.") {}
    assert_eq!(member.messages(room).await, [""; 0]);
    publishing.await.unwrap().assert_status(303);
}
