//! Servers as processes of their own: Mirage as people get it, and the bare one to compare it with.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::http::{Answer, Connection, Purpose, Request};

/// How long a server may take to start. It is long because valgrind is slow.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A file on a small disk, to be removed when there is to be more room on it.
pub const FILLER: &str = "filler";
/// Its size.
const FILLER_BYTES: u32 = 1 << 20;

/// How a server is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// By itself.
    Nothing,
    /// Under callgrind, on one core, so that it has one worker; counting what it executes.
    Callgrind,
    /// With its folder on a disk in memory of so many MiB, which nobody else sees, and which holds
    /// [`FILLER`] at first. What was in the folder before is not to be seen.
    SmallDisk(u32),
}

/// A server that answers. It is stopped when this is dropped.
pub struct Server {
    child: Child,
    /// Its host and port.
    pub address: String,
    /// How long it took from its start to its first answer.
    pub first_answer: Duration,
}

/// Where the program `name` is: beside this one.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    this.with_file_name(name)
}

impl Server {
    /// Mirage with its default settings but for `limits=off` and `flags`, and its database, its secret and
    /// its log in `folder`. The log is as it is by default, and goes to a file.
    pub async fn mirage(folder: &Path, flags: &[&str], under: Under) -> Self {
        let at = folder.display();
        let mut words = vec![
            program("mirage").display().to_string(),
            format!("--database-url=sqlite://{at}/mirage.db?mode=rwc"),
            format!("--secret-file={at}/mirage.key"),
            "--limits=off".to_owned(),
        ];
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let port = free_port();
        words.push(format!("--bind=127.0.0.1:{port}"));
        Self::start(&words, port, folder, under).await
    }

    /// The bare server, giving the answers in `folder`.
    pub async fn bare(folder: &Path, under: Under) -> Self {
        let port = free_port();
        let words = [
            program("benches").display().to_string(),
            "bare".to_owned(),
            folder.display().to_string(),
            port.to_string(),
        ];
        Self::start(&words, port, folder, under).await
    }

    async fn start(words: &[String], port: u16, folder: &Path, under: Under) -> Self {
        let log = folder.join(format!("log-{port}"));
        let file = File::create(&log).expect("a file for the log");
        let out = folder.join("callgrind.out");
        let before = match under {
            Under::Nothing => Vec::new(),
            Under::Callgrind => vec![
                "taskset".to_owned(),
                "--cpu-list".to_owned(),
                "0".to_owned(),
                "valgrind".to_owned(),
                "--tool=callgrind".to_owned(),
                format!("--callgrind-out-file={}", out.display()),
            ],
            Under::SmallDisk(mib) => vec![
                // In namespaces of its own, anybody may mount.
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
                && connection.ask(&health, "").await.is_ok()
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

    /// Asks over a connection of its own, for an answer that is not compressed.
    pub async fn ask(&self, request: &Request, cookie: &str) -> Answer {
        let to = Connection::open(&self.address).await;
        let answer = to.expect("a connection").ask_plain(request, cookie).await;
        answer.expect("an answer")
    }

    /// Sends a form that does what it is for, and gives the address that it leads to.
    pub async fn submit(&self, form: &Request, cookie: &str) -> String {
        let answer = self.ask(form, cookie).await;
        assert_eq!(answer.status, 303, "{}: {answer:?}", form.target);
        answer.header("location").expect("an address").to_owned()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How much of the machine's memory it takes now, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it took at once since [`Server::forget_peak`], in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Lets [`Server::peak_memory`] begin anew.
    pub fn forget_peak(&self) {
        // `proc_pid_clear_refs(5)`.
        let file = format!("/proc/{}/clear_refs", self.id());
        std::fs::write(file, "5").expect("a kernel that counts anew");
    }

    fn status(&self, what: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with(what));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = number.and_then(|kib| kib.parse().ok()).expect("a size");
        kib * 1024
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.expect("the descriptors of a process").count()
    }

    /// Where a file is that the server sees at `path`, for who does not see its disks.
    pub fn file(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").expect("a path from the root");
        PathBuf::from(format!("/proc/{}/root", self.id())).join(path)
    }

    /// Waits until it has nothing left to do: until for a while it took no time of a processor, but for
    /// what it does by the clock.
    pub async fn settle(&self) {
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

    /// The processor time it took so far, in hundredths of a second.
    fn ticks(&self) -> u64 {
        let stat = self.read("stat");
        // The name of the program, in brackets, may have spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("the name of a process");
        let fields = fields.split(' ').skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    fn read(&self, file: &str) -> String {
        let file = format!("/proc/{}/{file}", self.id());
        std::fs::read_to_string(file).expect("what the kernel says of a process")
    }

    /// Tells it to stop, as an operator does, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.id().to_string();
        let told = Command::new("kill").arg(pid).status();
        assert!(told.expect("kill").success(), "the server cannot be told");
        self.child.wait().expect("a server that ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago. Nobody else on the machine is given it so soon again.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a port").port()
}
