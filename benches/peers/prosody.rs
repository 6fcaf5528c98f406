//! prosody, an XMPP server with group chat (XEP-0045), as a [`Peer`].

use std::time::Duration;

use ::mirage::clock::Stopwatch;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Client, MESSAGES, Peer, Reading, SHOWN, each};
use crate::Plan;
use crate::people::text;
use crate::server::{Server, free_port};
use crate::wrk::CONNECTIONS;

/// The start of a stream (RFC 6120).
const STREAM: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
const ANONYMOUS: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
const BIND: &str = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

/// A running prosody.
pub struct Prosody {
    server: Server,
    /// Open rooms of their own again and again.
    openers: Vec<Stream>,
}

/// A person in a room.
pub struct Stream {
    stream: BufReader<TcpStream>,
    room: String,
    nick: String,
    /// The messages that arrived while this person sent.
    received: usize,
}

impl Prosody {
    /// Starts prosody with Debian's modules that group chat needs, no limits and no encryption, and rooms that keep as
    /// many messages as are compared, in memory.
    pub async fn start(plan: &Plan) -> Self {
        let folder = plan.folder.join("prosody");
        std::fs::create_dir_all(folder.join("certs")).expect("a folder");
        let port = free_port();
        let at = folder.display();
        let settings = format!(
            r#"
            run_as_root = true
            data_path = "{at}"
            pidfile = "{at}/prosody.pid"
            certificates = "{at}/certs"
            log = {{ warn = "*console" }}
            c2s_ports = {{ {port} }}
            c2s_interfaces = {{ "127.0.0.1" }}
            c2s_require_encryption = false
            modules_enabled = {{ "disco", "roster", "saslauth", "ping" }}
            modules_disabled = {{ "s2s" }}
            authentication = "anonymous"
            VirtualHost "localhost"
            Component "rooms.localhost" "muc"
                muc_room_locking = false
                muc_room_default_history_length = {MESSAGES}
            "#
        );
        let file = folder.join("prosody.cfg.lua");
        std::fs::write(&file, settings).expect("a file for the settings");
        let words = [
            "prosody".to_owned(),
            "-F".to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ];
        let mut prosody = Self {
            server: Server::peer(&words, port, &folder).await,
            openers: Vec::new(),
        };
        for (person, room) in (1..=CONNECTIONS).zip(SHOWN..) {
            let mut opener = prosody.client(person, room).await;
            for number in 0..MESSAGES {
                opener.send(&text(number)).await;
            }
            prosody.openers.push(opener);
        }
        prosody
    }
}

impl Peer for Prosody {
    type Client = Stream;
    const READING: Reading = Reading::Push;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn client(&self, person: usize, room: i64) -> Stream {
        let stream = TcpStream::connect(&self.server.address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let mut person = Stream {
            stream: BufReader::new(stream),
            room: format!("room{room}@rooms.localhost"),
            nick: format!("p{person}"),
            received: 0,
        };
        for (sent, mark) in [
            (STREAM, "</stream:features>"),
            (ANONYMOUS, "<success "),
            (STREAM, "</stream:features>"),
            (BIND, "<iq "),
        ] {
            person.write(sent).await;
            person.read_until(mark).await;
        }
        person.join().await;
        person.received = 0;
        person
    }

    async fn open(&mut self, span: Duration) -> Option<f64> {
        let running = Stopwatch::start();
        let opening = each(&mut self.openers, async move |person| {
            let mut opened = 0;
            while running.elapsed() < span {
                person.received = 0;
                person.join().await;
                assert_eq!(person.received, MESSAGES, "the messages of a room");
                opened += 1;
            }
            opened
        });
        let opened: usize = opening.await.iter().sum();
        Some(opened as f64 / running.elapsed().as_secs_f64())
    }

    async fn idle(&mut self, _: Duration) -> Option<f64> {
        None
    }
}

impl Stream {
    /// Joins the room, again if already there, and reads its messages, which the room's subject ends. Without
    /// `history`, prosody sends 20.
    async fn join(&mut self) {
        let (room, nick) = (&self.room, &self.nick);
        let join = format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>\
             <history maxstanzas='{MESSAGES}'/></x></presence>"
        );
        self.write(&join).await;
        self.read_until("<subject").await;
    }

    async fn write(&mut self, stanza: &str) {
        let written = self.stream.get_mut().write_all(stanza.as_bytes()).await;
        written.expect("a server that reads");
    }

    /// Reads stanzas up to the one with this text, and counts the messages among them.
    async fn read_until(&mut self, mark: &str) {
        loop {
            let stanza = self.read().await;
            if stanza.contains("<body>") {
                self.received += 1;
            }
            if stanza.contains(mark) {
                return;
            }
        }
    }

    /// Reads a stanza: an element of the stream with all that is in it. prosody writes `>` in texts as `&gt;`.
    async fn read(&mut self) -> String {
        let mut stanza = Vec::new();
        let mut depth = 0_usize;
        loop {
            let start = stanza.len();
            let length = self.stream.read_until(b'>', &mut stanza).await;
            assert_ne!(
                length.expect("text"),
                0,
                "the server closed the connection: {}",
                String::from_utf8_lossy(&stanza)
            );
            // The tag, without a text in front of it.
            let tag = &stanza[start..];
            let tag = &tag[tag.iter().position(|byte| *byte == b'<').expect("a tag")..];
            if tag.starts_with(b"<?") || tag.starts_with(b"<stream:stream") {
                stanza.clear();
                continue;
            }
            if tag.starts_with(b"</") {
                depth -= 1;
            } else if !tag.ends_with(b"/>") {
                depth += 1;
            }
            if depth == 0 {
                return String::from_utf8(stanza).expect("UTF-8");
            }
        }
    }
}

impl Client for Stream {
    async fn send(&mut self, text: &str) {
        let (room, nick) = (&self.room, &self.nick);
        // None of the texts has a character that XML escapes.
        let message =
            format!("<message type='groupchat' to='{room}'><body>{text}</body></message>");
        let copy = format!("from='{room}/{nick}'");
        self.write(&message).await;
        self.read_until(&copy).await;
    }

    async fn receive(&mut self) -> usize {
        if self.received == 0 {
            self.read_until("<body>").await;
        }
        std::mem::take(&mut self.received)
    }
}
