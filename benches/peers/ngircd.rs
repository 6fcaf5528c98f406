//! ngircd, an IRC server, as a [`Peer`].

use std::cell::Cell;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Client, Peer, Reading};
use crate::Plan;
use crate::server::{Server, free_port};

/// A running ngircd.
pub struct Ngircd {
    server: Server,
    /// Each connection has another nick.
    nicks: Cell<usize>,
}

/// A person in a channel.
pub struct Line {
    stream: BufReader<TcpStream>,
    channel: String,
    /// The messages that arrived while this person sent.
    received: usize,
}

impl Ngircd {
    /// Starts ngircd with the settings of its manual page `ngircd.conf(5)`: no limits, no look-ups of clients' names,
    /// and no pings of clients that wait for their turn.
    pub async fn start(plan: &Plan) -> Self {
        let folder = plan.folder.join("ngircd");
        std::fs::create_dir_all(&folder).expect("a folder");
        let port = free_port();
        let settings = format!(
            "[Global]
            Name = irc.example.net
            Info = A server to compare with
            AdminInfo1 = none
            MotdPhrase = Hello
            Listen = 127.0.0.1
            Ports = {port}
            [Limits]
            MaxConnections = 0
            MaxConnectionsIP = 0
            MaxPenaltyTime = 0
            PingTimeout = 3600
            [Options]
            DNS = no
            Ident = no
            PAM = no
            "
        );
        let file = folder.join("ngircd.conf");
        std::fs::write(&file, settings).expect("a file for the settings");
        let words = [
            "/usr/sbin/ngircd".to_owned(),
            "--nodaemon".to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ];
        Self {
            server: Server::peer(&words, port, &folder).await,
            nicks: Cell::new(0),
        }
    }
}

impl Peer for Ngircd {
    type Client = Line;
    const READING: Reading = Reading::Push;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn client(&self, _: usize, room: i64) -> Line {
        let stream = TcpStream::connect(&self.server.address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let mut line = Line {
            stream: BufReader::new(stream),
            channel: format!("#room{room}"),
            received: 0,
        };
        let nick = self.nicks.get();
        self.nicks.set(nick + 1);
        line.write(&format!("NICK p{nick}\r\nUSER p{nick} 0 * :p{nick}\r\n"))
            .await;
        // The end of the message of the day.
        line.read_until(" 376 ").await;
        line.write(&format!("JOIN {}\r\n", line.channel)).await;
        // The end of the list of names.
        line.read_until(" 366 ").await;
        line
    }

    async fn open(&mut self, _: Duration) -> Option<f64> {
        None
    }

    async fn idle(&mut self, _: Duration) -> Option<f64> {
        None
    }
}

impl Line {
    async fn write(&mut self, lines: &str) {
        let written = self.stream.get_mut().write_all(lines.as_bytes()).await;
        written.expect("a server that reads");
    }

    /// Reads lines up to the one with this text, and counts the messages among them.
    async fn read_until(&mut self, mark: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            let length = self.stream.read_line(&mut line).await.expect("text");
            assert_ne!(length, 0, "the server closed the connection");
            assert!(!line.starts_with("ERROR"), "{line}");
            if line.contains(" PRIVMSG #") {
                self.received += 1;
            }
            if line.contains(mark) {
                return;
            }
        }
    }
}

impl Client for Line {
    async fn send(&mut self, text: &str) {
        let lines = format!("PRIVMSG {} :{text}\r\nPING :sent\r\n", self.channel);
        self.write(&lines).await;
        self.read_until(" PONG ").await;
        // The server sends no copy to the author.
        self.received += 1;
    }

    async fn receive(&mut self) -> usize {
        if self.received == 0 {
            self.read_until(" PRIVMSG #").await;
        }
        std::mem::take(&mut self.received)
    }
}
