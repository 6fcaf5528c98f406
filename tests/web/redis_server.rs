//! Redis servers for tests, in temporary folders on free ports.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::keeper::{Keeper, kept, start};
use crate::ports::free_port;

/// Connects a test itself to a Redis. It waits for each answer, however long the machine takes.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let client = redis::Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.unwrap()
}

/// What a Redis says when it is ready.
const READY: &str = "Ready to accept connections";

/// A Redis that Mirage accepts, unless it was started with other settings. Killed when this value is dropped.
pub struct RedisServer {
    port: u16,
    server: Child,
    folder: TempDir,
}

/// How far the clock of a Redis with its own clock is ahead of the machine's.
const CLOCK_FILE: &str = "clock";

impl RedisServer {
    /// Starts a server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with these settings, such as `--save`.
    pub fn with(settings: &[&str]) -> Self {
        Self::start_as(|server, _, _| {
            server.args(settings);
        })
    }

    /// Starts a server that speaks nothing but TLS, with this certificate.
    pub fn with_tls(key: &Path, certificate: &str) -> Self {
        Self::start_as(|server, _, port| {
            server.args(["--port", "0", "--tls-port", &port.to_string()]);
            server.arg("--tls-key-file").arg(key);
            server.args(["--tls-cert-file", certificate]);
            server.args(["--tls-auth-clients", "no"]);
        })
    }

    /// Starts a server whose clock [`RedisServer::set_clock`] sets.
    pub fn with_own_clock() -> Self {
        let library = faketime();
        Self::start_as(|server, folder, _| {
            let file = folder.join(CLOCK_FILE);
            std::fs::write(&file, "+0").unwrap();
            // With the C library's own allocator: the one of Debian's Redis asks for the time before the library is ready.
            server.env("LD_PRELOAD", format!("{} libc.so.6", library.display()));
            server.env("FAKETIME_TIMESTAMP_FILE", file);
            // The file is read each time.
            server.env("FAKETIME_NO_CACHE", "1");
            // As on a machine whose clock is set.
            server.env("DONT_FAKE_MONOTONIC", "1");
        })
    }

    /// Starts a server by a command with additions, which may use its folder and its port.
    fn start_as(add: impl Fn(&mut Command, &Path, u16)) -> Self {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let mut command = command(port, folder.path());
            add(&mut command, folder.path(), port);
            if let Some(server) = spawn(command) {
                return Self {
                    port,
                    server,
                    folder,
                };
            }
        }
        panic!("redis-server does not start");
    }

    /// Sets the clock of a server with its own clock this many seconds ahead of the machine's.
    pub fn set_clock(&self, ahead: i64) {
        // Renamed, so that the server never reads half of it.
        let folder = self.folder.path();
        let new = folder.join("next");
        std::fs::write(&new, format!("{ahead:+}")).unwrap();
        std::fs::rename(new, folder.join(CLOCK_FILE)).unwrap();
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of this server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The URL of this server, as a setting.
    pub fn flag(&self) -> String {
        flag(self.port)
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        drop(self.server.kill());
        self.server.wait().unwrap();
    }
}

/// Returns the URL of the server that most tests share, as a setting. Each database has keys of its own there.
pub fn shared() -> String {
    static SHARED: OnceLock<(u16, Keeper)> = OnceLock::new();
    let (port, _) = SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let port = free_port();
        let server = kept(&command(port, &folder), &folder);
        (port, start(server, READY))
    });
    flag(*port)
}

fn flag(port: u16) -> String {
    format!("--redis-url=redis://127.0.0.1:{port}")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let process = self.server.id();
        self.kill();
        // What libfaketime shares with other processes, and does not delete when its own is killed.
        for shared in ["faketime_shm", "sem.faketime_sem"] {
            drop(std::fs::remove_file(format!("/dev/shm/{shared}_{process}")));
        }
    }
}

/// Returns the command of a server with settings that Mirage accepts.
fn command(port: u16, folder: &Path) -> Command {
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string()]);
    server.args(["--bind", "127.0.0.1", "--logfile", ""]);
    server.args(["--save", "", "--appendonly", "no"]);
    server.args(["--slowlog-log-slower-than", "-1"]);
    server.args(["--maxmemory-policy", "noeviction"]);
    server.arg("--dir").arg(folder);
    server
}

/// Returns the library of Debian's package `libfaketime`, which is in a folder of the machine's kind.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let paths = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketime.so.1"));
    let mut found = paths.filter(|path| path.exists());
    found
        .next()
        .unwrap_or_else(|| panic!("libfaketime is not installed"))
}

/// Starts a server, and returns it when it accepts connections.
fn spawn(mut command: Command) -> Option<Child> {
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains(READY) {
            return Some(server);
        }
    }
    server.wait().unwrap();
    None
}
