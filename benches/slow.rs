//! Slow and greedy clients: their effect on the latency of other people, who keep requesting a room page, and
//! on the server's memory, and how soon the server closes their sockets.
//!
//! The clients connect from 127.0.0.2, which distinguishes them in the kernel's list of sockets. Limits are
//! off, so that one address may have ten times as many connections, and people may send faster than usual.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::Plan;
use crate::http::{Connection, Purpose, Request};
use crate::people::Dataset;
use crate::server::{Environment, Server};
use crate::table::{median, mib, ms, percentile, print};

/// The number of clients of each kind.
const CLIENTS: usize = 1_000;
/// The number of people who send requests meanwhile, and the pause between two requests of one person.
const PEOPLE: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);
/// How often people are measured alone and then beside the clients. Several rounds, because the p99 varies by
/// a multiple even on an otherwise idle machine.
const ROUNDS: usize = 3;
/// How long people are measured alone, and the minimum beside the clients.
const ALONE: Duration = Duration::from_secs(10);
/// The time over which the clients connect. If all connected at once, their bytes would arrive in step, as if
/// from one client.
const ARRIVAL: Duration = Duration::from_secs(5);
/// The send buffer of a client, in bytes. With the default, greedy clients would fill megabytes each and use
/// up the kernel's memory for sockets, which they would not share with the server in reality.
const CLIENT_SENDS: u32 = 16 * 1024;
/// How often the open sockets are counted.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// A client that is still connected by then is assumed to stay.
const STAYS_AFTER: Duration = Duration::from_secs(120);

/// The behaviour of a client.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Silent,
    SlowHead,
    SlowLaterHead,
    SlowBody,
    SlowChunks,
    NeverReading,
    TinyRequests,
}

/// Each kind, its name, and the time in seconds within which the server must close its sockets.
const KINDS: [(Kind, &str, u64); 7] = [
    (Kind::Silent, "silent", 10),
    (Kind::SlowHead, "one byte of the head per second", 10),
    (Kind::SlowLaterHead, "the same in a second request", 10),
    (Kind::SlowBody, "one byte of the body per second", 20),
    (Kind::SlowChunks, "the same in chunks, to a 404", 20),
    (Kind::NeverReading, "requests pages, never reads", 60),
    (Kind::TinyRequests, "the same with tiny requests", 60),
];

/// What a client sends first, and what it then sends each second or, if it never reads, continuously.
fn sends(kind: Kind) -> (String, String) {
    let get = "GET /healthz HTTP/1.1\r\nHost: mirage\r\n\r\n";
    let head = "GET / HTTP/1.1\r\nHost: mirage\r\nX-Slow: ";
    let post = "Host: mirage\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let (first, then) = match kind {
        Kind::Silent => (String::new(), ""),
        Kind::SlowHead => (head.to_owned(), "x"),
        Kind::SlowLaterHead => (format!("{get}{head}"), "x"),
        Kind::SlowBody => (
            format!("POST /login HTTP/1.1\r\n{post}Content-Length: 8000\r\n\r\n"),
            "x",
        ),
        Kind::SlowChunks => (
            format!("POST /nowhere HTTP/1.1\r\n{post}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\nx\r\n",
        ),
        Kind::NeverReading => (
            String::new(),
            "GET /accessibility HTTP/1.1\r\nHost: mirage\r\n\r\n",
        ),
        Kind::TinyRequests => (String::new(), "GET / HTTP/1.1\r\nHost:m\r\n\r\n"),
    };
    (first, then.to_owned())
}

/// Measures each kind of client on its own server.
pub async fn run(plan: &Plan) {
    let mut rows = Vec::new();
    for (kind, name, within_s) in KINDS {
        rows.push(measure(plan, kind, name, within_s).await);
        eprintln!("{name}");
    }
    print(
        &[
            "clients",
            "people's p99 alone",
            "beside them",
            "ratio",
            "closed after",
            "target",
            "memory alone",
            "peak",
            "per client",
        ],
        &rows,
    );
    println!("Targets: ratio at most 2.00, closed within the time in the target column.");
}

async fn measure(plan: &Plan, kind: Kind, name: &str, within_s: u64) -> Vec<String> {
    let count = if plan.is_quick { CLIENTS / 10 } else { CLIENTS };
    let alone = if plan.is_quick { ALONE / 10 } else { ALONE };
    let dataset = Dataset::new(&plan.folder.join(format!("{kind:?}"))).await;
    let people = dataset.add_people(1, PEOPLE).await;
    dataset.add_rooms(1, 1, &people).await;
    dataset.close().await;
    let server = Server::mirage(dataset.folder(), &[], Environment::Plain).await;
    let mut to = Connection::open(&server.address)
        .await
        .expect("a connection");
    dataset.send_messages(&mut to, 1, &people, 50).await;
    drop(to);

    let running = Stopwatch::start();
    let cookies = people.into_iter().map(|person| person.cookie).collect();
    let people = People::ask(server.address.clone(), cookies, running);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = running.elapsed();
        sleep(alone).await;
        let memory = server.memory();
        server.reset_peak();
        let came = running.elapsed();
        let clients = come(&server.address, kind, count).await;
        let last_came = running.elapsed();
        let mut looks = interval(LOOKS_EVERY);
        while left(&server.address) > 0 && running.elapsed() < last_came + STAYS_AFTER {
            looks.tick().await;
        }
        let ended = running.elapsed();
        sleep((came + alone).saturating_sub(ended)).await;
        rounds.push(Round {
            began,
            came,
            ended: running.elapsed(),
            gone: (left(&server.address) == 0).then_some(ended - last_came),
            memory,
            most: server.peak_memory(),
        });
        drop(clients);
    }
    let spans = people.stop();
    server.stop();
    let p99s = rounds.iter().map(|round| round.p99s(&spans));
    let (alone, beside): (Vec<Duration>, Vec<Duration>) = p99s.unzip();
    let ratios: Vec<f64> = std::iter::zip(&alone, &beside)
        .map(|(alone, beside)| beside.as_secs_f64() / alone.as_secs_f64())
        .collect();
    let memory = rounds.iter().map(|round| round.memory).min().unwrap_or(0);
    let most = rounds.iter().map(|round| round.most).max().unwrap_or(0);
    let gone: Option<Vec<Duration>> = rounds.iter().map(|round| round.gone).collect();
    let gone = gone.and_then(|gone| gone.into_iter().max());
    vec![
        name.to_owned(),
        ms(median(&alone)),
        ms(median(&beside)),
        format!("{:.2}", median(&ratios)),
        gone.map_or("some stay".to_owned(), |gone| {
            format!("{:.1} s", gone.as_secs_f64())
        }),
        format!("{within_s} s"),
        mib(memory),
        mib(most),
        format!(
            "{:.1} KiB",
            most.saturating_sub(memory) as f64 / 1024.0 / count as f64
        ),
    ]
}

