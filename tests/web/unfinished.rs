//! A process is killed after it has committed a change, and before it has told the rooms' logs in Redis: what the change
//! deletes is deleted by another process, or by the next one that starts.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait};
use tempfile::TempDir;

use crate::cut_links::{Forwarded, Proxy};
use crate::made_public::send_form;
use crate::postgres::PostgresDatabase;
use crate::processes::HUNG;
use crate::program::Running;
use crate::redis::Redis;
use crate::support::{Browser, PASSWORD, ROOM_PASSWORD};

/// The lifespan of messages without the room's own.
const LONGEST: Duration = Duration::from_secs(2 * 3600);
const SHORT: Duration = Duration::from_secs(1800);

/// A site with a private room, whose owner uses a process that reaches Redis through a proxy.
struct Scene {
    folder: TempDir,
    database: PostgresDatabase,
    connection: DatabaseConnection,
    redis: Redis,
    proxy: Proxy,
    doomed: Option<Running>,
    owner: Browser,
    member: Browser,
    room: i64,
}

impl Scene {
    async fn start() -> Self {
        let (database, redis) = (PostgresDatabase::migrated().await, Redis::start());
        let proxy = Proxy::to(redis.port()).await;
        let folder = tempfile::tempdir().unwrap();
        let doomed = start(&folder, &database, proxy.port).await;
        let address = doomed.browser.address.clone();
        let mut people = Vec::new();
        for name in ["owner", "member"] {
            let browser = Browser::new(&address);
            let form = [("name", name), ("password", PASSWORD)];
            browser.post("/register", &form).await.assert_status(303);
            people.push(browser);
        }
        let (member, owner) = (people.pop().unwrap(), people.pop().unwrap());
        let room = owner.create_private_room("Den").await;
        let joined = member.join_privately("Den", ROOM_PASSWORD).await;
        joined.assert_status(303);
        Self {
            connection: Database::connect(database.url()).await.unwrap(),
            folder,
            database,
            redis,
            proxy,
            doomed: Some(doomed),
            owner,
            member,
            room,
        }
    }

    /// Starts another process.
    async fn another(&self) -> Running {
        start(&self.folder, &self.database, self.redis.port()).await
    }

    fn path(&self, page: &str) -> String {
        format!("/rooms/{}/settings{page}", self.room)
    }

