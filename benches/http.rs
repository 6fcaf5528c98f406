//! Asking over HTTP/1.1: requests as a browser writes them, and answers as they come.
//!
//! Own code, because the clients that wait for delivery must cost little and give the moment of each
//! receipt; the rates are measured by wrk.

use actix_web::http::StatusCode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What a browser sends a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A page to be shown.
    Page,
    /// What a script fetches.
    Fetch,
    /// The style sheet or a script of a page.
    Asset,
}

/// A request, to be written for a server and a session.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// What for.
    pub purpose: Purpose,
    /// What a form or a script sends; nothing with `GET`.
    pub body: String,
    /// Whether the answer may be compressed, as browsers like it.
    pub takes_gzip: bool,
}

impl Request {
    /// A `GET`.
    pub fn get(purpose: Purpose, target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            purpose,
            body: String::new(),
            takes_gzip: true,
        }
    }

    /// What the room page's script sends for a message.
    pub fn send(room: i64, text: &str, nonce: &str) -> Self {
        Self {
            method: "POST",
            target: format!("/rooms/{room}/messages"),
            purpose: Purpose::Fetch,
            body: format!("text={}&nonce={nonce}", in_form(text)),
            takes_gzip: true,
        }
    }

    /// What a page's form sends.
    pub fn form(target: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", in_form(value)))
            .collect();
        Self {
            method: "POST",
            target: target.into(),
            purpose: Purpose::Page,
            body: fields.join("&"),
            takes_gzip: true,
        }
    }

    /// The same, for an answer that is not compressed.
    pub fn plain(self) -> Self {
        Self {
            takes_gzip: false,
            ..self
        }
    }

    /// The request as Chromium writes it to the server at `address`, with the session of `cookie`; with
    /// none if that is empty.
    pub fn written(&self, address: &str, cookie: &str) -> String {
        let (accept, mode, dest) = match self.purpose {
            Purpose::Page => (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
                "navigate",
                "document",
            ),
            Purpose::Fetch => ("*/*", "cors", "empty"),
            Purpose::Asset => ("text/css,*/*;q=0.1", "no-cors", "style"),
        };
        let mut lines = vec![
            format!("{} {} HTTP/1.1", self.method, self.target),
            format!("Host: {address}"),
            "Connection: keep-alive".to_owned(),
            r#"sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24""#.to_owned(),
            "sec-ch-ua-mobile: ?0".to_owned(),
            r#"sec-ch-ua-platform: "Linux""#.to_owned(),
        ];
        if self.purpose == Purpose::Page {
            lines.push("Upgrade-Insecure-Requests: 1".to_owned());
        }
        if self.method == "POST" {
            lines.push(format!("Content-Length: {}", self.body.len()));
            lines.push("Content-Type: application/x-www-form-urlencoded;charset=UTF-8".to_owned());
            if self.purpose == Purpose::Fetch {
                lines.push("Mirage-Script: 1".to_owned());
            }
            lines.push(format!("Origin: http://{address}"));
        }
        lines.extend([
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36".to_owned(),
            format!("Accept: {accept}"),
            "Sec-Fetch-Site: same-origin".to_owned(),
            format!("Sec-Fetch-Mode: {mode}"),
            format!("Sec-Fetch-Dest: {dest}"),
            format!("Referer: http://{address}/rooms/mine"),
            "Accept-Language: en-GB,en;q=0.9".to_owned(),
        ]);
        if self.takes_gzip {
            lines.push("Accept-Encoding: gzip, deflate, br, zstd".to_owned());
        }
        if !cookie.is_empty() {
            lines.push(format!("Cookie: {cookie}"));
        }
        format!("{}\r\n\r\n{}", lines.join("\r\n"), self.body)
    }
}

fn in_form(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'-' | b'_' | b'.' | b'*' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as they came.
    pub headers: Vec<(String, String)>,
    /// Its body, without the marks of its chunks.
    pub body: Vec<u8>,
    /// How many bytes it took on the way.
    pub length: usize,
}

impl Answer {
    /// The first header of this name, in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body, of an answer that is not compressed.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// What stands between these two texts in the body, where they first occur.
    pub fn between(&self, before: &str, after: &str) -> &str {
        let found = self.text().split_once(before);
        let found = found.and_then(|(_, rest)| rest.split_once(after));
        let (between, _) = found.unwrap_or_else(|| panic!("no {before} in {}", self.text()));
        between
    }
}

/// A connection that is kept open.
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// A connection to the server at `address`.
    pub async fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks with the session of `cookie`, and reads the answer.
    pub async fn ask(&mut self, request: &Request, cookie: &str) -> std::io::Result<Answer> {
        let written = request.written(&self.address, cookie);
        self.exchange(written.as_bytes()).await
    }

    /// Asks as [`Connection::ask`], but for an answer that is not compressed.
    pub async fn ask_plain(&mut self, request: &Request, cookie: &str) -> std::io::Result<Answer> {
        self.ask(&request.clone().plain(), cookie).await
    }

    /// Sends a request that is written already, and reads the answer.
    pub async fn exchange(&mut self, written: &[u8]) -> std::io::Result<Answer> {
        self.stream.get_mut().write_all(written).await?;
        self.read().await
    }

    async fn line(&mut self, length: &mut usize) -> std::io::Result<String> {
        let mut line = String::new();
        *length += self.stream.read_line(&mut line).await?;
        if !line.ends_with("\r\n") {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    async fn read(&mut self) -> std::io::Result<Answer> {
        let mut length = 0;
        let first = self.line(&mut length).await?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok());
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("{first} is no answer")),
            headers: Vec::new(),
            body: Vec::new(),
            length: 0,
        };
        loop {
            let line = self.line(&mut length).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            answer.headers.push(header);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line(&mut length).await?;
                let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
                self.bytes(size, &mut answer.body).await?;
                self.line(&mut length).await?;
                length += size;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(size) = answer.header("content-length") {
            let size = size.parse().expect("the size of a body");
            self.bytes(size, &mut answer.body).await?;
            length += size;
        }
        answer.length = length;
        Ok(answer)
    }

    async fn bytes(&mut self, count: usize, body: &mut Vec<u8>) -> std::io::Result<()> {
        let start = body.len();
        body.resize(start + count, 0);
        self.stream.read_exact(&mut body[start..]).await?;
        Ok(())
    }
}
