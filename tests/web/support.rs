//! A real server with a clock that tests can move, and HTTP clients that behave like browsers.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mirage::clock::{Clock, FixedClock};
use mirage::config::{Command, Config, HashCost};
use mirage::core::Core;
use mirage::database::entities::user;
use mirage::domain::{RoomId, Timestamp, UserId};
use mirage::server::application::{Application, StartupError};
use mirage::services::operators::{self, OperatorSet};
use mirage::urls;
use proptest::test_runner::{RngAlgorithm, TestRng};
use reqwest::header::{HOST, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, StatusCode, redirect};
use scraper::{ElementRef, Html, Selector};
use sea_orm::{
    ColumnTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait,
    QueryFilter, Statement,
};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ports::free_address;
use crate::postgres::PostgresDatabase;
use crate::redis_server;

/// The time at which the clock of every test starts: 2026-11-22T13:05:00Z.
pub const START: Timestamp = Timestamp(1_795_352_700_000);

/// A password that meets the rules.
pub const PASSWORD: &str = "a kettle of fish";

/// The password of every private room in the tests.
pub const ROOM_PASSWORD: &str = "open sesame";

/// What a server keeps when it stops.
pub struct Files {
    folder: TempDir,
    database: TestDatabase,
}

impl Files {
    /// The folder of the server's files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn in_folder(folder: TempDir) -> Self {
        let database = TestDatabase::Sqlite;
        Self { folder, database }
    }

    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = if is_cluster() {
            TestDatabase::Postgres(Arc::new(PostgresDatabase::migrated().await))
        } else {
            TestDatabase::Sqlite
        };
        Self { folder, database }
    }

    fn database_url(&self) -> String {
        match &self.database {
            TestDatabase::Sqlite => {
                format!("sqlite://{}/mirage.db?mode=rwc", self.path().display())
            }
            TestDatabase::Postgres(database) => database.url(),
        }
    }
}

enum TestDatabase {
    /// A file in the server's folder.
    Sqlite,
    Postgres(Arc<PostgresDatabase>),
}

/// Returns whether the tests run on two servers with PostgreSQL and Redis (`MIRAGE_TEST_BACKEND=cluster`).
#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
pub fn is_cluster() -> bool {
    match std::env::var("MIRAGE_TEST_BACKEND").as_deref() {
        Ok("cluster") => true,
        Ok(other) => panic!("MIRAGE_TEST_BACKEND is {other}, not cluster"),
        Err(_) => false,
    }
}

/// The lowest cost of a password's hash: the recommended one would be a sixth of the time of all tests.
pub const HASH_COST: HashCost = HashCost {
    memory: 8,
    passes: 1,
};

/// A site with its own database: one server on a free port or, with `MIRAGE_TEST_BACKEND=cluster`, two servers, of which
/// each browser asks the other one in turn.
pub struct TestApp {
    /// The address of the first server, and of the site.
    pub address: String,
    /// The core of the first server.
    pub core: Arc<Core>,
    pub clock: Arc<FixedClock>,
    servers: Vec<Server>,
    files: Arc<Files>,
    flags: Vec<String>,
    /// The number of browsers until now: every second one begins with the second server.
    browsers: AtomicUsize,
}

/// A server in a thread of its own, which stops when this value is dropped.
struct Server {
    address: String,
    core: Arc<Core>,
    stop: DropGuard,
    ended: oneshot::Receiver<std::io::Result<()>>,
}

impl Server {
    /// Starts a server that keeps `files` until it has ended.
    async fn start(config: Config, clock: Arc<FixedClock>, files: Arc<Files>) -> Self {
        let (start, started) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serve = async move || {
            let application = match Application::build(config, clock).await {
                Ok(application) => application,
                Err(error) => {
                    drop(start.send(Err(error)));
                    return;
                }
            };
            let address = format!("127.0.0.1:{}", application.port());
            drop(start.send(Ok((address, Arc::clone(application.core())))));
            let result = application.run_until_stopped(stopped).await;
            drop(files);
            drop(end.send(result));
        };
        // Were it a task of the test, it would end with the test's runtime, but not its workers and their connections.
        std::thread::spawn(move || actix_web::rt::System::new().block_on(serve()));
        let started: Result<_, StartupError> = started.await.unwrap();
        let (address, core) = started.unwrap();
        Self {
            address,
            core,
            stop: stop.drop_guard(),
            ended,
        }
    }
}

