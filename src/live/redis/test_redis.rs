//! A real `redis-server` for tests, and a proxy in front of it that can stop forwarding.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::clock::{Clock, SiteClock, SystemClock};
use crate::config::{Command as Parsed, Config, RedisConfig, RedisUrl};
use crate::live::redis::{Driver, Link, LinkError};

/// A Redis that keeps nothing on a disk, and that is killed when this value is dropped.
pub(crate) struct TestRedis {
    port: u16,
    arguments: Vec<String>,
    server: Child,
    folder: tempfile::TempDir,
}

impl TestRedis {
    /// Starts a Redis that Mirage accepts.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a Redis with other settings.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        // Another process may take a free port before the server does.
        for _ in 0..10 {
            let port = free_port();
            if let Some(server) = spawn(port, &folder, &arguments) {
                return Self {
                    port,
                    arguments,
                    server,
                    folder,
                };
            }
        }
        panic!("redis-server {arguments:?} does not start");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts the killed server again, without its memory.
    pub(crate) fn start_again(&mut self) {
        self.server = spawn(self.port, &self.folder, &self.arguments).unwrap();
    }

    /// Connects for the test itself, which waits for each answer, however long the machine takes.
    pub(crate) async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.unwrap()
    }

    /// Returns the commands that Redis ran meanwhile, as `MONITOR` shows them.
    pub(crate) async fn monitor(&self, work: impl AsyncFnOnce()) -> Vec<String> {
        let monitor = TcpStream::connect(("127.0.0.1", self.port)).await;
        let mut monitor = tokio::io::BufReader::new(monitor.unwrap());
        let asked = monitor.get_mut().write_all(b"MONITOR\r\n").await;
        asked.unwrap();
        let mut lines = monitor.lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
        work().await;
        let mut end = redis::cmd("ECHO");
        end.arg("end of work");
        let _: String = end.query_async(&mut self.connect().await).await.unwrap();
        let mut commands = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("end of work") {
                break;
            }
            commands.push(line);
        }
        commands
    }
}

/// Asserts that each command of a script in these lines of `MONITOR` has a key that the script declares, or one that
/// begins with a declared prefix: with its hash tag, that is on the same server of a Redis Cluster.
pub(crate) fn assert_scripts_declare_their_keys(lines: &[String]) {
    let mut declared: Vec<&str> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        if line.contains("lua]") {
            let is_declared = |key: &&str| {
                let is_of_prefix =
                    |prefix: &&str| prefix.ends_with("}:") && key.starts_with(*prefix);
                declared.contains(key) || declared.iter().any(is_of_prefix)
            };
            // A channel is no key.
            assert!(words[0] == "PUBLISH" || is_declared(&words[1]), "{line}");
        } else if words[0].eq_ignore_ascii_case("EVALSHA") {
            let count: usize = words[2].parse().unwrap();
            declared = words[3..3 + count].to_vec();
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a server, and returns it when it accepts connections.
fn spawn(port: u16, folder: &tempfile::TempDir, arguments: &[String]) -> Option<Child> {
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--logfile", ""])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--slowlog-log-slower-than", "-1"])
        .args(["--maxmemory-policy", "noeviction"])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains("Ready to accept connections") {
            return Some(server);
        }
    }
    server.wait().unwrap();
    None
}

/// Returns the settings of a link to `port`, and its URL.
pub(crate) fn settings(port: u16, words: &[&str]) -> (RedisUrl, RedisConfig) {
    let url = format!("redis://127.0.0.1:{port}");
    let words = [&["mirage", "--redis-url", &url], words].concat();
    let Parsed::Serve(config) = Parsed::parse(words).unwrap() else {
        panic!("another command");
    };
    let Config { redis, .. } = *config;
    (redis.redis_url.clone().unwrap(), redis)
}

/// Connects a link as another process would.
pub(crate) async fn link_to(
    port: u16,
    words: &[&str],
    clock: Arc<SiteClock>,
) -> Result<(Arc<Link>, Driver), LinkError> {
    link_as("5eed", port, words, clock).await
}

/// Connects a link as another process of another site would.
pub(crate) async fn link_as(
    site: &str,
    port: u16,
    words: &[&str],
    clock: Arc<SiteClock>,
) -> Result<(Arc<Link>, Driver), LinkError> {
    let (url, config) = settings(port, words);
    Link::connect(&url, &config, site, clock).await
}

/// Returns a clock that goes by itself.
pub(crate) fn system_clock() -> Arc<SiteClock> {
    Arc::new(SiteClock::new(Arc::new(SystemClock::start())))
}

/// Returns a clock that the test moves.
pub(crate) fn site_clock(clock: &Arc<impl Clock + 'static>) -> Arc<SiteClock> {
    Arc::new(SiteClock::new(clock.clone()))
}

/// A proxy that forwards connections to `port` as long as the test lets it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    forwards: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            forwards: watch::Sender::new(true),
        };
        let forwards = proxy.forwards.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, port, forwards.clone()));
            }
        });
        proxy
    }

    /// Stops forwarding, without closing any connection, as a network that drops packets.
    pub(crate) fn cut(&self) {
        self.forwards.send_replace(false);
    }

    /// Forwards new connections again. The old ones stay silent.
    pub(crate) fn mend(&self) {
        self.forwards.send_replace(true);
    }
}

async fn forward(client: TcpStream, port: u16, mut forwards: watch::Receiver<bool>) {
    wait_for(&mut forwards, true).await;
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_cut = tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => false,
        _ = copy(&mut from_server, &mut to_client) => false,
        () = wait_for(&mut forwards, false) => true,
    };
    if is_cut {
        // The connections stay open.
        std::future::pending::<()>().await;
    }
}

async fn wait_for(forwards: &mut watch::Receiver<bool>, wanted: bool) {
    drop(forwards.wait_for(|forwards| *forwards == wanted).await);
}
