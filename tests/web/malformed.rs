//! Fuzzing over raw sockets: the server answers malformed requests or closes the connection, and runs on.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mirage::clock::Stopwatch;
use mirage::web::routes;
use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;

use crate::program::{Running, printed};
use crate::support::{Browser, PASSWORD, ROOM_PASSWORD, is_long, seeded_rng};

const SEED: u64 = 8;

/// The number of concurrent senders.
const SENDERS: usize = 8;

/// How long the server may take to answer or to close a connection before it counts as hung.
const HUNG: Duration = Duration::from_secs(60);

/// The longest header name in bytes. More than 65,535 bytes make actix-http 3.x panic, which is tested by
/// [`a_panic_in_actix_ends_only_the_connection_that_caused_it`].
const LONGEST_NAME: usize = 60_000;

/// How much the memory of the server may grow during the test, in KiB.
const GROWTH: u64 = 32 * 1024;

/// Flags for a log of nothing but warnings and the address. actix-http logs requests that it cannot parse; a
/// panic goes to standard error directly.
const FLAGS: [&str; 3] = [
    "--limits=off",
    "--rooms-per-person=1000000",
    "--log=error,mirage=info,mirage::web::request_log=warn,actix_http=off",
];

/// Texts that parsers may mishandle, sent raw or percent-encoded.
const NASTY: [&[u8]; 48] = [
    b"",
    b" ",
    b"\0",
    b"a\0b",
    b"\t",
    b"\r\n",
    b"\r",
    b"%",
    b"%%%",
    b"%zz",
    b"%0",
    b"%00",
    b"%0d%0aSet-Cookie:%20a=b",
    b"%ff%fe",
    b"%c0%af",
    b"%ed%a0%80",
    b"%F4%90%80%80",
    b"\xff\xfe",
    b"\xc3",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x8f\xb3\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x8c\x88",
    b"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
    b"\xe3\x85\xa4",
    b"\xd9\xa3",
    b"0",
    b"-1",
    b"+1",
    b"1e9",
    b"0x10",
    b"NaN",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"99999999999999999999999999",
    b"null",
    b"true",
    b"[]",
    b"a[0]=1",
    b"..",
    b"../../../etc/passwd",
    b"..%2f..%2f",
    b"//example.org",
    b"\\\\example.org",
    b"'; DROP TABLE users; --",
    b"<script>alert(1)</script>",
    b"\"><img src=x>",
];

/// Sizes in bytes, at and beyond the limits of the server.
const SIZES: [usize; 10] = [
    2, 33, 129, 301, 2_001, 8_193, 30_000, 50_001, 65_537, 140_000,
];

/// Picks a size, rarely a large one, because large requests are slow.
fn size(rng: &mut TestRng) -> usize {
    let most = if rng.random_range(0..6) == 0 {
        SIZES.len()
    } else {
        5
    };
    SIZES[rng.random_range(0..most)]
}

/// Picks a nasty text, raw.
fn nasty(rng: &mut TestRng) -> Vec<u8> {
    nasty_as(rng, <[u8]>::to_vec)
}

/// Picks a nasty text, percent-encoded.
fn nasty_encoded(rng: &mut TestRng) -> Vec<u8> {
    nasty_as(rng, encoded)
}

/// Picks a nasty text, raw or percent-encoded.
fn nasty_in_line(rng: &mut TestRng) -> Vec<u8> {
    if rng.random() {
        nasty_encoded(rng)
    } else {
        nasty(rng)
    }
}

fn nasty_as(rng: &mut TestRng, written: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let some = |rng: &mut TestRng| written(NASTY[rng.random_range(0..NASTY.len())]);
    match rng.random_range(0..8) {
        0 => {
            let (unit, long) = ([b"a", some(rng).as_slice()].concat(), size(rng));
            let mut text = unit.repeat(long / unit.len() + 1);
            text.truncate(long);
            text
        }
        1 => {
            let length = rng.random_range(0..40);
            let bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            written(&bytes)
        }
        2 => [some(rng), some(rng), some(rng)].concat(),
        _ => some(rng),
    }
}