impl TestApp {
    pub async fn spawn() -> Self {
        Self::with(&[]).await
    }

    /// Starts a site with these command-line flags.
    pub async fn with(flags: &[&str]) -> Self {
        let mut flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut binds = vec![free_address()];
        if is_cluster() {
            binds.push(free_address());
            if !flags.iter().any(|flag| flag.starts_with("--redis-url")) {
                flags.push(redis_server::shared());
            }
        }
        Self::start(Files::new().await, new_clock(), &binds, flags).await
    }

    /// Starts a server with SQLite, whatever the other tests run on.
    pub async fn with_sqlite() -> Self {
        let files = Files::in_folder(tempfile::tempdir().unwrap());
        Self::start(files, new_clock(), &[free_address()], Vec::new()).await
    }

    /// Starts a server with the files of another one, but with this database.
    pub async fn with_postgres(
        files: Files,
        database: Arc<PostgresDatabase>,
        bind: String,
        flags: &[&str],
    ) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let folder = files.folder;
        let database = TestDatabase::Postgres(database);
        let files = Files { folder, database };
        Self::start(files, new_clock(), &[bind], flags).await
    }

    /// Starts a server with a new PostgreSQL database through a proxy that listens at this port.
    pub async fn through(database: Arc<PostgresDatabase>, port: u16, flags: &[&str]) -> Self {
        let url = format!("--database-url={}", database.url_at(port));
        let flags = [&[url.as_str()], flags].concat();
        let files = Files::in_folder(tempfile::tempdir().unwrap());
        Self::with_postgres(files, database, free_address(), &flags).await
    }

    /// Starts another server of the same site, with the same secret and clock. `flags` name its database and its Redis.
    pub async fn beside(&self, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = "mirage.key";
        std::fs::copy(self.files.path().join(secret), folder.path().join(secret)).unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let files = Files::in_folder(folder);
        Self::start(files, Arc::clone(&self.clock), &[free_address()], flags).await
    }

    /// Starts a server on a copy of this database file.
    pub async fn with_database(file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(file, folder.path().join("mirage.db")).unwrap();
        let files = Files::in_folder(folder);
        Self::start(files, new_clock(), &[free_address()], Vec::new()).await
    }

    /// Starts a server at each of the addresses.
    async fn start(
        files: Files,
        clock: Arc<FixedClock>,
        binds: &[String],
        flags: Vec<String>,
    ) -> Self {
        let files = Arc::new(files);
        let mut servers = Vec::new();
        for bind in binds {
            let line = Self::command_line(&files, bind, &flags);
            let Ok(Command::Serve(mut config)) = Command::parse(line) else {
                panic!("{flags:?} are not the flags of a server")
            };
            config.hash_cost = HASH_COST;
            servers.push(Server::start(*config, Arc::clone(&clock), Arc::clone(&files)).await);
        }
        Self {
            address: servers[0].address.clone(),
            core: Arc::clone(&servers[0].core),
            clock,
            servers,
            files,
            flags,
            browsers: AtomicUsize::new(0),
        }
    }

    fn command_line(files: &Files, bind: &str, flags: &[String]) -> Vec<String> {
        let database = files.database_url();
        let folder = files.path().display();
        let mut arguments = vec![
            "mirage".to_owned(),
            format!("--bind={bind}"),
            format!("--secret-file={folder}/mirage.key"),
        ];
        if !flags.iter().any(|flag| flag.starts_with("--database-url")) {
            arguments.push(format!("--database-url={database}"));
        }
        // A busy machine is no reason for a test to be refused.
        if !flags.iter().any(|flag| flag.starts_with("--link-timeout")) {
            arguments.push("--link-timeout=30s".to_owned());
        }
        // Tests do more than the default limits allow.
        for unlimited in ["--limits=off", "--rooms-per-person=1000"] {
            let (name, _) = unlimited.split_once('=').unwrap();
            if !flags.iter().any(|flag| flag.starts_with(name)) {
                arguments.push(unlimited.to_owned());
            }
        }
        arguments.extend_from_slice(flags);
        arguments
    }

    /// The URL of the server's database.
    pub fn database_url(&self) -> String {
        self.files.database_url()
    }

    /// Stops the servers, as SIGTERM does, and returns what they keep.
    pub async fn stop(self) -> Files {
        let Self { servers, files, .. } = self;
        let mut ends = Vec::new();
        for server in servers {
            drop(server.stop);
            ends.push(server.ended);
        }
        for ended in ends {
            ended.await.unwrap().unwrap();
        }
        Arc::into_inner(files).unwrap()
    }

    /// Restarts the servers with the same database, at the same addresses.
    pub async fn restart(self) -> Self {
        let (clock, flags) = (Arc::clone(&self.clock), self.flags.clone());
        let addresses = self.addresses();
        let files = self.stop().await;
        Self::start(files, clock, &addresses, flags).await
    }

    /// The addresses of the servers.
    pub fn addresses(&self) -> Vec<String> {
        let addresses = self.servers.iter().map(|server| server.address.clone());
        addresses.collect()
    }

    /// The cores of the servers.
    pub fn cores(&self) -> impl Iterator<Item = &Arc<Core>> {
        self.servers.iter().map(|server| &server.core)
    }

    /// Returns a browser that is not signed in.
    pub fn anonymous(&self) -> Browser {
        let first = self.browsers.fetch_add(1, Ordering::SeqCst);
        Browser::in_turns(&self.address, self.addresses(), first)
    }

    /// Creates an account and returns a browser signed in to it.
    pub async fn sign_up(&self, name: &str) -> Browser {
        let browser = self.anonymous();
        let page = browser
            .post("/register", &[("name", name), ("password", PASSWORD)])
            .await;
        page.assert_redirect("/rooms?done=registered");
        browser
    }

    /// Creates an account, makes it an operator's, and returns a browser signed in to it.
    pub async fn operator(&self, name: &str) -> Browser {
        self.sign_up(name).await;
        let (writer, now) = (&self.core.writer, self.clock.now());
        let made = operators::set_operator(writer, name, true, now).await;
        assert_eq!(made.unwrap(), OperatorSet::Done(name.to_owned()));
        self.sign_in(name, PASSWORD).await
    }

    /// Signs in to an existing account in a new browser.
    pub async fn sign_in(&self, name: &str, password: &str) -> Browser {
        let browser = self.anonymous();
        let form = [("name", name), ("password", password)];
        browser.post("/login", &form).await.assert_redirect("/");
        browser
    }

    /// The ID of the account with this name.
    pub async fn user_id(&self, name: &str) -> UserId {
        let named = user::Entity::find().filter(user::Column::Name.eq(name));
        named.one(&self.core.database).await.unwrap().unwrap().id
    }

    /// Closes the servers' connections to the database, so that every statement fails.
    pub async fn close_database(&self) {
        for core in self.cores() {
            let readers = core.database.connections().clone();
            readers.close().await.unwrap();
            core.writer.clone().close().await.unwrap();
        }
    }

    /// Runs a statement on the database while the servers run. Opens a new connection, because the open ones
    /// may have cached an older schema.
    pub async fn execute(&self, sql: &str) {
        let database = Database::connect(self.database_url()).await.unwrap();
        database.execute_unprepared(sql).await.unwrap();
        database.close().await.unwrap();
    }

    /// Makes each statement of a kind fail, such as `DELETE ON users`, until [`TestApp::allow`] is called.
    pub async fn refuse(&self, statement: &str) {
        let trigger = format!("CREATE TRIGGER refused BEFORE {statement}");
        if is_cluster() {
            self.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
                 AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            )
            .await;
            self.execute(&format!("{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()"))
                .await;
        } else {
            self.execute(&format!(
                "{trigger} BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ))
            .await;
        }
    }

    /// Allows the statements again that [`TestApp::refuse`] made fail on `table`.
    pub async fn allow(&self, table: &str) {
        if is_cluster() {
            self.execute(&format!("DROP TRIGGER refused ON {table}"))
                .await;
            self.execute("DROP FUNCTION refuse()").await;
        } else {
            self.execute("DROP TRIGGER refused").await;
        }
    }

    /// The number of statements sent to the database so far, without those that poll the change feed.
    pub fn db_statements(&self) -> u64 {
        let counts = self.cores().map(|core| &core.probes.statements);
        counts.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    /// The number of password hashes computed so far.
    pub fn hashes(&self) -> u64 {
        let hashing = self.cores().map(|core| &core.probes.hashing);
        hashing.map(|hashing| hashing.computed()).sum()
    }

    /// Leaves no room for further password hashes, until the value is dropped.
    #[must_use]
    pub fn overload(&self) -> Vec<impl Sized + use<>> {
        let hashing = self.cores().map(|core| &core.probes.hashing);
        hashing.map(|hashing| hashing.overload().unwrap()).collect()
    }

    /// The number of polls that wait in a room.
    pub fn waiting_polls(&self, room: i64) -> usize {
        let logs = self.cores().map(|core| &core.messages);
        logs.map(|messages| messages.waiting_count(RoomId(room)))
            .sum()
    }

    /// Waits until each server has heard what others have done in a room: a poll does not ask Redis for it.
    pub async fn hear_all(&self, room: i64) {
        for core in self.cores() {
            core.messages.catch_up(RoomId(room)).await.unwrap();
        }
    }

    /// Tells when memory is swept next.
    pub fn next_sweep(&self) -> Sweep {
        let cores = self.cores();
        Sweep(cores.map(|core| core.probes.sweeps.subscribe()).collect())
    }
}

/// The next sweep of memory by each server.
pub struct Sweep(Vec<watch::Receiver<()>>);

impl Sweep {
    /// Waits for the first sweep by each server that ends after this call. A server sweeps within 10 s.
    pub async fn done(mut self) {
        let swept = async {
            for sweeps in &mut self.0 {
                sweeps.mark_unchanged();
            }
            for sweeps in &mut self.0 {
                sweeps.changed().await.unwrap();
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(10), swept);
        within.await.unwrap();
    }
}

fn new_clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(START))
}