/// One measurement of people alone, and then beside clients.
struct Round {
    began: Duration,
    /// When the first client connected.
    came: Duration,
    ended: Duration,
    /// The time from the last connection until all sockets were closed, if they were.
    gone: Option<Duration>,
    /// The memory of the server before the clients, and the peak, in bytes.
    memory: u64,
    most: u64,
}

impl Round {
    /// The people's p99 alone, and beside the clients.
    fn p99s(&self, spans: &[(Duration, Duration)]) -> (Duration, Duration) {
        let p99 = |from: Duration, to: Duration| {
            let wanted = spans.iter().filter(|(at, _)| (from..to).contains(at));
            let wanted: Vec<Duration> = wanted.map(|(_, span)| *span).collect();
            percentile(&wanted, 0.99)
        };
        (p99(self.began, self.came), p99(self.came, self.ended))
    }
}

/// Connects clients of a kind.
async fn come(address: &str, kind: Kind, count: usize) -> JoinSet<()> {
    let (first, then) = sends(kind);
    let is_greedy = matches!(kind, Kind::NeverReading | Kind::TinyRequests);
    let mut clients = JoinSet::new();
    let mut arrivals = interval(ARRIVAL / count as u32);
    for _ in 0..count {
        arrivals.tick().await;
        let stream = connect(address).await;
        clients.spawn(send(stream, first.clone(), then.clone(), is_greedy));
    }
    clients
}

async fn connect(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let ours = SocketAddr::from(([127, 0, 0, 2], 0));
    socket
        .set_send_buffer_size(CLIENT_SENDS)
        .expect("a size that a buffer may have");
    socket.bind(ours).expect("an address of this machine");
    let address = address.parse().expect("an address");
    socket.connect(address).await.expect("a connection")
}

/// Sends until the connection is reset, and keeps its own end open.
async fn send(mut stream: TcpStream, first: String, then: String, is_greedy: bool) {
    let then = if is_greedy { then.repeat(100) } else { then };
    let mut result = stream.write_all(first.as_bytes()).await;
    while result.is_ok() && !then.is_empty() {
        if !is_greedy {
            sleep(Duration::from_secs(1)).await;
        }
        result = stream.write_all(then.as_bytes()).await;
    }
    std::future::pending::<()>().await;
}

/// The number of the slow clients' sockets that are left at the server: those that are open or waiting to be
/// accepted, and those that the kernel still holds bytes for. Sockets with only the client's end open do not
/// count.
fn left(address: &str) -> usize {
    const FIN_WAIT_2: &str = "05";
    const TIME_WAIT: &str = "06";
    let (_, port) = address.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a port");
    let server = format!("0100007F:{port:04X}");
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's list of sockets");
    let is_left = |line: &&str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, state, inode) = (cells[1], cells[2], cells[3], cells[9]);
        local == server
            && remote.starts_with("0200007F:")
            && (inode != "0" || ![FIN_WAIT_2, TIME_WAIT].contains(&state))
    };
    sockets.lines().skip(1).filter(is_left).count()
}

/// People who keep requesting a room page, on their own thread.
struct People {
    spans: Arc<Mutex<Vec<(Duration, Duration)>>>,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl People {
    fn ask(address: String, cookies: Vec<String>, running: Stopwatch) -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let noted = Arc::clone(&spans);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let asking = async {
                let mut people = JoinSet::new();
                for cookie in cookies {
                    people.spawn(ask(address.clone(), cookie, running, Arc::clone(&noted)));
                }
                while let Some(ended) = people.join_next().await {
                    ended.expect("people ask until the end");
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = asking => {}
                }
            });
        });
        Self {
            spans,
            stop,
            thread,
        }
    }

    /// Stops the people and returns the start and the duration of each request.
    fn stop(self) -> Vec<(Duration, Duration)> {
        self.stop.send(()).expect("people who ask");
        self.thread.join().expect("people who all had answers");
        std::mem::take(&mut self.spans.lock().expect("the figures"))
    }
}

async fn ask(
    address: String,
    cookie: String,
    running: Stopwatch,
    spans: Arc<Mutex<Vec<(Duration, Duration)>>>,
) {
    let page = Request::get(Purpose::Page, "/rooms/1");
    let mut connection = Connection::open(&address).await.expect("a connection");
    loop {
        let began = running.elapsed();
        let answer = connection.ask(&page, &cookie).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        let span = running.elapsed() - began;
        spans.lock().expect("the figures").push((began, span));
        sleep(PAUSE).await;
    }
}
