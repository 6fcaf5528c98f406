//! Redis servers for tests, in temporary folders on free ports.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::keeper::{Keeper, kept, start};

/// What a Redis says when it is ready.
const READY: &str = "Ready to accept connections";

/// A Redis that Mirage accepts, unless it was started with other settings. Killed when this value is dropped.
pub struct RedisServer {
    port: u16,
    server: Child,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts a server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with these settings, such as `--save`.
    pub fn with(settings: &[&str]) -> Self {
        // Another process may take a free port before the server does.
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            if let Some(server) = spawn(port, &folder, settings) {
                return Self {
                    port,
                    server,
                    _folder: folder,
                };
            }
        }
        panic!("redis-server {settings:?} does not start");
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
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
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

/// Starts a server, and returns it when it accepts connections.
fn spawn(port: u16, folder: &TempDir, settings: &[&str]) -> Option<Child> {
    let mut server = command(port, folder.path())
        .args(settings)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains(READY) {
            return Some(server);
        }
    }
    server.wait().unwrap();
    None
}