/// Creates a sign-up link, as the operator's command does, and returns its path.
pub async fn sign_up_link(app: &TestApp) -> String {
    let link = operators::sign_up_link(&app.core.writer, app.clock.now()).await;
    urls::register_url(Some(link.unwrap().as_str()))
}

/// Creates a password reset link, as the operator's command does, and returns its path.
pub async fn reset_link(app: &TestApp, name: &str) -> String {
    let link = operators::reset_link(&app.core.writer, name, app.clock.now()).await;
    urls::reset_url(link.unwrap().unwrap().as_str())
}

/// Runs a query and returns the first column of its rows.
pub async fn db_column(app: &TestApp, sql: &str) -> Vec<String> {
    let backend = app.core.database.get_database_backend();
    let rows = app
        .core
        .database
        .query_all_raw(Statement::from_string(backend, sql))
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index::<String>(0).unwrap())
        .collect()
}

/// Dumps all rows of all tables, except `sessions.last_seen`, which every request may change.
pub async fn dump(database: &DatabaseConnection) -> Vec<String> {
    let ask = async |sql: String| -> Vec<String> {
        let ask = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(ask).await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    };
    let mut lines = Vec::new();
    if database.get_database_backend() == DbBackend::Postgres {
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
        for table in ask(tables.to_owned()).await {
            let rows = format!(
                "SELECT '{table}: ' || (to_jsonb(r) - 'last_seen')::text FROM {table} r ORDER BY 1"
            );
            lines.extend(ask(rows).await);
        }
        return lines;
    }
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    for table in ask(tables.to_owned()).await {
        let columns = format!(
            "SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}') \
             WHERE '{table}' != 'sessions' OR name != 'last_seen'"
        );
        let columns = ask(columns).await.join(" || ', ' || ");
        let rows = format!("SELECT '{table}: ' || {columns} FROM \"{table}\" ORDER BY 1");
        lines.extend(ask(rows).await);
    }
    lines
}

