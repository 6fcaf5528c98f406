//! PostgreSQL servers for tests, from Debian's packages, in temporary folders on free ports.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};

use mirage::config::Storage;
use mirage::database::connection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::keeper::{Keeper, kept, start};
use crate::ports::free_port;

/// The database from which each test's is copied.
const TEMPLATE: &str = "mirage_template";

/// A PostgreSQL server. Its end is the end of this value, or of the process.
pub struct PostgresServer {
    pub port: u16,
    /// The folder of all its files, and of its socket.
    pub folder: PathBuf,
    settings: Vec<String>,
    /// One for each start.
    keepers: Vec<Keeper>,
}

impl PostgresServer {
    /// Starts a server whose files are lost in a power cut: it never waits for the disk.
    pub fn start() -> Self {
        Self::with(&[
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            // A test's database is dropped before it is worth the work.
            "autovacuum=off",
        ])
    }

    /// Starts a server with these settings.
    pub fn with(settings: &[&str]) -> Self {
        Self::made_by(&["--auth=trust", "--username=mirage"], settings)
    }

    /// Starts a server with these settings, of which nobody is a user but `postgres`, and which asks for passwords unless
    /// one comes through its socket.
    pub fn with_passwords(settings: &[&str]) -> Self {
        let rights = [
            "--username=postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
        ];
        Self::made_by(&rights, settings)
    }

    fn made_by(rights: &[&str], settings: &[&str]) -> Self {
        let folder = own_folder();
        let data = folder.join("data");
        let made = as_server_user("initdb")
            .args(rights)
            .arg("--encoding=UTF8")
            // Another order than that of bytes, which is SQLite's.
            .args([
                "--locale-provider=icu",
                "--icu-locale=en",
                "--locale=C.UTF-8",
            ])
            .arg("--no-sync")
            .arg("--pgdata")
            .arg(&data)
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut made = Self {
            port: free_port(),
            folder,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            keepers: Vec::new(),
        };
        made.start_again();
        made
    }

