//! Two servers of one site: what one of them has answered, the other shows at once.

use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use mirage::live::redis::LinkState;
use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use crate::cut_links::{Forwarded, Proxy};
use crate::postgres::PostgresDatabase;
use crate::program::Running;
use crate::redis::wait_for;
use crate::redis_server::RedisServer;
use crate::support::{Browser, PASSWORD, ROOM_PASSWORD, TestApp, db_column, start_poll};

/// How often each change is made.
const ROUNDS: usize = 10;

struct Site {
    one: TestApp,
    other: TestApp,
    /// In front of PostgreSQL, for the other server.
    proxy: Proxy,
    _redis: RedisServer,
}

impl Site {
    async fn spawn() -> Self {
        let (database, redis) = (
            Arc::new(PostgresDatabase::migrated().await),
            RedisServer::start(),
        );
        let port = database.port();
        let proxy = Proxy::to(port).await;
        let (redis_url, database_url) = (redis.flag(), database_flag(&database, proxy.port));
        let one = TestApp::through(database, port, &[&redis_url]).await;
        let other = one.beside(&[&redis_url, &database_url]).await;
        Self {
            one,
            other,
            proxy,
            _redis: redis,
        }
    }

    /// A site whose other server hears of changes through Redis alone. It notices that after 30 s, and then reads from the
    /// database what it does not hear of.
    async fn told_through_redis() -> Self {
        let site = Self::spawn().await;
        site.proxy.forward(Forwarded::Queries);
        site
    }

    /// The same browser, which asks the other server.
    fn at_other(&self, browser: &Browser) -> Browser {
        browser.at(&self.other.address)
    }
}

fn database_flag(database: &PostgresDatabase, port: u16) -> String {
    format!("--database-url={}", database.url_at(port))
}

#[actix_web::test]
async fn a_room_is_listed_renamed_and_deleted_at_the_other_server_at_once() {
    let site = Site::told_through_redis().await;
    let ada = site.one.sign_up("ada").await;
    let there = site.at_other(&ada);
    let rooms = async || {
        let (all, own) = (there.get("/rooms").await, there.get("/rooms/mine").await);
        assert_eq!(all.texts(".rooms h2"), own.texts(".rooms h2"));
        all.texts(".rooms h2")
    };
    for round in 0..ROUNDS {
        assert_eq!(rooms().await, [""; 0]);
        let room = ada.create_public_room("Tea").await;
        assert_eq!(rooms().await, ["Tea"]);
        assert_eq!(there.room(room).await.text("h1"), "Tea");

        let name = format!("Cake {}", ["a", "b"][round % 2]);
        let form = [
            ("name", name.as_str()),
            ("description", "sweet"),
            ("lifespan", "longest"),
            ("slow-mode", "0"),
            ("language", ""),
            ("posting", "everyone"),
        ];
        let path = format!("/rooms/{room}/settings");
        ada.post(&path, &form).await.assert_status(303);
        assert_eq!(there.room(room).await.text("h1"), name);
        assert_eq!(rooms().await, [name]);

        ada.post(&format!("{path}/delete"), &[("confirm", "1")])
            .await
            .assert_status(303);
        there.room(room).await.assert_status(404);
    }
}

#[actix_web::test]
async fn a_server_that_has_applied_a_change_does_not_read_its_rows_twice() {
    let site = Site::spawn().await;
    let ada = site.one.sign_up("ada").await;
    let there = site.at_other(&ada);
    for round in 1..=5 * ROUNDS {
        ada.create_public_room(&format!("Tea {}", "a".repeat(round)))
            .await;
        let listed = there.get("/rooms").await;
        assert_eq!(listed.texts(".rooms h2").len(), round);
        let before = site.other.db_statements();

        // The change feed tells of the change, too, about now.
        there.get("/rooms").await.assert_status(200);

        assert_eq!(site.other.db_statements(), before);
    }
}

#[actix_web::test]
async fn members_come_and_go_at_the_other_server_at_once() {
    let site = Site::told_through_redis().await;
    let (ada, bob) = (site.one.sign_up("ada").await, site.one.sign_up("bob").await);
    let there = site.at_other(&bob);
    let (tea, den) = (
        ada.create_public_room("Tea").await,
        ada.create_private_room("Den").await,
    );
    for _ in 0..ROUNDS {
        let outside = there.room(tea).await;
        assert!(!outside.has("#log"));
        bob.join(tea).await;
        assert!(there.room(tea).await.has("#log"));
        ada.make_moderator(tea, "bob").await;
        let members = there.members(tea).await;
        assert_eq!(members, ["ada, owner", "bob (you), moderator"]);
        ada.ban(tea, "bob", "crumbs").await;
        assert!(!there.room(tea).await.has("#log"));
        assert_eq!(there.poll(tea, "?wait=0").await.status, 403);
        there
            .post(&format!("/rooms/{tea}/join"), &[("join", "1")])
            .await
            .assert_status(403);
        let bans = ada.get(&format!("/rooms/{tea}/members")).await;
        let lift = bans.attribute("main form[action$='/lift']", "action");
        ada.post(&lift, &[("lift", "1")]).await.assert_status(303);

        there.room(den).await.assert_status(404);
        let joined = bob.join_privately("Den", ROOM_PASSWORD).await;
        joined.assert_status(303);
        there.room(den).await.assert_status(200);
        bob.leave(den).await;
        there.room(den).await.assert_status(404);
    }
}