/// Returns whether to run the long versions of the tests (`MIRAGE_LONG`), with more iterations.
#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
pub fn is_long() -> bool {
    std::env::var_os("MIRAGE_LONG").is_some()
}

/// A deterministic random number generator.
pub fn seeded_rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// A client with a cookie store that does not follow redirects.
#[derive(Clone)]
pub struct Browser {
    pub client: Client,
    /// The address of the site.
    pub address: String,
    servers: Arc<Turns>,
}

/// The servers of a site, each of which gets a request in turn, as behind a load balancer.
struct Turns {
    addresses: Vec<String>,
    next: AtomicUsize,
}

impl Browser {
    /// Returns a browser for the server at this address, not signed in.
    pub fn new(address: &str) -> Self {
        Self::in_turns(address, vec![address.to_owned()], 0)
    }

    /// Returns a browser, not signed in, that keeps as many idle connections to a server.
    pub fn with_idle_connections(address: &str, count: usize) -> Self {
        let client = Self::client(address).pool_max_idle_per_host(count);
        Self {
            client: client.build().unwrap(),
            ..Self::new(address)
        }
    }

    /// Returns a browser, not signed in, for a site with this address, whose servers have these. The first request goes
    /// to the server of this number.
    fn in_turns(site: &str, addresses: Vec<String>, first: usize) -> Self {
        let client = Self::client(site).build();
        let next = AtomicUsize::new(first);
        Self {
            client: client.unwrap(),
            address: site.to_owned(),
            servers: Arc::new(Turns { addresses, next }),
        }
    }