/// Percent-encodes everything but ASCII letters, digits, `-`, `_` and `.`.
fn encoded(text: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(byte) {
            result.push(*byte);
        } else {
            result.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    result
}

/// How a request marks the end of its body.
#[derive(Debug, Clone)]
enum Framing {
    /// A correct `Content-Length`.
    Length,
    /// One `Content-Length` header for each of these values.
    Lengths(Vec<Vec<u8>>),
    /// Chunks of up to this many bytes.
    Chunks(usize),
    /// No header.
    None,
}

/// A request in parts.
#[derive(Clone)]
struct Request {
    method: Vec<u8>,
    target: Vec<u8>,
    version: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    form: Vec<(Vec<u8>, Vec<u8>)>,
    /// Sent instead of the form.
    body: Option<Vec<u8>>,
    framing: Framing,
    line_end: &'static [u8],
    /// Whether the end of the request is unambiguous, so that the server must answer exactly once.
    has_clear_end: bool,
}

impl Request {
    fn header(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        let header = self.headers.iter_mut().find(|h| h.0 == name.as_bytes());
        header.map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.header(name) {
            Some(there) => *there = value,
            None => self.headers.push((name.into(), value)),
        }
    }

    fn body(&self) -> Vec<u8> {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let fields = self.form.iter();
        let fields = fields.map(|(name, value)| [name.as_slice(), b"=", value].concat());
        fields.collect::<Vec<_>>().join(&b'&')
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(self.line_end);
        };
        line(&[&self.method, b" ", &self.target, b" ", &self.version]);
        for (name, value) in &self.headers {
            line(&[name, b": ", value]);
        }
        let body = self.body();
        match &self.framing {
            Framing::Length if self.method == b"GET" && body.is_empty() => {}
            Framing::Length => line(&[b"content-length: ", body.len().to_string().as_bytes()]),
            Framing::Lengths(lengths) => {
                for length in lengths {
                    line(&[b"content-length: ", length]);
                }
            }
            Framing::Chunks(_) => line(&[b"transfer-encoding: chunked"]),
            Framing::None => {}
        }
        line(&[]);
        match self.framing {
            Framing::Chunks(size) => {
                for chunk in body.chunks(size) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            _ => bytes.extend_from_slice(&body),
        }
        bytes
    }
}

/// A function that makes a request malformed in one way.
type Mutation = fn(&mut Request, &mut TestRng);

const MUTATIONS: [Mutation; 24] = [
    method,
    target,
    path_segment,
    path_segment,
    query,
    query,
    version,
    lost_header,
    header_value,
    header_value,
    header_name,
    more_headers,
    many_headers,
    line_end,
    cookie,
    cookie,
    field_value,
    field_value,
    field_name,
    fields,
    media_type,
    coding,
    length,
    chunks,
];

fn method(request: &mut Request, rng: &mut TestRng) {
    const METHODS: [&[u8]; 12] = [
        b"HEAD",
        b"POST",
        b"GET",
        b"PUT",
        b"OPTIONS",
        b"DELETE",
        b"PATCH",
        b"TRACE",
        b"get",
        b"PROPFIND",
        b"M-SEARCH",
        b"_",
    ];
    request.method = if rng.random_range(0..4) == 0 {
        nasty_in_line(rng)
    } else {
        METHODS[rng.random_range(0..METHODS.len())].to_vec()
    };
    request.has_clear_end &= is_in_line(&request.method);
}

/// Returns whether this text can be part of the head without ending the line.
fn is_in_line(text: &[u8]) -> bool {
    !text.iter().any(|byte| b"\r\n".contains(byte))
}

fn target(request: &mut Request, rng: &mut TestRng) {
    let nasty = nasty_in_line(rng);
    let target = request.target.clone();
    request.target = match rng.random_range(0..9) {
        0 => b"*".to_vec(),
        1 => [b"http://example.org".as_slice(), &target].concat(),
        2 => b"127.0.0.1:80".to_vec(),
        3 => [b"/".as_slice(), &target].concat(),
        4 => [target.as_slice(), b"#", &nasty].concat(),
        5 => [target.as_slice(), &nasty].concat(),
        6 => [b"/".as_slice(), &nasty].concat(),
        7 => encoded(&target),
        _ => nasty,
    };
    request.has_clear_end &= is_in_line(&request.target);
}

fn path_segment(request: &mut Request, rng: &mut TestRng) {
    let mut parts: Vec<_> = request.target.split(|b| *b == b'/').collect();
    let nasty = nasty_encoded(rng);
    let number = rng.random_range(0..parts.len());
    parts[number] = &nasty;
    request.target = parts.join(&b'/');
}

fn query(request: &mut Request, rng: &mut TestRng) {
    const NAMES: [&str; 16] = [
        "page", "search", "before", "after", "at", "wait", "next", "done", "moderate", "held",
        "sent", "hidden", "reload", "v", "x", "",
    ];
    let mark: &[u8] = if request.target.contains(&b'?') {
        b"&"
    } else {
        b"?"
    };
    let name = NAMES[rng.random_range(0..NAMES.len())].as_bytes();
    let value = match rng.random_range(0..4) {
        0 => nasty(rng),
        _ => nasty_encoded(rng),
    };
    request.has_clear_end &= is_in_line(&value);
    if let Some(last) = request.target.iter().rposition(|byte| *byte == b'=')
        && rng.random()
    {
        request.target.truncate(last + 1);
        request.target.extend_from_slice(&value);
        return;
    }
    for _ in 0..rng.random_range(1..3) {
        request
            .target
            .extend_from_slice(&[mark, name, b"=", &value].concat());
    }
}

fn version(request: &mut Request, rng: &mut TestRng) {
    const VERSIONS: [&[u8]; 8] = [
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/3",
        b"http/1.1",
        b"HTTP/1.1 ",
        b"",
    ];
    request.version = VERSIONS[rng.random_range(0..VERSIONS.len())].to_vec();
    request.has_clear_end = false;
}

fn lost_header(request: &mut Request, rng: &mut TestRng) {
    let number = rng.random_range(0..request.headers.len());
    request.headers.remove(number);
}

fn header_value(request: &mut Request, rng: &mut TestRng) {
    let number = rng.random_range(0..request.headers.len());
    request.headers[number].1 = nasty_in_line(rng);
    request.has_clear_end &= is_in_line(&request.headers[number].1);
}

fn header_name(request: &mut Request, rng: &mut TestRng) {
    let mut name = nasty_in_line(rng);
    name.truncate(LONGEST_NAME);
    let number = rng.random_range(0..request.headers.len());
    request.has_clear_end &= is_in_line(&name);
    request.headers[number].0 = name;
}

/// Adds headers that servers interpret, with sensible and nonsensical values.
fn more_headers(request: &mut Request, rng: &mut TestRng) {
    const HEADERS: [(&str, &str); 36] = [
        ("connection", "close"),
        ("connection", "keep-alive, upgrade"),
        ("connection", "content-length, cookie"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("expect", "nonsense"),
        ("range", "bytes=0-0,-1,5-2"),
        ("range", "bytes=99999999999999999999-"),
        ("if-range", "\"x\""),
        ("if-none-match", "*"),
        ("if-none-match", "W/\"\u{e9}\",,\""),
        ("if-match", "\"x\", *"),
        ("if-modified-since", "Sun, 31 Feb 9999 25:61:61 GMT"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("accept-encoding", "gzip"),
        ("accept-encoding", "gzip;q=2, *;q=-1, identity;q=0"),
        ("accept-encoding", "br, zstd, deflate, \u{e9}"),
        ("accept-language", "x-\u{e9};q=9"),
        ("accept", "text/\u{0}"),
        ("host", ""),
        ("host", "[::1"),
        ("host", "a b\"<>"),
        ("origin", "null"),
        ("origin", "://"),
        ("sec-fetch-site", "cross-site"),
        ("sec-purpose", "prefetch"),
        ("mirage-script", "1"),
        ("x-forwarded-for", "::ffff:1.2.3.4.5, , [::1]:x"),
        ("forwarded", "for=\"_x\";host=\"\""),
        ("x-forwarded-host", "evil.example.org"),
        ("x-forwarded-proto", "gopher"),
        ("x-request-id", "\u{7f}"),
        ("te", "trailers"),
        ("trailer", "content-length"),
        ("user-agent", "\u{ff}\u{fe}"),
    ];
    for _ in 0..rng.random_range(1..4) {
        let (name, value) = HEADERS[rng.random_range(0..HEADERS.len())];
        if rng.random() {
            request.headers.push((name.into(), value.into()));
        } else {
            request.set(name, value);
        }
    }
    request.has_clear_end = false;
}

fn many_headers(request: &mut Request, rng: &mut TestRng) {
    for number in 0..rng.random_range(60..140) {
        let name = format!("x-{number}").into_bytes();
        request.headers.push((name, b"x".to_vec()));
    }
}

fn line_end(request: &mut Request, rng: &mut TestRng) {
    const ENDS: [&[u8]; 5] = [b"\n", b"\r", b"\r\r\n", b"\r\n ", b""];
    request.line_end = ENDS[rng.random_range(0..ENDS.len())];
    request.has_clear_end = false;
}

fn cookie(request: &mut Request, rng: &mut TestRng) {
    let Some(cookie) = request.header("cookie") else {
        return;
    };
    let whole = cookie.clone();
    let at = rng.random_range(0..=whole.len());
    *cookie = match rng.random_range(0..8) {
        0 => whole[..at].to_vec(),
        1 => [&whole[..at], b"A", &whole[at..]].concat(),
        2 => [whole.as_slice(), b"; ", &whole].concat(),
        3 => [b"=; ;;, mirage; mirage=; ".as_slice(), &whole].concat(),
        4 => [whole.as_slice(), b"; x=", &nasty_encoded(rng)].concat(),
        5 => [b"mirage=".as_slice(), &nasty_encoded(rng)].concat(),
        6 => b"a=b; ".repeat(size(rng).min(30_000) / 6 + 1),
        _ => encoded(&whole),
    };
}

fn field_value(request: &mut Request, rng: &mut TestRng) {
    if request.form.is_empty() {
        return;
    }
    let number = rng.random_range(0..request.form.len());
    request.form[number].1 = nasty_in_line(rng);
}

fn field_name(request: &mut Request, rng: &mut TestRng) {
    if request.form.is_empty() {
        return;
    }
    let number = rng.random_range(0..request.form.len());
    request.form[number].0 = nasty(rng);
}

/// Changes the form as a whole: drops, repeats or reorders fields, or replaces the body.
fn fields(request: &mut Request, rng: &mut TestRng) {
    let count = request.form.len();
    match rng.random_range(0..6) {
        0 => request.form.clear(),
        1 if count > 0 => {
            request.form.remove(rng.random_range(0..count));
        }
        2 if count > 0 => {
            let again = request.form[rng.random_range(0..count)].clone();
            request.form.push(again);
        }
        3 => request.form.reverse(),
        4 => {
            let size = size(rng);
            request.form.push((b"x".to_vec(), vec![b'x'; size]));
        }
        _ => request.body = Some(nasty(rng)),
    }
}

fn media_type(request: &mut Request, rng: &mut TestRng) {
    const TYPES: [&str; 9] = [
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=nonsense",
        "application/x-www-form-urlencoded;;;=",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "multipart/form-data; boundary=x",
        "application/json",
        "text/plain",
        "/",
        "",
    ];
    request.set("content-type", TYPES[rng.random_range(0..TYPES.len())]);
}

/// Claims that the body is compressed: it may be a decompression bomb, or not compressed at all.
fn coding(request: &mut Request, rng: &mut TestRng) {
    const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip"];
    request.set(
        "content-encoding",
        CODINGS[rng.random_range(0..CODINGS.len())],
    );
    if rng.random() {
        request.body = Some(gzip_of(rng.random_range(0..2_000)));
    }
    request.has_clear_end = false;
}

/// A gzip stream (RFC 1952, RFC 1951) of a letter x and 258 more in 13 bits for each repetition, with a
/// wrong checksum.
fn gzip_of(repetitions: usize) -> Vec<u8> {
    const LAST_BLOCK_OF_FIXED_CODES: &str = "110";
    const LETTER_X: &str = "10101000";
    const REPEAT_258_FROM_1_BACK: &str = "1100010100000";
    const END: &str = "0000000";
    let repeated = REPEAT_258_FROM_1_BACK.repeat(repetitions);
    let bits = [LAST_BLOCK_OF_FIXED_CODES, LETTER_X, &repeated, END].concat();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for eight in bits.as_bytes().chunks(8) {
        let bits = eight.iter().rev();
        bytes.push(bits.fold(0, |byte, bit| byte << 1 | u8::from(*bit == b'1')));
    }
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn length(request: &mut Request, rng: &mut TestRng) {
    let right = request.body().len();
    let lengths: Vec<String> = match rng.random_range(0..12) {
        0 => vec![(right / 2).to_string()],
        1 => vec![(right + 1 + right / 2).to_string()],
        2 => vec![right.to_string(); 2],
        3 => vec![right.to_string(), (right + 1).to_string()],
        4 => vec![format!("{right}, {right}")],
        5 => vec![format!("+{right}")],
        6 => vec!["-1".to_owned()],
        7 => vec![format!("{right:#x}")],
        8 => vec!["18446744073709551615".to_owned()],
        9 => vec!["99999999999999999999999".to_owned()],
        10 => vec![format!(" {right}\t")],
        _ => vec![String::new()],
    };
    request.framing = if rng.random_range(0..12) == 0 {
        Framing::None
    } else {
        Framing::Lengths(lengths.into_iter().map(String::into_bytes).collect())
    };
    request.has_clear_end = false;
}

fn chunks(request: &mut Request, rng: &mut TestRng) {
    const CHUNKED: [&[u8]; 12] = [
        b"ffffffffffffffff\r\n",
        b"fffffffffffffffff\r\nx",
        b"-1\r\nx\r\n",
        b"5;ext=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nx: y\r\n\r\n",
        b"5\r\nhe",
        b"g\r\n",
    ];
    match rng.random_range(0..4) {
        0 => request.framing = Framing::Chunks(rng.random_range(1..3_000)),
        1 => {
            // Request smuggling: both headers, which parsers may resolve differently.
            let length = request.body().len().to_string().into_bytes();
            request
                .headers
                .push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
            request.framing = Framing::Lengths(vec![length]);
            request.has_clear_end = false;
        }
        other => {
            let coding: &[u8] = if other == 2 {
                b"chunked"
            } else {
                b"gzip, chunked"
            };
            request
                .headers
                .push((b"transfer-encoding".to_vec(), coding.to_vec()));
            request.framing = Framing::None;
            request.body = Some(CHUNKED[rng.random_range(0..CHUNKED.len())].to_vec());
            request.has_clear_end = false;
        }
    }
}

/// Corrupts the bytes of a request.
fn corrupt_bytes(bytes: &mut Vec<u8>, rng: &mut TestRng) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.insert(at, rng.random()),
            3 => bytes.truncate(at + 1),
            _ => {
                bytes.remove(at);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'\r');
        }
    }
}

/// A response, possibly truncated.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// Whether the server closes the connection after this response.
    is_last: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A connection to the server.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HUNG)).unwrap();
        stream.set_write_timeout(Some(HUNG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Waits for more bytes and returns whether any arrived. A reset counts as the end.
    fn receive(&mut self) -> bool {
        let mut some = [0; 16 * 1024];
        match self.stream.read(&mut some) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&some[..count]);
                true
            }
            Err(error) if is_hung(&error) => panic!("no answer after {HUNG:?}"),
            Err(_) => false,
        }
    }

    /// Sends bytes and returns whether all of them were sent. The server need not read what it has refused.
    fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Err(error) if is_hung(&error) => panic!("nothing was read for {HUNG:?}"),
            sent => sent.is_ok(),
        }
    }

    /// Reads the response to a request with this method, or returns `None` if the connection ends first.
    fn answer(&mut self, method: &[u8]) -> Option<Answer> {
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            if !self.receive() {
                return None;
            }
        };
        let head = String::from_utf8(self.received[..end + 2].to_vec()).unwrap();
        self.received.drain(..end + 4);
        let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
        if status == 100 {
            return self.answer(method);
        }
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = header("content-length: ").map(|length| length.parse().unwrap());
        let has_none = method == b"HEAD" || matches!(status, 204 | 304);
        let (body, is_whole) = if has_none {
            (Vec::new(), true)
        } else if header("transfer-encoding: chunked").is_some() {
            self.chunked_body()
        } else {
            match length {
                Some(length) => self.body(length),
                None => {
                    while self.receive() {}
                    (std::mem::take(&mut self.received), false)
                }
            }
        };
        Some(Answer {
            is_last: !is_whole || header("connection: close").is_some(),
            status,
            head,
            body,
        })
    }

    fn body(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.received.len() < length {
            if !self.receive() {
                return (std::mem::take(&mut self.received), false);
            }
        }
        (self.received.drain(..length).collect(), true)
    }

    fn chunked_body(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(end) = find(&self.received, b"\r\n") else {
                if self.receive() {
                    continue;
                }
                return (body, false);
            };
            let size = std::str::from_utf8(&self.received[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            self.received.drain(..end + 2);
            let (chunk, is_whole) = self.body(size + 2);
            if !is_whole || size == 0 {
                return (body, is_whole);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
}

fn is_hung(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// The accounts, members and links that requests refer to.
struct Fixture {
    address: String,
    /// The cookies of an owner, a member, a person in no room, and a person who is sometimes signed out.
    cookies: [String; 4],
    /// The account ID of the member.
    person: i64,
    /// The paths for the route patterns with a link.
    links: [(&'static str, String); 3],
}

const OWNER: usize = 0;
const MEMBER: usize = 1;
const SOMETIMES_SIGNED_OUT: usize = 3;

impl Fixture {
    async fn create(running: &Running, folder: &Path) -> Self {
        let mut cookies = Vec::new();
        let mut people = Vec::new();
        for name in ["ada", "bob", "cleo", "eve"] {
            let person = Browser::new(&running.browser.address);
            let form = [("name", name), ("password", PASSWORD)];
            let page = person.post("/register", &form).await;
            page.assert_status(303);
            cookies.push(cookie_in(page.header("set-cookie")).to_owned());
            people.push(person);
        }
        let [ada, bob, ..] = people.as_slice() else {
            panic!("there are no people")
        };
        let tea = ada.create_private_room("Tea").await;
        bob.join_privately("Tea", ROOM_PASSWORD)
            .await
            .assert_status(303);
        let path_in = |said: String| {
            let (_, link) = said.split_once("http://").unwrap();
            link[link.find('/').unwrap()..].trim_end().to_owned()
        };
        Self {
            address: running.browser.address.clone(),
            cookies: cookies.try_into().unwrap(),
            person: ada.member_id(tea, "bob").await,
            links: [
                (
                    "/invite/{token}",
                    ada.invite_to(tea, "day", "no-limit").await,
                ),
                (
                    "/register/{token}",
                    path_in(printed(folder, &["signup-link", "--public-url=http://a"])),
                ),
                (
                    "/reset/{token}",
                    path_in(printed(
                        folder,
                        &["user", "reset-password", "eve", "--public-url=http://a"],
                    )),
                ),
            ],
        }
    }
}

/// The name and value of a `Set-Cookie` header, without its attributes.
fn cookie_in(header: &str) -> &str {
    header.split(';').next().unwrap()
}

/// Sends malformed requests and checks the responses.
struct Sender {
    fixture: Arc<Fixture>,
    cookies: [String; 4],
    rng: TestRng,
    connection: Connection,
    room: String,
    message: String,
    nonce: String,
    /// How often each status was received. 0 stands for no response.
    statuses: BTreeMap<u16, usize>,
    sent: usize,
}

impl Sender {
    fn new(fixture: &Arc<Fixture>, number: u64) -> Self {
        Self {
            fixture: Arc::clone(fixture),
            cookies: fixture.cookies.clone(),
            rng: seeded_rng(SEED + 1 + number),
            connection: Connection::open(&fixture.address),
            room: String::new(),
            message: String::new(),
            nonce: String::new(),
            statuses: BTreeMap::new(),
            sent: 0,
        }
    }

    fn send_many(mut self, many: usize) -> Self {
        for _ in 0..many {
            if self.sent.is_multiple_of(2_000) {
                self.sign_in_again();
            }
            if self.sent.is_multiple_of(100) {
                self.ensure_room();
            }
            self.sent += 1;
            let request = self.malformed();
            self.exchange(&request);
        }
        self
    }

    /// Sends a well-formed request, as a browser would, and returns the response.
    fn ask(&mut self, who: usize, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = self.request(method, path.to_owned(), Some(who));
        let fields = form.iter();
        let fields =
            fields.map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes())));
        request.form = fields.collect();
        self.connection = Connection::open(&self.fixture.address);
        assert!(self.connection.send(&request.bytes()));
        let answer = self.connection.answer(&request.method);
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    fn sign_in_again(&mut self) {
        let form = [("name", "eve"), ("password", PASSWORD)];
        let answer = self.ask(SOMETIMES_SIGNED_OUT, "POST", "/login", &form);
        let cookie = answer.header("set-cookie");
        // Another sender may have changed her password with the reset link.
        if let Some(cookie) = cookie {
            self.cookies[SOMETIMES_SIGNED_OUT] = cookie_in(cookie).to_owned();
        }
    }

    /// Ensures that there is a room with a message.
    fn ensure_room(&mut self) {
        let path = format!("/rooms/{}", self.room);
        let is_there = !self.room.is_empty()
            && [OWNER, MEMBER].iter().all(|who| {
                let page = self.ask(*who, "GET", &path, &[]);
                page.status == 200 && find(&page.body, b"nonce").is_some()
            });
        if is_there {
            return;
        }
        let name: u64 = self.rng.random();
        let form = [("name", &*format!("room {name}")), ("kind", "public")];
        let answer = self.ask(OWNER, "POST", "/rooms/new", &form);
        let location = answer.header("location").unwrap().to_owned();
        let number = location.trim_start_matches("/rooms/").split('?').next();
        self.room = number.unwrap().to_owned();
        let path = format!("/rooms/{}", self.room);
        let joined = self.ask(MEMBER, "POST", &format!("{path}/join"), &[("join", "1")]);
        assert_eq!(joined.status, 303, "{}", joined.head);
        let page = self.ask(MEMBER, "GET", &path, &[]);
        let page = String::from_utf8(page.body).unwrap();
        let (_, nonce) = page.split_once("name=\"nonce\" value=\"").unwrap();
        self.nonce = nonce.split('"').next().unwrap().to_owned();
        let form = [("text", "hello"), ("nonce", &*self.nonce.clone())];
        let sent = self.ask(MEMBER, "POST", &format!("{path}/messages"), &form);
        let (_, sent) = sent
            .header("location")
            .unwrap()
            .split_once("sent=")
            .unwrap();
        self.message = sent.trim_end_matches("#message").to_owned();
    }

    /// A well-formed request.
    fn request(&self, method: &str, target: String, who: Option<usize>) -> Request {
        let address = &self.fixture.address;
        let mut headers = vec![
            ("host", address.clone()),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0".to_owned(),
            ),
            ("accept", "text/html,*/*;q=0.8".to_owned()),
            ("accept-language", "de,en;q=0.5".to_owned()),
            ("referer", format!("http://{address}/rooms")),
            ("sec-fetch-site", "same-origin".to_owned()),
        ];
        if method == "POST" {
            headers.push(("origin", format!("http://{address}")));
            let form = "application/x-www-form-urlencoded".to_owned();
            headers.push(("content-type", form));
        }
        if let Some(who) = who {
            headers.push(("cookie", self.cookies[who].clone()));
        }
        let headers = headers.into_iter();
        Request {
            method: method.into(),
            target: target.into_bytes(),
            version: b"HTTP/1.1".to_vec(),
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            form: Vec::new(),
            body: None,
            framing: Framing::Length,
            line_end: b"\r\n",
            has_clear_end: true,
        }
    }

    /// A well-formed request to a random route.
    fn request_to_a_route(&mut self) -> Request {
        let (method, pattern) = loop {
            let (method, pattern) = &ROUTES[self.rng.random_range(0..ROUTES.len())];
            // Requests that remove what others need are sent less often.
            let is_last = ["/leave", "/owner", "/ban", "/remove", "/settings/delete"]
                .iter()
                .any(|end| pattern.ends_with(end));
            if !is_last || method == "GET" || self.rng.random_range(0..10) == 0 {
                break (method, pattern);
            }
        };
        let link = self.fixture.links.iter().find(|(of, _)| of == pattern);
        let path = link.map_or(*pattern, |(_, link)| link);
        let mut path = path
            .replace("{room}", &self.room)
            .replace("{message}", &self.message)
            .replace("{person}", &self.fixture.person.to_string())
            .replace("{session}", &"0".repeat(64))
            .replace("{invite}", "1")
            .replace("{file}", "room.js");
        assert!(!path.contains('{'), "what stands in {path}?");
        path.push_str(match (method.as_str(), *pattern) {
            ("GET", "/rooms") => "?search=a&page=1",
            ("GET", "/rooms/{room}") => "?before=9&moderate=1",
            ("GET", "/rooms/{room}/poll") => "?after=1-1-1&wait=0",
            ("GET", "/register" | "/login") => "?next=/rooms/mine",
            _ => "",
        });
        // These routes end the session of the request.
        let ends_sessions = ["/log", "/register", "/reset", "/account/"]
            .iter()
            .any(|start| pattern.starts_with(start));
        let who = match self.rng.random_range(0..10) {
            _ if ends_sessions => Some(SOMETIMES_SIGNED_OUT),
            0..5 => Some(OWNER),
            5..7 => Some(MEMBER),
            7 => Some(2),
            _ => None,
        };
        let mut request = self.request(method, path, who);
        if method == "POST" {
            // Hashing dominates the time, so the password is usually empty.
            let is_short = self.rng.random_range(0..500) > 0;
            let password = if is_short { "" } else { "twelve angry geese" };
            let form = [
                ("name", "mallory"),
                ("password", password),
                ("current", password),
                ("kind", "public"),
                ("text", "hello"),
                ("nonce", &self.nonce),
                ("reason", "Loud"),
                ("role", "moderator"),
                ("life", "day"),
                ("uses", "ten"),
                ("announcements", "count"),
                ("description", "About tea"),
                ("lifespan", "longest"),
                ("slow-mode", "0"),
                ("language", "en"),
                ("posting", "everyone"),
                ("next", "/rooms"),
                ("x", "1"),
            ];
            let form = form.into_iter();
            request.form = form
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
        }
        request
    }

    /// A malformed request to a random route.
    fn malformed(&mut self) -> Malformed {
        let mut request = self.request_to_a_route();
        for _ in 0..self.rng.random_range(1..4) {
            let mutation = MUTATIONS[self.rng.random_range(0..MUTATIONS.len())];
            mutation(&mut request, &mut self.rng);
        }
        let mut bytes = request.bytes();
        let mut has_clear_end = request.has_clear_end
            && (request.method == b"POST" || matches!(request.framing, Framing::Length));
        if self.rng.random_range(0..8) == 0 {
            corrupt_bytes(&mut bytes, &mut self.rng);
            has_clear_end = false;
        }
        Malformed {
            method: request.method,
            bytes,
            has_clear_end,
        }
    }

    fn exchange(&mut self, request: &Malformed) {
        let mut is_answered = self.try_to_exchange(request);
        if !is_answered && request.has_clear_end {
            // actix closes the connection after a body that it did not read. Browsers then retry (RFC 9112,
            // section 9.3.1).
            is_answered = self.try_to_exchange(request);
            // A client that is still sending when the server closes the connection may lose the response.
            let may_be_lost = request.bytes.len() > 60_000;
            assert!(is_answered || may_be_lost, "no answer to {request}");
        }
        if !is_answered {
            *self.statuses.entry(0).or_default() += 1;
        }
    }

    /// Sends a request and returns whether there was a response. Opens a new connection if there was none, or
    /// if it was the last on this connection.
    fn try_to_exchange(&mut self, request: &Malformed) -> bool {
        let is_sent = self.connection.send(&request.bytes);
        if !request.has_clear_end {
            // Ends the request for the server.
            drop(self.connection.stream.shutdown(Shutdown::Write));
        }
        let mut is_answered = false;
        let mut is_over = !request.has_clear_end || !is_sent;
        while let Some(answer) = self.connection.answer(&request.method) {
            is_answered = true;
            *self.statuses.entry(answer.status).or_default() += 1;
            assert!(answer.status < 500, "{}\nto {request}", answer.head);
            is_over |= answer.is_last;
            if request.has_clear_end || answer.is_last {
                break;
            }
        }
        if is_over || !is_answered {
            self.connection = Connection::open(&self.fixture.address);
        }
        is_answered
    }
}

/// The methods and patterns of all routes.
static ROUTES: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
    let routes = routes::table().into_iter();
    let routes = routes.map(|route| (route.method.to_string(), route.pattern));
    routes.collect()
});

/// A malformed request.
struct Malformed {
    method: Vec<u8>,
    bytes: Vec<u8>,
    has_clear_end: bool,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        write!(f, "{}", text.escape_debug())
    }
}

