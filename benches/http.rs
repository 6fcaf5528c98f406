//! A minimal HTTP/1.1 client that sends requests like a browser.
//!
//! Own code, because thousands of waiting clients must be cheap and must record the time of each receipt.
//! Throughput is measured by wrk.

use actix_web::http::StatusCode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The codings that browsers accept over TLS and on localhost.
const BROWSER_CODINGS: &str = "gzip, deflate, br, zstd";

/// The purpose of a browser's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A navigation to a page.
    Page,
    /// A `fetch` of a script.
    Fetch,
    /// A style sheet or script.
    Asset,
}

/// A request, without its server and session.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// The purpose, which determines some headers.
    pub purpose: Purpose,
    /// The URL-encoded form; empty for `GET`.
    pub body: String,
    /// The `Accept-Encoding` header; empty for none.
    pub accepts: &'static str,
}

impl Request {
    /// A `GET`.
    pub fn get(purpose: Purpose, target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            purpose,
            body: String::new(),
            accepts: BROWSER_CODINGS,
        }
    }

    /// A message, as the room page's script sends it.
    pub fn send(room: i64, text: &str, nonce: &str) -> Self {
        Self {
            method: "POST",
            target: format!("/rooms/{room}/messages"),
            purpose: Purpose::Fetch,
            body: format!("text={}&nonce={nonce}", in_form(text)),
            accepts: BROWSER_CODINGS,
        }
    }

    /// A form, as a page submits it.
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
            accepts: BROWSER_CODINGS,
        }
    }

    /// The same request by a client that accepts only gzip.
    pub fn gzip(self) -> Self {
        Self {
            accepts: "gzip",
            ..self
        }
    }

    /// The same request without `Accept-Encoding`.
    pub fn plain(self) -> Self {
        Self {
            accepts: "",
            ..self
        }
    }

    /// Serializes the request as Chromium sends it to the server at `address`, with this cookie unless it is
    /// empty.
    pub fn serialize(&self, address: &str, cookie: &str) -> String {
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
        if !self.accepts.is_empty() {
            lines.push(format!("Accept-Encoding: {}", self.accepts));
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

/// A complete response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk headers.
    pub body: Vec<u8>,
    /// The size on the wire, in bytes.
    pub length: usize,
}

impl Answer {
    /// The first header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The text of an uncompressed body.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// The part of the body between the first occurrences of these two texts.
    pub fn between(&self, before: &str, after: &str) -> &str {
        let found = self.text().split_once(before);
        let found = found.and_then(|(_, rest)| rest.split_once(after));
        let (between, _) = found.unwrap_or_else(|| panic!("no {before} in {}", self.text()));
        between
    }
}

/// A keep-alive connection.
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to the server at `address`.
    pub async fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request with this cookie, and reads the response.
    pub async fn ask(&mut self, request: &Request, cookie: &str) -> std::io::Result<Answer> {
        let written = request.serialize(&self.address, cookie);
        self.exchange(written.as_bytes()).await
    }

    /// Like [`Connection::ask`], but without compression.
    pub async fn ask_plain(&mut self, request: &Request, cookie: &str) -> std::io::Result<Answer> {
        self.ask(&request.clone().plain(), cookie).await
    }

    /// Sends a serialized request, and reads the response.
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
            status: status.unwrap_or_else(|| panic!("{first} is not a response")),
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