    /// Returns the same browser, with the same cookies, but for the server at this address alone.
    pub fn at(&self, address: &str) -> Self {
        self.among(vec![address.to_owned()])
    }

    fn client(site: &str) -> ClientBuilder {
        // Pages have the site's address from this header, whichever server makes them.
        let host = HeaderValue::from_str(site).unwrap();
        Client::builder()
            .cookie_store(true)
            .default_headers(HeaderMap::from_iter([(HOST, host)]))
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(60))
    }

    /// Returns the same browser, with the same cookies, but for the servers at these addresses, in turn.
    pub fn among(&self, addresses: Vec<String>) -> Self {
        let next = AtomicUsize::new(0);
        Self {
            client: self.client.clone(),
            address: addresses[0].clone(),
            servers: Arc::new(Turns { addresses, next }),
        }
    }

    /// The URL to which the next request goes: each time, that of the other server.
    pub fn url(&self, path: &str) -> String {
        let addresses = &self.servers.addresses;
        let turn = self.servers.next.fetch_add(1, Ordering::SeqCst);
        format!("http://{}{path}", addresses[turn % addresses.len()])
    }

    /// The URL that pages show.
    pub fn shown_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Page {
        Self::answer(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        Self::answer(self.client.post(self.url(path)).form(form)).await
    }

    pub async fn request(&self, method: Method, path: &str) -> Page {
        Self::answer(self.client.request(method, self.url(path))).await
    }

    pub async fn answer(request: RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Page {
            status,
            headers,
            body: response.text().await.unwrap(),
        }
    }

    /// Creates a public room and returns its ID.
    pub async fn create_public_room(&self, name: &str) -> i64 {
        let form = [("name", name), ("kind", "public")];
        room_from_redirect(&self.post("/rooms/new", &form).await)
    }

    /// Creates a private room with [`ROOM_PASSWORD`] and returns its ID.
    pub async fn create_private_room(&self, name: &str) -> i64 {
        let form = [
            ("name", name),
            ("kind", "private"),
            ("password", ROOM_PASSWORD),
        ];
        room_from_redirect(&self.post("/rooms/new", &form).await)
    }

    pub async fn join(&self, room: i64) {
        let page = self
            .post(&format!("/rooms/{room}/join"), &[("join", "1")])
            .await;
        page.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
    }

    pub async fn join_privately(&self, name: &str, password: &str) -> Page {
        self.post("/rooms/private", &[("name", name), ("password", password)])
            .await
    }

    /// Submits the form that creates an invite link.
    pub async fn create_invite(&self, room: i64, life: &str, uses: &str) -> Page {
        let form = [("life", life), ("uses", uses)];
        self.post(&format!("/rooms/{room}/invites"), &form).await
    }

    /// Creates an invite link and returns its path.
    pub async fn invite_to(&self, room: i64, life: &str, uses: &str) -> String {
        let page = self.create_invite(room, life, uses).await;
        page.assert_status(200);
        let link = page.attribute("main h2 + p a", "href");
        let path = link.strip_prefix(&self.shown_url("")).unwrap();
        path.to_owned()
    }

    /// Accepts an invite, as the button on its page does.
    pub async fn accept(&self, link: &str) -> Page {
        self.post(link, &[("join", "1")]).await
    }

    pub async fn leave(&self, room: i64) {
        let page = self
            .post(&format!("/rooms/{room}/leave"), &[("leave", "1")])
            .await;
        page.assert_redirect("/rooms/mine?done=left");
    }

    /// The account ID of a member, from the members page of a moderator or the owner.
    pub async fn member_id(&self, room: i64, name: &str) -> i64 {
        let members = self.get(&format!("/rooms/{room}/members")).await;
        let page = members.html();
        let selector = parse_selector("a.manage");
        let link = page
            .select(&selector)
            .filter(|link| text_of(*link) == format!("Manage {name}"))
            .find_map(|link| link.attr("href"));
        let link = link.unwrap_or_else(|| panic!("no link for {name} in\n{}", members.body));
        link.rsplit_once('/').unwrap().1.parse().unwrap()
    }

    /// Submits a moderation form about a member, such as `ban`.
    pub async fn manage(&self, room: i64, name: &str, action: &str, form: &[(&str, &str)]) -> Page {
        let person = self.member_id(room, name).await;
        let path = format!("/rooms/{room}/members/{person}/{action}");
        self.post(&path, form).await
    }

    pub async fn make_moderator(&self, room: i64, name: &str) {
        let form = [("role", "moderator")];
        let page = self.manage(room, name, "role", &form).await;
        page.assert_redirect(&format!("/rooms/{room}/members?done=moderator"));
    }

    pub async fn ban(&self, room: i64, name: &str, reason: &str) {
        let form = [("reason", reason)];
        let page = self.manage(room, name, "ban", &form).await;
        page.assert_redirect(&format!("/rooms/{room}/members?done=banned"));
    }

    pub async fn room(&self, room: i64) -> Page {
        self.get(&format!("/rooms/{room}")).await
    }

    /// Presses "Check for new messages" on this page of the room, with this text in the box.
    pub async fn check(&self, room: i64, page: &Page, text: &str) -> Page {
        let nonce = page.attribute("#write [name=nonce]", "value");
        let seen = page.attribute("#write [name=seen]", "value");
        let form = [
            ("text", text),
            ("nonce", &nonce),
            ("seen", &seen),
            ("check", ""),
        ];
        self.post(&format!("/rooms/{room}/messages"), &form).await
    }

    /// Presses "Check for new messages" on this page of the room, and returns the page that follows.
    pub async fn checked(&self, room: i64, page: &Page, text: &str) -> Page {
        let answer = self.check(room, page, text).await;
        answer.assert_status(303);
        self.get(answer.location().trim_end_matches("#now")).await
    }

    /// The nonce in the form of the room page.
    pub async fn nonce(&self, room: i64) -> String {
        self.room(room)
            .await
            .attribute("#write [name=nonce]", "value")
    }

    /// Sends a message with the form of the room page.
    pub async fn send(&self, room: i64, text: &str) -> Page {
        let nonce = self.nonce(room).await;
        self.send_with(room, text, &nonce).await
    }

    pub async fn send_with(&self, room: i64, text: &str, nonce: &str) -> Page {
        self.post(
            &format!("/rooms/{room}/messages"),
            &[("text", text), ("nonce", nonce)],
        )
        .await
    }

    /// Sends a message as `room.js` does.
    pub async fn send_by_script(&self, room: i64, text: &str, nonce: &str) -> Page {
        let url = self.url(&format!("/rooms/{room}/messages"));
        let request = self.client.post(url).header("mirage-script", "1");
        Self::answer(request.form(&[("text", text), ("nonce", nonce)])).await
    }

    /// The texts of the messages on the room page.
    pub async fn messages(&self, room: i64) -> Vec<String> {
        let page = self.room(room).await;
        page.assert_status(200);
        page.texts("#log li .text")
    }

    /// The members of a room, the longest-standing first, such as "ada (you), owner".
    pub async fn members(&self, room: i64) -> Vec<String> {
        let page = self.get(&format!("/rooms/{room}/members")).await;
        let without_link = |text: String| match text
            .split_once(" Manage ")
            .or_else(|| text.split_once(" Ignore "))
        {
            Some((member, _)) => member.to_owned(),
            None => text,
        };
        let texts = page.texts("h1 + p + .members li");
        texts.into_iter().map(without_link).collect()
    }

    /// The cursor on the room page.
    pub async fn cursor(&self, room: i64) -> String {
        self.room(room).await.attribute("#log", "data-cursor")
    }

    pub async fn poll(&self, room: i64, query: &str) -> Poll {
        let page = self.get(&format!("/rooms/{room}/poll{query}")).await;
        Poll::parse(page)
    }
}