    /// Starts a standby of this server, which follows it until it is promoted.
    pub fn standby(&self) -> Self {
        let folder = own_folder();
        let mut copy = as_server_user("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.args(["--host=127.0.0.1", "--username=mirage", "--no-password"]);
        copy.args(["--port", &self.port.to_string()]);
        let copied = copy.arg("--pgdata").arg(folder.join("data")).output();
        let copied = copied.unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let mut standby = Self {
            port: free_port(),
            folder,
            settings: self.settings.clone(),
            keepers: Vec::new(),
        };
        standby.start_again();
        standby
    }

    /// Starts the server, after it was stopped, with the same files at the same port.
    pub fn start_again(&mut self) {
        let mut server = kept(&as_server_user("postgres"), &self.folder);
        server.arg("-D").arg(self.folder.join("data"));
        server.arg("-k").arg(&self.folder);
        server.args(["-p", &self.port.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "max_connections=400"]);
        server.args(["-c", "shared_buffers=32MB"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        // Connections, or read-only connections.
        let ready = "database system is ready to accept ";
        self.keepers.push(start(server, ready));
    }

    /// Ends all connections and stops the server. Its files stay.
    pub fn stop(&self) {
        self.stop_by("fast");
    }

    /// Ends the server's processes at once, without a checkpoint. Its files stay.
    pub fn kill(&self) {
        self.stop_by("immediate");
    }

    fn stop_by(&self, mode: &str) {
        let mut stop = as_server_user("pg_ctl");
        stop.args(["stop", "--mode", mode, "--silent", "--pgdata"]);
        let stopped = stop.arg(self.folder.join("data")).output().unwrap();
        assert!(stopped.status.success(), "{stopped:?}");
    }

    /// What it has logged since it was ready.
    pub fn log(&self) -> String {
        self.keepers.iter().map(Keeper::log).collect()
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://mirage@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement on a database of this server.
    pub async fn execute(&self, database: &str, sql: &str) {
        execute(&self.url(database), sql).await;
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The latest first: each of them deletes the folder.
        while self.keepers.pop().is_some() {}
    }
}

/// A pgbouncer in front of the shared server. Its end is the end of this value, or of the process.
pub struct Pooler {
    pub port: u16,
    _keeper: Keeper,
}

impl Pooler {
    /// Starts a pooler in this mode, such as `transaction`.
    pub fn start(mode: &str) -> Self {
        let (folder, port) = (own_folder(), free_port());
        let users = folder.join("users.txt");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
            shared().server.port,
            users.display()
        );
        std::fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
        std::fs::write(&users, "\"mirage\" \"\"\n").unwrap();
        let mut pooler = kept(&as_user(Path::new("/usr/sbin/pgbouncer")), &folder);
        pooler.arg(folder.join("pgbouncer.ini"));
        let _keeper = start(pooler, "process up");
        Self { port, _keeper }
    }
}

/// Makes a folder that belongs to the user of the servers.
fn own_folder() -> PathBuf {
    let folder = TempDir::with_prefix("mirage-postgres-").unwrap().keep();
    if is_root() {
        let owned = Command::new("chown").arg("postgres:").arg(&folder).status();
        assert!(owned.unwrap().success());
    }
    folder
}

/// Returns a command for one of PostgreSQL's programs, which refuse to run as root.
fn as_server_user(program: &str) -> Command {
    as_user(&programs().join(program))
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program);
    command
}

/// Makes a certificate for the name `localhost`, which nobody has signed. Returns the folder with its key, `key.pem`, and
/// the certificate's file.
pub fn certificate_of_localhost() -> (PathBuf, String) {
    let folder = own_folder();
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let made = as_user(Path::new("openssl"))
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    (folder, certificate.display().to_string())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The folder of the newest version's programs, where Debian keeps them.
pub fn programs() -> PathBuf {
    let versions = Path::new("/usr/lib/postgresql");
    // Debian's package postgresql; tests/run installs it.
    let versions = std::fs::read_dir(versions).unwrap();
    let number = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let newest = versions
        .map(|version| version.unwrap().path())
        .max_by_key(number);
    newest.unwrap().join("bin")
}

/// The server that most tests share, each with a database of its own.
struct SharedServer {
    server: PostgresServer,
    /// Runs a statement on the one connection that makes and drops databases, and tells how it went.
    statements: Sender<(String, oneshot::Sender<Result<(), sqlx::Error>>)>,
}

impl SharedServer {
    fn run(&self, sql: String) -> oneshot::Receiver<Result<(), sqlx::Error>> {
        let (done, ran) = oneshot::channel();
        self.statements.send((sql, done)).unwrap();
        ran
    }
}

static SHARED: OnceLock<SharedServer> = OnceLock::new();

fn shared() -> &'static SharedServer {
    SHARED.get_or_init(|| {
        let server = PostgresServer::start();
        let (statements, asked) = channel::<(String, oneshot::Sender<_>)>();
        let admin = server.url("postgres");
        let template = server.url(TEMPLATE);
        // A thread of its own: this is called by tests, which are within a runtime already.
        let runtime = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let connection = runtime.block_on(make_template(&admin, &template));
            (runtime, connection)
        });
        let (runtime, mut connection) = runtime.join().unwrap();
        std::thread::spawn(move || {
            for (sql, done) in asked {
                let ran = runtime.block_on(connection.execute(AssertSqlSafe(sql)));
                // Nobody waits for a database to be dropped.
                drop(done.send(ran.map(drop)));
            }
        });
        SharedServer { server, statements }
    })
}

/// Makes the template. Returns the connection that made it.
async fn make_template(admin: &str, template: &str) -> PgConnection {
    let mut admin = PgConnection::connect(admin).await.unwrap();
    let create = format!("CREATE DATABASE {TEMPLATE}");
    admin.execute(AssertSqlSafe(create)).await.unwrap();
    let storage = Storage {
        database_url: template.parse().unwrap(),
    };
    let connections = connection::open(&storage).await.unwrap();
    connections.readers.close().await.unwrap();
    connections.writer.close().await.unwrap();
    admin
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute(AssertSqlSafe(sql.to_owned()))
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// A database of the shared server, migrated, and dropped with this value.
pub struct PostgresDatabase {
    name: String,
}

impl PostgresDatabase {
    /// Makes a database with Mirage's tables in it.
    pub async fn migrated() -> Self {
        Self::from(TEMPLATE).await
    }

    /// Makes an empty database.
    pub async fn empty() -> Self {
        Self::from("template1").await
    }

    async fn from(template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        // Nothing waits for the disk here, so copying files takes less time than writing a log of their pages.
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
        shared().run(sql).await.unwrap().unwrap();
        Self { name }
    }

    pub fn url(&self) -> String {
        self.url_at(shared().server.port)
    }

    /// The URL of the database through another port, such as a proxy's.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://mirage@127.0.0.1:{port}/{}", self.name)
    }

    /// Runs a statement on the database.
    pub async fn execute(&self, sql: &str) {
        shared().server.execute(&self.name, sql).await;
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        shared().server.port
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        drop(shared().run(sql));
    }
}
