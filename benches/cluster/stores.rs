//! The PostgreSQL and the Redis behind several processes, from Debian's packages, in folders of their own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Server, free_port};

/// The user of Debian's PostgreSQL, which does not run as root.
const USER: &str = "postgres";

/// A running PostgreSQL and a running Redis.
pub struct Stores {
    postgres: Server,
    postgres_port: u16,
    redis: Server,
    redis_port: u16,
    programs: PathBuf,
}

impl Stores {
    /// Starts both, as an operator would set them: PostgreSQL with its defaults, Redis as Mirage demands.
    pub async fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let programs = programs();
        let (postgres, postgres_port) = start_postgres(folder, &programs).await;
        let (redis, redis_port) = start_redis(folder).await;
        Self {
            postgres,
            postgres_port,
            redis,
            redis_port,
            programs,
        }
    }

    /// Makes an empty database, and returns its URL.
    pub fn new_database(&self, name: &str) -> String {
        let made = Command::new(self.programs.join("createdb"))
            .args(["-h", "127.0.0.1", "-U", "mirage", "--encoding=UTF8"])
            .args(["-p", &self.postgres_port.to_string(), name])
            .output()
            .expect("createdb");
        assert!(made.status.success(), "{made:?}");
        format!("postgres://mirage@127.0.0.1:{}/{name}", self.postgres_port)
    }

    /// The URL of Redis.
    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis_port)
    }

    /// The process of Redis.
    pub fn redis(&self) -> &Server {
        &self.redis
    }

    /// The memory that Redis has given to what it holds, in bytes.
    pub fn redis_memory(&self) -> u64 {
        let told = Command::new("redis-cli")
            .args(["-p", &self.redis_port.to_string(), "INFO", "memory"])
            .output()
            .expect("redis-cli");
        let told = String::from_utf8_lossy(&told.stdout);
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok())
            .expect("a size")
    }

    /// Stops both. Nothing else uses them any more.
    pub fn stop(self) {
        self.redis.stop();
        self.postgres.stop();
    }
}

/// The folder of the newest version's programs, where Debian keeps them.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql");
    let number = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let newest = versions
        .map(|version| version.expect("a version").path())
        .max_by_key(number);
    newest.expect("a version of PostgreSQL").join("bin")
}

async fn start_postgres(folder: &Path, programs: &Path) -> (Server, u16) {
    let own = folder.join("postgres");
    std::fs::create_dir_all(&own).expect("a folder");
    if is_root() {
        // The folders above it belong to root alone.
        let above = folder
            .ancestors()
            .take_while(|path| path.starts_with(std::env::temp_dir()));
        for path in above.filter(|path| *path != std::env::temp_dir()) {
            let mode = std::fs::Permissions::from_mode(0o711);
            std::fs::set_permissions(path, mode).expect("a folder of its own");
        }
        run(Command::new("chown").arg(format!("{USER}:")).arg(&own));
    }
    let data = own.join("data").display().to_string();
    let program = |name: &str| programs.join(name).display().to_string();
    let mut words = as_user(&[&program("initdb"), "--auth=trust", "--username=mirage"]);
    words.extend(["--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"].map(str::to_owned));
    words.push(data.clone());
    let (first, rest) = words.split_first().expect("a program");
    run(Command::new(first).args(rest));
    let port = free_port();
    let mut words = as_user(&[&program("postgres"), "-D", &data, "-p", &port.to_string()]);
    words.extend(["-c", "listen_addresses=127.0.0.1", "-k"].map(str::to_owned));
    words.push(own.display().to_string());
    (Server::peer(&words, port, folder).await, port)
}

async fn start_redis(folder: &Path) -> (Server, u16) {
    let port = free_port();
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/cluster/redis.conf");
    let port_word = port.to_string();
    let at = folder.display().to_string();
    let words = [
        "redis-server",
        settings,
        "--port",
        &port_word,
        "--bind",
        "127.0.0.1",
    ];
    let memory = ["--maxmemory", "4gb", "--dir", &at];
    let words: Vec<String> = words
        .iter()
        .chain(&memory)
        .map(|word| (*word).to_owned())
        .collect();
    (Server::peer(&words, port, folder).await, port)
}

/// Returns the words of a command for PostgreSQL's user.
fn as_user(words: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    if is_root() {
        let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
        all.push("setpriv".to_owned());
        all.extend(user);
        all.push("--clear-groups".to_owned());
    }
    all.extend(words.iter().map(|word| (*word).to_owned()));
    all
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout == b"0\n"
}

fn run(command: &mut Command) {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{command:?}: {done:?}");
}