/// The ID of the room that a response redirects to.
pub fn room_from_redirect(page: &Page) -> i64 {
    page.assert_status(303);
    let location = page.header("location");
    let number = location
        .trim_start_matches("/rooms/")
        .split(['?', '#'])
        .next()
        .unwrap();
    number
        .parse()
        .unwrap_or_else(|_| panic!("{location} is not a room"))
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn assert_redirect(&self, to: &str) -> &Self {
        self.assert_status(303);
        assert_eq!(self.header("location"), to);
        self
    }

    /// Asserts that the form came back with one error: this sentence, in the summary and beside the field.
    #[track_caller]
    pub fn assert_problem(&self, field: &str, sentence: &str) -> &Self {
        let (link, beside) = (
            format!(".problems a[href='#{field}']"),
            format!("#{field}-problem"),
        );
        assert_eq!(self.text(&link), sentence);
        assert_eq!(self.text(&beside), format!("Error: {sentence}"));
        assert!(self.text("title").starts_with("Error: "));
        self
    }

    /// Asserts that a field still has the value that was typed into it.
    #[track_caller]
    pub fn assert_value(&self, selector: &str, value: &str) -> &Self {
        assert_eq!(self.attribute(selector, "value"), value);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    pub fn html(&self) -> Html {
        Html::parse_document(&self.body)
    }

    /// The text of the one element that matches.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let texts = self.texts(selector);
        assert_eq!(texts.len(), 1, "{selector}: {texts:?} in\n{}", self.body);
        texts[0].clone()
    }

    /// The texts of all matching elements in document order, with white space collapsed.
    #[track_caller]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        self.html()
            .select(&parse_selector(selector))
            .map(text_of)
            .collect()
    }

    #[track_caller]
    pub fn attribute(&self, selector: &str, name: &str) -> String {
        let values = self.attributes(selector, name);
        assert_eq!(
            values.len(),
            1,
            "{selector}[{name}]: {values:?} in\n{}",
            self.body
        );
        values[0].clone()
    }

    #[track_caller]
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = self.html();
        let selector = parse_selector(selector);
        let elements = html.select(&selector);
        elements
            .filter_map(|element| element.attr(name).map(str::to_owned))
            .collect()
    }

    #[track_caller]
    pub fn has(&self, selector: &str) -> bool {
        !self.texts(selector).is_empty()
    }
}