    /// Returns the first number of a query's answer.
    async fn number(&self, query: &str) -> i64 {
        let backend = self.connection.get_database_backend();
        let query = Statement::from_string(backend, query);
        let row = self.connection.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// The owner posts a form. When the process is about to commit, it loses Redis, and `meanwhile` happens; when it has
    /// committed, it is killed.
    async fn commit_and_die(
        &mut self,
        path: &str,
        form: &[(&str, &str)],
        meanwhile: impl Future<Output = ()>,
    ) {
        const VERSION: &str = "SELECT version FROM rooms";
        const WAITING: &str = "SELECT COUNT(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                               WHERE datname = current_database() AND locktype = 'relation' AND NOT granted";
        let version = self.number(VERSION).await;
        let hold = self.connection.begin().await.unwrap();
        let lock = "LOCK TABLE changes IN EXCLUSIVE MODE";
        hold.execute_unprepared(lock).await.unwrap();
        let request = self.owner.client.post(self.owner.url(path)).form(form);
        let posting = tokio::spawn(request.send());
        // Its change is written to the feed last.
        while self.number(WAITING).await == 0 {}
        self.proxy.forward(Forwarded::Nothing);
        meanwhile.await;
        hold.commit().await.unwrap();
        while self.number(VERSION).await == version {}
        let doomed = self.doomed.take().unwrap();
        let killed = tokio::task::spawn_blocking(move || doomed.stop("-KILL"));
        killed.await.unwrap();
        assert!(posting.await.unwrap().is_err(), "the owner got an answer");
    }

    async fn make_public_and_die(&mut self, meanwhile: impl Future<Output = ()>) {
        let path = self.path("/public");
        self.commit_and_die(&path, &[("confirm", "1")], meanwhile)
            .await;
    }

    /// The same, but the other process dies too, before the commit: a message of the private room is left.
    async fn make_public_and_die_alone(&mut self) {
        let witness = self.another().await;
        let (there, room) = (self.member.at(&witness.browser.address), self.room);
        let stopping = async {
            send(&there, room, "meanwhile").await;
            let stop = tokio::task::spawn_blocking(move || witness.stop("-KILL"));
            stop.await.unwrap();
        };
        self.make_public_and_die(stopping).await;
        assert_eq!(self.redis.keys("*:text:*").await.len(), 1);
    }

    /// Waits until Redis holds as many texts.
    async fn wait_for_texts(&self, count: usize) {
        let waiting = async { while self.redis.keys("*:text:*").await.len() != count {} };
        let waited = tokio::time::timeout(HUNG, waiting).await;
        waited.unwrap_or_else(|_| panic!("Redis does not come to hold {count} texts"));
    }
}

async fn start(folder: &TempDir, database: &PostgresDatabase, redis: u16) -> Running {
    let folder = folder.path().to_owned();
    let flags = [
        format!("--database-url={}", database.url()),
        format!("--redis-url=redis://127.0.0.1:{redis}"),
        "--link-timeout=30s".to_owned(),
        "--message-lifespan=2h".to_owned(),
        "--metrics-bind=127.0.0.1:0".to_owned(),
    ];
    let starting = tokio::task::spawn_blocking(move || {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Running::start(&folder, &flags)
    });
    tokio::time::timeout(HUNG, starting).await.unwrap().unwrap()
}

/// Sends a message for those who can read it now.
async fn send(browser: &Browser, room: i64, text: &str) {
    let page = browser.room(room).await;
    send_form(browser, &page, text).await.assert_status(303);
}

/// The deadlines that a room page shows, in milliseconds.
async fn deadlines(browser: &Browser, room: i64) -> Vec<i64> {
    let page = browser.room(room).await;
    page.assert_status(200);
    let deadlines = page.attributes("#log li", "data-deadline");
    deadlines.iter().map(|time| time.parse().unwrap()).collect()
}

#[actix_web::test]
async fn private_messages_are_deleted_though_the_process_that_published_their_room_has_died() {
    let mut scene = Scene::start().await;
    let (room, member) = (scene.room, scene.member.clone());
    send(&member, room, "before").await;
    let witness = scene.another().await;
    let there = member.at(&witness.browser.address);
    assert_eq!(there.messages(room).await, ["before"]);
    let meanwhile = async {
        // Those of before were deleted before the commit.
        assert_eq!(there.messages(room).await, [""; 0]);
        send(&there, room, "meanwhile").await;
    };

    scene.make_public_and_die(meanwhile).await;

    scene.wait_for_texts(0).await;
    assert_eq!(there.messages(room).await, [""; 0]);
    send(&there, room, "for everybody").await;
    // A process that starts finds the change in the feed of the last hour, and makes it again.
    let next = scene.another().await;
    let there = member.at(&next.browser.address);
    assert_eq!(there.messages(room).await, ["for everybody"]);
}

#[actix_web::test]
async fn private_messages_are_deleted_when_the_only_process_died_as_soon_as_the_next_one_starts() {
    let mut scene = Scene::start().await;
    let (room, member) = (scene.room, scene.member.clone());
    scene.make_public_and_die_alone().await;

    let next = scene.another().await;

    let there = member.at(&next.browser.address);
    send(&there, room, "for everybody").await;
    scene.wait_for_texts(1).await;
    assert_eq!(there.messages(room).await, ["for everybody"]);
}

#[actix_web::test]
async fn the_statements_of_a_start_are_not_counted() {
    let mut scene = Scene::start().await;
    scene.make_public_and_die_alone().await;

    let next = scene.another().await;

    scene.wait_for_texts(0).await;
    let url = format!("http://{}/metrics", next.metrics.as_ref().unwrap());
    let scraped = reqwest::get(url).await.unwrap().text().await.unwrap();
    let count = "\nmirage_database_statements_total 0\n";
    assert!(scraped.contains(count), "{scraped}");
}

#[actix_web::test]
async fn a_lifespan_is_shortened_though_the_process_that_saved_it_has_died() {
    let mut scene = Scene::start().await;
    let (room, member) = (scene.room, scene.member.clone());
    let witness = scene.another().await;
    let there = member.at(&witness.browser.address);
    send(&there, room, "before").await;
    let before = deadlines(&there, room).await;
    let short = SHORT.as_secs().to_string();
    let form = |lifespan| {
        [
            ("name", "Den"),
            ("description", ""),
            ("lifespan", lifespan),
            ("slow-mode", "0"),
            ("language", ""),
            ("posting", "everyone"),
            ("audience", "members"),
        ]
    };
    let path = scene.path("");

    scene.commit_and_die(&path, &form(&short), async {}).await;

    let shorter = i64::try_from((LONGEST - SHORT).as_millis()).unwrap();
    let waiting = async { while deadlines(&there, room).await != [before[0] - shorter] {} };
    tokio::time::timeout(HUNG, waiting).await.unwrap();
    let owner = scene.owner.at(&witness.browser.address);
    owner.post(&path, &form("longest")).await.assert_status(303);
    send(&there, room, "after").await;
    let now = deadlines(&there, room).await;
    assert!(now[1] > before[0], "{before:?} {now:?}");
}