#[actix_web::test]
async fn a_session_ends_at_the_other_server_at_once() {
    let site = Site::told_through_redis().await;
    let ada = site.one.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    for _ in 0..ROUNDS {
        let phone = site.one.sign_in("ada", PASSWORD).await;
        let there = site.at_other(&phone);
        let cursor = there.cursor(room).await;

        let ended = ada.post("/account/sessions/end-others", &[("end", "1")]);
        ended.await.assert_status(303);

        let poll = there.poll(room, &format!("?after={cursor}&wait=0")).await;
        assert_eq!(poll.status, 401);
        let home = there.get("/rooms/mine").await;
        home.assert_redirect("/login?next=/rooms/mine");
    }
}

#[actix_web::test]
async fn both_servers_say_alike_when_a_session_was_last_used() {
    let site = Site::spawn().await;
    let ada = site.one.sign_up("ada").await;
    let phone = site.one.sign_in("ada", PASSWORD).await;
    let there = site.at_other(&ada);
    for asked in [&ada, &there] {
        site.one.clock.advance(Duration::from_secs(600));
        phone.at(&asked.address).get("/rooms").await;

        let sessions = ada.get("/account/sessions").await.texts(".sessions p");

        let other = there.get("/account/sessions").await;
        assert_eq!(other.texts(".sessions p"), sessions);
    }
}

#[actix_web::test]
async fn a_persons_settings_are_those_of_the_other_server_at_once() {
    let site = Site::told_through_redis().await;
    let (ada, bob) = (site.one.sign_up("ada").await, site.one.sign_up("bob").await);
    let there = site.at_other(&ada);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    bob.send(room, "buy").await.assert_status(303);
    let person = ada.member_id(room, "bob").await;
    let path = format!("/rooms/{room}/members/{person}/ignore");
    for _ in 0..ROUNDS {
        for choice in ["none", "each"] {
            let saved = ada.post("/account", &[("announcements", choice)]).await;
            saved.assert_status(303);
            let page = there.get("/account").await;
            let chosen = page.attribute("[checked]", "value");
            assert_eq!(chosen, choice);
        }
        assert_eq!(there.messages(room).await, ["buy"]);
        ada.post(&path, &[("confirm", "1")])
            .await
            .assert_status(303);
        assert_eq!(there.messages(room).await, [""; 0]);
        let ignored = there.get("/account/ignored").await;
        let stop = ignored.attribute("main form", "action");
        ada.post(&stop, &[("stop", "1")]).await.assert_status(303);
    }
}

