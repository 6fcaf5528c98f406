//! The bare server: an actix server whose handlers return constant bytes, as the lower bound of the cost.
//!
//! It is this program itself, started as `benches bare FOLDER PORT`. It returns the status, headers and body
//! that Mirage returned to the same requests, which the measuring process wrote to the folder. It has as
//! many workers as Mirage (actix's default), and no middleware.

use std::future::ready;
use std::path::Path;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use tokio::sync::watch;

use crate::http::{Answer, Request};

/// The number of rooms to wait in and one, since Mirage numbers its rooms from 1.
const ROOMS: usize = 1_001;

/// The response to all requests with this method, path and `Accept-Encoding`, with any query.
#[derive(Clone)]
pub struct Constant {
    method: Method,
    path: String,
    /// The `Accept-Encoding` header of the requests; empty for none.
    accepts: String,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Constant {
    /// Mirage's response, for requests like this one.
    pub fn of(request: &Request, answer: &Answer) -> Self {
        let target = &request.target;
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        let headers = answer.headers.iter().filter(|(name, _)| {
            // actix writes these itself.
            !matches!(
                name.as_str(),
                "date" | "content-length" | "transfer-encoding"
            )
        });
        let header = |(name, value): &(String, String)| {
            (
                name.parse().expect("a header"),
                value.parse().expect("a value"),
            )
        };
        Self {
            method: request.method.parse().expect("a method"),
            path: path.to_owned(),
            accepts: request.accepts.to_owned(),
            status: answer.status,
            headers: headers.map(header).collect(),
            body: answer.body.clone().into(),
        }
    }

    fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in &self.headers {
            response.append_header(header.clone());
        }
        if self.body.is_empty() {
            response.finish()
        } else {
            response.body(self.body.clone())
        }
    }

    /// Serializes the response: lines of text, an empty line, and the body.
    fn serialize(&self) -> Vec<u8> {
        let mut lines = vec![format!(
            "{} {} {} {}",
            self.method,
            self.status.as_u16(),
            self.path,
            self.accepts
        )];
        for (name, value) in &self.headers {
            lines.push(format!("{name}: {}", value.to_str().expect("text")));
        }
        let mut bytes = format!("{}\n\n", lines.join("\n")).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn read(file: &[u8]) -> Self {
        let end = file
            .windows(2)
            .position(|two| two == b"\n\n")
            .expect("an empty line");
        let head = std::str::from_utf8(&file[..end]).expect("lines of text");
        let mut lines = head.lines();
        let first: Vec<&str> = lines.next().expect("a line").splitn(4, ' ').collect();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (
                name.parse().expect("a header"),
                value.parse().expect("a value"),
            )
        };
        Self {
            method: first[0].parse().expect("a method"),
            status: first[1].parse().expect("a status"),
            path: first[2].to_owned(),
            accepts: first[3].to_owned(),
            headers: lines.map(header).collect(),
            body: Bytes::copy_from_slice(&file[end + 2..]),
        }
    }
}

/// Writes the responses to `folder` for a bare server.
pub fn write_answers(folder: &Path, constants: &[Constant]) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (number, constant) in constants.iter().enumerate() {
        let file = folder.join(format!("{number}.answer"));
        std::fs::write(file, constant.serialize()).expect("a file in the folder");
    }
}

/// The state of waiting polls.
struct Waiting {
    rooms: Vec<watch::Sender<()>>,
    news: Option<Constant>,
}

/// Handles `GET /wait/{room}`: returns the response of `/wait` at the next event in the room.
async fn wait(waiting: Data<Waiting>, room: web::Path<usize>) -> HttpResponse {
    let mut events = waiting.rooms[*room].subscribe();
    events.changed().await.expect("a room that stays");
    waiting.news.as_ref().expect("what to answer").response()
}

/// Handles `POST /wake/{room}`: an event in the room.
async fn wake(waiting: Data<Waiting>, room: web::Path<usize>, _: Bytes) -> HttpResponse {
    waiting.rooms[*room].send_replace(());
    HttpResponse::NoContent().finish()
}

/// Serves the responses in `folder`, and `/healthz`, until the process is stopped.
pub async fn serve(folder: &Path, port: u16) {
    let mut constants = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a file").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "answer")
        {
            constants.push(Constant::read(&std::fs::read(path).expect("an answer")));
        }
    }
    let waiting = Data::new(Waiting {
        rooms: (0..ROOMS).map(|_| watch::Sender::new(())).collect(),
        news: constants
            .iter()
            .find(|constant| constant.path == "/wait")
            .cloned(),
    });
    let server = HttpServer::new(move || {
        let mut app = App::new()
            .app_data(Data::clone(&waiting))
            .route("/healthz", web::get().to(HttpResponse::Ok))
            .route("/wait/{room}", web::get().to(wait))
            .route("/wake/{room}", web::post().to(wake));
        for constant in constants.clone() {
            let path = constant.path.clone();
            let accepts = constant.accepts.clone();
            let is_meant = move |context: &GuardContext<'_>| {
                let sent = context.head().headers().get(ACCEPT_ENCODING);
                sent.map_or(&b""[..], HeaderValue::as_bytes) == accepts.as_bytes()
            };
            let route = web::method(constant.method.clone()).guard(fn_guard(is_meant));
            // Any server has to read the request body.
            let route = if constant.method == Method::POST {
                route.to(move |_: Bytes| ready(constant.response()))
            } else {
                route.to(move || ready(constant.response()))
            };
            app = app.route(&path, route);
        }
        app
    });
    let server = server.bind(("127.0.0.1", port)).expect("a free port");
    server.run().await.expect("a server that serves");
}