/// The resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
}

/// Sends `many` requests in total, from all senders concurrently.
fn send(senders: Vec<Sender>, many: usize) -> Vec<Sender> {
    std::thread::scope(|scope| {
        let share = many / SENDERS;
        let sending = senders.into_iter();
        let sending = sending.map(|sender| scope.spawn(move || sender.send_many(share)));
        let sending: Vec<_> = sending.collect();
        sending.into_iter().map(|s| s.join().unwrap()).collect()
    })
}

#[actix_web::test]
async fn malformed_requests_are_refused_without_errors_or_memory_growth() {
    let many = if is_long() { 1_000_000 } else { 20_000 };
    let folder = tempfile::tempdir().unwrap();
    let flags = [&FLAGS[..], &["--poll-wait=100ms"]].concat();
    let running = Running::start(folder.path(), &flags);
    let fixture = Arc::new(Fixture::create(&running, folder.path()).await);
    let process = running.id();
    let watch = Stopwatch::start();

    let sending = tokio::task::spawn_blocking(move || {
        let senders = (0..)
            .take(SENDERS)
            .map(|number| Sender::new(&fixture, number));
        let senders = send(senders.collect(), many / 10);
        let warm = resident(process);
        (send(senders, many - many / 10), warm)
    });
    let (senders, warm) = sending.await.unwrap();

    let took = watch.elapsed();
    let grown = resident(process).saturating_sub(warm);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (status, times) in senders.iter().flat_map(|sender| &sender.statuses) {
        *statuses.entry(*status).or_default() += times;
    }
    println!(
        "{many} requests with seed {SEED} in {took:?}; by status (0: no response): {statuses:?}"
    );
    println!("memory grew by {grown} KiB from {warm} KiB");
    let alive = Browser::new(&running.browser.address).get("/healthz").await;
    alive.assert_status(200);
    let (code, log) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    let wrong: Vec<_> = log
        .lines()
        .filter(|l| !l.ends_with("shutting down"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(grown <= GROWTH, "{grown} KiB");
    for status in [200, 303, 400, 404, 405, 413, 422] {
        assert!(
            statuses.contains_key(&status),
            "nothing was answered {status}"
        );
    }
}

#[actix_web::test]
async fn a_panic_in_actix_ends_only_the_connection_that_caused_it() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [&FLAGS[..], &["--poll-wait=2min"]].concat();
    let running = Running::start(folder.path(), &flags);
    let ada = running.browser.clone();
    let form = [("name", "ada"), ("password", PASSWORD)];
    ada.post("/register", &form).await.assert_status(303);
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.poll(room, "?wait=0&hidden=1").await.cursor;
    let waiting = {
        let ada = ada.clone();
        tokio::spawn(async move { ada.poll(room, &format!("?after={cursor}")).await })
    };
    // Only the poll marks ada as present, so this page shows that the server holds the poll.
    while !ada.get("/rooms").await.texts(".rooms p")[0].contains("1 here now") {}
    let address = running.browser.address.clone();
    let keep = tokio::task::spawn_blocking(move || {
        let mut before = Connection::open(&address);
        let asks_on = |connection: &mut Connection| {
            assert!(connection.send(b"GET /login HTTP/1.1\r\nhost: x\r\n\r\n"));
            assert_eq!(connection.answer(b"GET").map(|page| page.status), Some(200));
        };
        asks_on(&mut before);

        // More panics than there are workers.
        for _ in 0..64 {
            let mut bad = Connection::open(&address);
            let name = "x".repeat(usize::from(u16::MAX) + 1);
            bad.send(format!("GET /login HTTP/1.1\r\n{name}: y\r\n\r\n").as_bytes());
            assert!(bad.answer(b"GET").is_none());
            asks_on(&mut before);
            asks_on(&mut Connection::open(&address));
        }
    });
    keep.await.unwrap();

    ada.send(room, "hello").await.assert_status(303);
    assert_eq!(waiting.await.unwrap().added, ["hello"]);
    let (code, log) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    let panics = log.lines().filter(|line| line.contains("panicked at"));
    assert_eq!(
        panics.count(),
        64,
        "actix-http takes long names now: LONGEST_NAME can go"
    );
}