// None of these is in PostgreSQL, and none is told as changes are: the room's stream and channel, and those of read marks and
// presence, bring them.
#[actix_web::test]
async fn messages_read_marks_and_people_here_are_those_of_the_other_server_at_once() {
    let site = Site::told_through_redis().await;
    let (ada, bob) = (site.one.sign_up("ada").await, site.one.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let (ada_there, bob_there) = (site.at_other(&ada), site.at_other(&bob));
    for round in 1..=ROUNDS {
        ada.send(room, &format!("tea {round}"))
            .await
            .assert_status(303);
        let mine = bob_there.get("/rooms/mine").await;
        assert!(mine.body.contains("1 new message"), "{}", mine.body);
        assert_eq!(bob_there.messages(room).await.len(), round);
        let mine = bob.get("/rooms/mine").await;
        assert!(!mine.body.contains("new message"), "{}", mine.body);
        let poll = ada_there.poll(room, "?wait=0").await;
        assert_eq!(poll.added.len(), round);
    }
    let delete = ada_there.room(room).await;
    let delete = &delete.attributes("#log a[href$='/delete']", "href")[0];
    ada_there
        .post(delete, &[("delete", "1")])
        .await
        .assert_status(303);
    assert_eq!(ada.messages(room).await.len(), ROUNDS - 1);
    assert_eq!(bob.messages(room).await.len(), ROUNDS - 1);
}

#[actix_web::test]
async fn a_server_that_stops_hears_nothing_and_holds_up_no_change() {
    let site = Site::spawn().await;
    let ada = site.one.sign_up("ada").await;
    let Site {
        one: _one,
        other,
        proxy: _proxy,
        _redis,
    } = site;

    other.stop().await;

    // The links' timeout is 30 s.
    let watch = Stopwatch::start();
    ada.create_public_room("Tea").await;
    let taken = watch.elapsed();
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[actix_web::test]
async fn a_server_that_was_killed_holds_up_no_change() {
    let (database, redis) = (
        Arc::new(PostgresDatabase::migrated().await),
        RedisServer::start(),
    );
    let (redis_url, database_url) = (redis.flag(), database_flag(&database, database.port()));
    let port = database.port();
    let app = TestApp::through(database, port, &[&redis_url]).await;
    let ada = app.sign_up("ada").await;
    let folder = tempfile::tempdir().unwrap();
    let starting = tokio::task::spawn_blocking(move || {
        let flags = [redis_url.as_str(), &database_url, "--link-timeout=30s"];
        Running::start(folder.path(), &flags)
    });
    let running = starting.await.unwrap();
    ada.create_public_room("Tea").await;

    running.stop("-KILL");

    let watch = Stopwatch::start();
    ada.create_public_room("Cake").await;
    let taken = watch.elapsed();
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[actix_web::test]
async fn a_server_that_does_not_hear_the_change_feed_holds_up_no_change() {
    let (database, redis) = (
        Arc::new(PostgresDatabase::migrated().await),
        RedisServer::start(),
    );
    let port = database.port();
    let proxy = Proxy::to(port).await;
    let redis_url = redis.flag();
    let whole = TestApp::through(Arc::clone(&database), port, &[&redis_url]).await;
    let database_url = database_flag(&database, proxy.port);
    let deaf = whole.beside(&[&redis_url, &database_url]).await;
    let ada = whole.sign_up("ada").await;
    let there = ada.at(&deaf.address);
    let room = ada.create_public_room("Tea").await;
    let waiting = start_poll(&deaf, &there, room).await;
    there.get("/rooms/mine").await.assert_status(200);

    proxy.forward(Forwarded::Queries);

    // The other server does not know yet that it is deaf. It hears of the change through Redis.
    let watch = Stopwatch::start();
    ada.create_public_room("Cake").await;
    let taken = watch.elapsed();
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    let all = there.get("/rooms/mine").await.texts(".rooms h2");
    assert_eq!(all, ["Cake", "Tea"]);
    let path = format!("/rooms/{room}/settings/delete");
    ada.post(&path, &[("confirm", "1")])
        .await
        .assert_status(303);
    assert_eq!(waiting.answer().await.status, 404);
}

#[actix_web::test]
async fn a_removal_that_cannot_be_told_is_answered_once_no_server_lets_the_person_post() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let (database, redis) = (
        Arc::new(PostgresDatabase::migrated().await),
        crate::redis::Redis::start(),
    );
    let port = database.port();
    let (to_redis, to_database) = (Proxy::to(redis.port()).await, Proxy::to(port).await);
    let timeout = "--link-timeout=2s";
    let redis_url = format!("--redis-url=redis://127.0.0.1:{}", to_redis.port);
    let one = TestApp::through(Arc::clone(&database), port, &[&redis_url, timeout]).await;
    let redis_url = format!("--redis-url={}", redis.url());
    let database_url = database_flag(&database, to_database.port);
    let other = one.beside(&[&redis_url, &database_url, timeout]).await;
    let (ada, bob) = (one.sign_up("ada").await, one.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let there = bob.at(&other.address);
    there.send(room, "in time").await.assert_status(303);
    let nonce = there.nonce(room).await;
    let person = ada.member_id(room, "bob").await;

    // The removal begins while Redis answers, and is committed after the server has lost its link to Redis. The other
    // server does not hear the change feed either, and does not know that yet.
    let holder = Database::connect(database.url()).await.unwrap();
    let holding = holder.begin().await.unwrap();
    let lock = "LOCK TABLE room_members IN EXCLUSIVE MODE";
    holding.execute_unprepared(lock).await.unwrap();
    let remover = ada.clone();
    let removal = tokio::spawn(async move {
        let path = format!("/rooms/{room}/members/{person}/remove");
        remover.post(&path, &[("confirm", "1")]).await
    });
    while !is_table_awaited(&one).await {}
    to_redis.forward(Forwarded::Nothing);
    wait_for(&one, |state| state == LinkState::Down).await;
    to_database.forward(Forwarded::Queries);
    let watch = Stopwatch::start();
    holding.commit().await.unwrap();

    removal.await.unwrap().assert_status(303);
    let taken = watch.elapsed();
    assert!(taken < 2 * TIMEOUT + Duration::from_secs(10), "{taken:?}");
    there
        .send_with(room, "too late", &nonce)
        .await
        .assert_status(403);
    let messages = ada.at(&other.address).messages(room).await;
    assert_eq!(messages, ["in time"]);
}

/// Returns whether a transaction waits for a table.
pub async fn is_table_awaited(app: &TestApp) -> bool {
    let waiting = "SELECT mode FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                   WHERE datname = current_database() AND locktype = 'relation' AND NOT granted";
    !db_column(app, waiting).await.is_empty()
}