/// A poll that the server is holding open.
pub struct WaitingPoll(JoinHandle<Poll>);

impl WaitingPoll {
    /// Returns the response, which must arrive long before a poll without news ends.
    pub async fn answer(self) -> Poll {
        self.answer_within(Duration::from_secs(10)).await
    }

    /// Returns the response, which must arrive within this time.
    pub async fn answer_within(self, span: Duration) -> Poll {
        let answer = tokio::time::timeout(span, self.0).await;
        answer.unwrap().unwrap()
    }
}

/// Starts a poll from the cursor of a newly opened room page, and returns once the poll waits.
pub async fn start_poll(app: &TestApp, browser: &Browser, room: i64) -> WaitingPoll {
    let cursor = browser.cursor(room).await;
    start_poll_from(app, browser, room, &cursor).await
}

/// Starts a poll from a cursor, and returns once the poll waits.
pub async fn start_poll_from(
    app: &TestApp,
    browser: &Browser,
    room: i64,
    cursor: &str,
) -> WaitingPoll {
    let waiting = || app.waiting_polls(room);
    let before = waiting();
    let (browser, query) = (browser.clone(), format!("?after={cursor}"));
    let poll = tokio::spawn(async move { browser.poll(room, &query).await });
    while waiting() == before {
        assert!(!poll.is_finished(), "the poll did not wait");
        tokio::task::yield_now().await;
    }
    WaitingPoll(poll)
}

/// The response to a poll.
#[derive(Debug)]
pub struct Poll {
    pub status: u16,
    pub cursor: String,
    pub is_reset: bool,
    /// Whether the response says that the server restarted since the cursor.
    pub is_restart: bool,
    /// The texts of the added messages.
    pub added: Vec<String>,
    /// The element IDs of the removed messages.
    pub removed: Vec<String>,
    pub page: Page,
}

impl Poll {
    pub fn parse(page: Page) -> Self {
        Self {
            status: page.status.as_u16(),
            cursor: page.header("mirage-cursor").to_owned(),
            is_reset: !page.header("mirage-reset").is_empty(),
            is_restart: page.header("mirage-reset") == "restart",
            added: page.texts("li:not([data-gone]) .text"),
            removed: page.attributes("li[data-gone]", "id"),
            page,
        }
    }
}

#[track_caller]
fn parse_selector(selector: &str) -> Selector {
    Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"))
}

pub fn text_of(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
