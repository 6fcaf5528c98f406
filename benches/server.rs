//! Server processes: Mirage as it is deployed, and the bare server for comparison.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::http::{Answer, Connection, Purpose, Request};

/// How long a server may take to start. This is long because valgrind is slow.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A file on the small disk, whose removal frees space.
pub const FILLER: &str = "filler";
/// The size of the filler.
const FILLER_BYTES: u32 = 1 << 20;

/// The library that slows each fsync down, compiled from `slow_disk.c`.
pub const SLOW_SYNC: &str = "slow_disk.so";

/// How a server process is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// No special environment.
    Plain,
    /// Under callgrind, which counts instructions, on one core and so with one worker.
    Callgrind,
    /// With its folder on a private tmpfs of this many MiB, which contains [`FILLER`] at first. The tmpfs hides
    /// the previous content of the folder.
    SmallDisk(u32),
    /// With [`SLOW_SYNC`] from its folder preloaded.
    SlowDisk,
}

/// The first answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// It answers `/healthz`.
    Health,
    /// It accepts a connection.
    Connection,
}

/// A running server, which is killed when this is dropped.
pub struct Server {
    child: Child,
    /// The host and port.
    pub address: String,
    /// The time from the start to the first response.
    pub first_answer: Duration,
}

/// The path of the program `name`, next to this program.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    this.with_file_name(name)
}

impl Server {
    /// Starts Mirage with default settings except `limits=off` and `flags`, with database, secret and log file
    /// in `folder`.
    pub async fn mirage(folder: &Path, flags: &[&str], environment: Environment) -> Self {
        let at = folder.display();
        let sqlite = format!("--database-url=sqlite://{at}/mirage.db?mode=rwc");
        let flags = [&[sqlite.as_str()], flags].concat();
        Self::mirage_with(folder, &flags, environment).await
    }

    /// Starts Mirage with `limits=off` and `flags`, which name the database, and with secret and log file in `folder`.
    pub async fn mirage_with(folder: &Path, flags: &[&str], environment: Environment) -> Self {
        let at = folder.display();
        let mut words = vec![
            program("mirage").display().to_string(),
            format!("--secret-file={at}/mirage.key"),
            "--limits=off".to_owned(),
        ];
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let port = free_port();
        words.push(format!("--bind=127.0.0.1:{port}"));
        Self::start(&words, port, folder, environment).await
    }

    /// Starts the bare server with the responses in `folder`.
    pub async fn bare(folder: &Path, environment: Environment) -> Self {
        let port = free_port();
        let words = [
            program("benches").display().to_string(),
            "bare".to_owned(),
            folder.display().to_string(),
            port.to_string(),
        ];
        Self::start(&words, port, folder, environment).await
    }

    /// Starts another chat server, which has answered once it accepts a connection to `port`.
    pub async fn peer(words: &[String], port: u16, folder: &Path) -> Self {
        Self::spawn(words, port, folder, Environment::Plain, Answers::Connection).await
    }

    async fn start(words: &[String], port: u16, folder: &Path, environment: Environment) -> Self {
        Self::spawn(words, port, folder, environment, Answers::Health).await
    }

    async fn spawn(
        words: &[String],
        port: u16,
        folder: &Path,
        environment: Environment,
        answers: Answers,
    ) -> Self {
        let log = folder.join(format!("log-{port}"));
        let file = File::create(&log).expect("a file for the log");
        let out = folder.join("callgrind.out");
        let before = match environment {
            Environment::Plain => Vec::new(),
            Environment::Callgrind => vec![
                "taskset".to_owned(),
                "--cpu-list".to_owned(),
                "0".to_owned(),
                "valgrind".to_owned(),
                "--tool=callgrind".to_owned(),
                format!("--callgrind-out-file={}", out.display()),
            ],
            Environment::SmallDisk(mib) => vec![
                // In its own namespaces, any user may mount.
                "unshare".to_owned(),
                "--user".to_owned(),
                "--map-root-user".to_owned(),
                "--mount".to_owned(),
                "sh".to_owned(),
                "-c".to_owned(),
                format!(
                    r#"set -e
                    mount -t tmpfs -o size={mib}m tmpfs "$0"
                    head -c {FILLER_BYTES} /dev/zero >"$0/{FILLER}"
                    exec "$@""#
                ),
                folder.display().to_string(),
            ],
            Environment::SlowDisk => vec![
                "env".to_owned(),
                format!("LD_PRELOAD={}", folder.join(SLOW_SYNC).display()),
            ],
        };
        let mut words = before.iter().chain(words);
        let running = Stopwatch::start();
        let mut child = Command::new(words.next().expect("a program"))
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("a server that starts");
        let address = format!("127.0.0.1:{port}");
        let health = Request::get(Purpose::Fetch, "/healthz");
        loop {
            if let Ok(mut connection) = Connection::open(&address).await
                && (answers == Answers::Connection || connection.ask(&health, "").await.is_ok())
            {
                break;
            }
            let ended = child.try_wait().expect("whether the server runs");
            if ended.is_some() || running.elapsed() > STARTS_WITHIN {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the server does not answer: {said}");
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Self {
            child,
            address,
            first_answer: running.elapsed(),
        }
    }

    /// Sends a request over a new connection, without compression.
    pub async fn ask(&self, request: &Request, cookie: &str) -> Answer {
        let to = Connection::open(&self.address).await;
        let answer = to.expect("a connection").ask_plain(request, cookie).await;
        answer.expect("an answer")
    }

    /// Submits a form that must succeed, and returns the path of the redirect.
    pub async fn submit(&self, form: &Request, cookie: &str) -> String {
        let answer = self.ask(form, cookie).await;
        assert_eq!(answer.status, 303, "{}: {answer:?}", form.target);
        answer.header("location").expect("an address").to_owned()
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The peak resident memory since [`Server::reset_peak`], in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Resets [`Server::peak_memory`].
    pub fn reset_peak(&self) {
        // `proc_pid_clear_refs(5)`.
        let file = format!("/proc/{}/clear_refs", self.id());
        std::fs::write(file, "5").expect("a kernel that resets the peak");
    }

    fn status(&self, what: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with(what));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = number.and_then(|kib| kib.parse().ok()).expect("a size");
        kib * 1024
    }

    /// The number of open files and sockets.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.expect("the descriptors of a process").count()
    }

    /// The path by which this process can open the server's file `path` on the small disk.
    pub fn file(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").expect("a path from the root");
        PathBuf::from(format!("/proc/{}/root", self.id())).join(path)
    }

    /// Waits until the server is idle: until it uses no processor time but for periodic tasks.
    pub async fn wait_until_idle(&self) {
        let mut before = self.ticks();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.ticks();
            if now <= before + 1 {
                return;
            }
            before = now;
        }
    }

    /// The processor time used so far, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = self.read("stat");
        // The name of the program, in brackets, may contain spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("the name of a process");
        let fields = fields.split(' ').skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    fn read(&self, file: &str) -> String {
        let file = format!("/proc/{}/{file}", self.id());
        std::fs::read_to_string(file).expect("what the kernel says of a process")
    }

    /// Stops the server gracefully and waits until it has ended.
    pub fn stop(mut self) {
        let pid = self.id().to_string();
        let told = Command::new("kill").arg(pid).status();
        assert!(told.expect("kill").success(), "the server cannot be told");
        self.child.wait().expect("a server that ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the server has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago. The kernel does not reassign a port so soon.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a port").port()
}
