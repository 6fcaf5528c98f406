//! Slow and greedy clients, over raw sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::support::{Browser, PASSWORD, TestApp};

/// Far longer than any of these tests takes, even on a busy machine.
const FAR_TOO_LONG: Duration = Duration::from_secs(60);
const PING: &str = "GET /healthz HTTP/1.1\r\nHost: mirage\r\n\r\n";
const TOO_SLOW: &str = "Your request took too long to arrive</h1>";
const TOO_LARGE: &str = "You sent too much at once</h1>";

async fn connect(app: &TestApp) -> TcpStream {
    connect_from("127.0.0.1", app).await
}

async fn connect_from(address: &str, app: &TestApp) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(address.parse().unwrap(), 0))
        .unwrap();
    socket.connect(app.address.parse().unwrap()).await.unwrap()
}

/// Reads until the server closes the connection, which it must do.
async fn read_to_end_of_connection(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        // A reset ends the connection, too.
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            all.extend_from_slice(&part[..count]);
        }
    };
    let ended = timeout(FAR_TOO_LONG, reading).await;
    assert!(ended.is_ok(), "the connection does not end");
    String::from_utf8(all).unwrap()
}

/// Keeps sending `drip` slowly, and reads until the server closes the connection.
async fn drip_and_read_to_end(stream: TcpStream, drip: impl Into<String>) -> String {
    let drip = drip.into();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(drip.as_bytes()).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let all = read_to_end_of_connection(&mut reader).await;
    dripping.abort();
    all
}

/// Returns whether a request on this connection is answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    let mut status = [0; 12];
    let answered = async {
        stream.write_all(PING.as_bytes()).await?;
        stream.read_exact(&mut status).await
    };
    let answered = timeout(FAR_TOO_LONG, answered).await.unwrap();
    answered.is_ok() && &status == b"HTTP/1.1 200"
}

#[actix_web::test]
async fn a_silent_connection_is_closed() {
    let app = TestApp::with(&[
        "--head-timeout=1s",
        "--keep-alive=1s",
        "--proxy-keep-alive=10min",
    ])
    .await;
    let mut silent = connect(&app).await;
    let mut idle = connect(&app).await;
    assert!(is_served(&mut idle).await);

    let response = read_to_end_of_connection(&mut silent).await;
    read_to_end_of_connection(&mut idle).await;

    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[actix_web::test]
async fn a_head_sent_byte_by_byte_closes_the_connection_on_first_and_later_requests() {
    let app = TestApp::with(&["--head-timeout=1s"]).await;
    let head = b"GET /healthz HTTP/1.1\r\nX-Slow: ";
    let mut first = connect(&app).await;
    first.write_all(head).await.unwrap();
    let mut second = connect(&app).await;
    assert!(is_served(&mut second).await);
    second.write_all(head).await.unwrap();

    let response = drip_and_read_to_end(first, "x").await;
    drip_and_read_to_end(second, "x").await;

    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[actix_web::test]
async fn a_body_that_times_out_is_refused_on_every_route() {
    let app = TestApp::with(&["--body-timeout=200ms"]).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let foreign = format!("{form}Sec-Fetch-Site: cross-site\r\n");
    let mut refused = Vec::new();
    for (method, path, headers) in [
        ("POST", "/login", form),
        ("POST", "/login", &foreign),
        ("POST", "/logout", form),
        ("POST", "/nowhere", ""),
        ("DELETE", "/login", ""),
        ("GET", "/login", ""),
    ] {
        for (length, bytes) in [
            ("Content-Length: 5000", "x"),
            ("Transfer-Encoding: chunked", "1\r\nx\r\n"),
        ] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: mirage\r\n{headers}{length}\r\n\r\n");
            let mut slow = connect(&app).await;
            slow.write_all(request.as_bytes()).await.unwrap();
            let response = tokio::spawn(drip_and_read_to_end(slow, bytes));
            refused.push((request, response));
        }
    }

    for (request, response) in refused {
        let response = response.await.unwrap();
        assert!(response.starts_with("HTTP/1.1 408 "), "{request}{response}");
        assert!(
            response.contains("\r\nconnection: close\r\n"),
            "{request}{response}"
        );
        assert!(response.contains(TOO_SLOW), "{request}{response}");
    }
}

#[actix_web::test]
async fn a_body_that_arrives_in_pieces_is_read() {
    let app = TestApp::spawn().await;
    let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: mirage\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    let mut stream = connect(&app).await;
    for part in [&head[..20], &head[20..], &form[..10], &form[10..]] {
        stream.write_all(part.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        assert!(is_served(&mut connect(&app).await).await);
    }

    let response = read_to_end_of_connection(&mut stream).await;

    assert!(response.starts_with("HTTP/1.1 303 "), "{response}");
}

#[actix_web::test]
async fn a_client_that_never_reads_is_disconnected_and_others_are_served() {
    let app = TestApp::with(&["--write-timeout=200ms"]).await;
    let page = "GET /accessibility HTTP/1.1\r\nHost: mirage\r\n\r\n".repeat(100);
    let mut greedy = connect(&app).await;

    let asking = async { while greedy.write_all(page.as_bytes()).await.is_ok() {} };
    let ended = timeout(FAR_TOO_LONG, asking).await;

    assert!(ended.is_ok(), "the connection does not end");
    assert!(is_served(&mut connect(&app).await).await);
}

#[actix_web::test]
async fn pipelined_requests_are_all_answered() {
    let app = TestApp::spawn().await;
    let (mut reader, mut writer) = connect(&app).await.into_split();
    let last = "GET /healthz HTTP/1.1\r\nHost: mirage\r\nConnection: close\r\n\r\n";
    let requests = PING.repeat(2_000) + last;
    let asking = tokio::spawn(async move { writer.write_all(requests.as_bytes()).await });

    let response = read_to_end_of_connection(&mut reader).await;

    asking.await.unwrap().unwrap();
    assert_eq!(response.matches("HTTP/1.1 200 ").count(), 2_001);
}

#[actix_web::test]
async fn password_forms_are_limited_to_8_kib_other_forms_to_64_and_signed_in_messages_to_1024() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let messages = format!("/rooms/{room}/messages");
    let browser = app.anonymous();
    for (browser, path, most, status) in [
        (&browser, "/login", 8, 422),
        (&browser, "/register", 8, 422),
        (&browser, "/register/link", 8, 404),
        (&browser, "/reset/link", 8, 404),
        (&browser, "/nowhere", 64, 404),
        (&browser, &messages, 64, 401),
        (&ada, "/rooms/new", 64, 422),
        (&ada, &messages, 1024, 422),
    ] {
        let sent = |length: usize| {
            let form = format!("name=eve&password=x&text=x&nonce={}", "x".repeat(length));
            let post = browser.client.post(browser.url(path));
            let post = post.header("content-type", "application/x-www-form-urlencoded");
            Browser::answer(post.body(form[..length].to_owned()))
        };

        let accepted = sent(most * 1024).await;
        let refused = sent(most * 1024 + 1).await;

        assert_eq!(accepted.status, status, "{path}: {}", accepted.body);
        assert_eq!(refused.status, 413, "{path}");
        assert!(refused.body.contains(TOO_LARGE));
    }
}

#[actix_web::test]
async fn an_endless_body_is_read_only_up_to_its_limit() {
    let app = TestApp::spawn().await;
    let request = "POST /login HTTP/1.1\r\nHost: mirage\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut endless = connect(&app).await;
    endless.write_all(request.as_bytes()).await.unwrap();

    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let response = drip_and_read_to_end(endless, chunk).await;

    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    assert!(response.contains(TOO_LARGE), "{response}");
}

#[actix_web::test]
async fn connections_are_limited_per_address() {
    let app = TestApp::with(&["--limits=on", "--connections-per-address=3"]).await;
    let mut open = Vec::new();
    for address in ["127.0.0.1", "127.0.0.2"] {
        for _ in 0..3 {
            let mut stream = connect_from(address, &app).await;
            assert!(is_served(&mut stream).await);
            open.push(stream);
        }
        let mut one_too_many = connect_from(address, &app).await;
        assert!(!is_served(&mut one_too_many).await);
    }

    open.remove(0);

    let again = async { while !is_served(&mut connect(&app).await).await {} };
    let freed = timeout(FAR_TOO_LONG, again).await;
    assert!(freed.is_ok(), "a closed connection does not free its slot");
    assert!(!is_served(&mut connect_from("127.0.0.2", &app).await).await);
}

#[actix_web::test]
async fn a_trusted_proxy_has_unlimited_connections() {
    for flags in [
        ["--limits=on", "--trusted-proxies=127.0.0.1"],
        ["--limits=off", "--trusted-proxies=127.0.0.2"],
    ] {
        let app = TestApp::with(&[&["--connections-per-address=1"], &flags[..]].concat()).await;
        let mut open = Vec::new();
        for _ in 0..10 {
            let mut stream = connect(&app).await;
            assert!(is_served(&mut stream).await);
            open.push(stream);
        }
    }
}

/// Creates an account and returns the name and value of its session cookie.
async fn sign_up_for_cookie(app: &TestApp, name: &str) -> (Browser, String) {
    let browser = app.anonymous();
    let form = [("name", name), ("password", PASSWORD)];
    let page = browser.post("/register", &form).await;
    let cookie = page.header("set-cookie").split(';').next().unwrap();
    (browser, cookie.to_owned())
}

#[actix_web::test]
async fn a_client_that_hangs_up_ends_its_polls() {
    let app = TestApp::with(&[
        "--limits=on",
        "--connections-per-address=4",
        "--poll-wait=2min",
    ])
    .await;
    let (ada, cookie) = sign_up_for_cookie(&app, "ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let poll = format!(
        "GET /rooms/{room}/poll?after={cursor} HTTP/1.1\r\nHost: mirage\r\nCookie: {cookie}\r\n\r\n"
    );
    let until_polls = async |count| {
        let counting = async {
            while app.waiting_polls(room) != count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = timeout(FAR_TOO_LONG, counting).await;
        assert!(reached.is_ok(), "there are never {count} polls");
    };

    // The server needs a moment to notice that earlier connections have ended.
    let connect_when_served = async || {
        let connecting = async {
            loop {
                let mut stream = connect_from("127.0.0.2", &app).await;
                if is_served(&mut stream).await {
                    return stream;
                }
            }
        };
        let connected = timeout(FAR_TOO_LONG, connecting).await;
        connected.expect("an ended poll keeps its connection")
    };

    // As many as a session and an address may have: a poll that did not end would leave no place for these.
    for round in ["close", "shut down", "with the request", "reset", "again"] {
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let mut stream = connect_when_served().await;
            stream.write_all(poll.as_bytes()).await.unwrap();
            if round == "with the request" {
                stream.shutdown().await.unwrap();
            }
            waiting.push(stream);
        }
        if round != "with the request" {
            until_polls(4).await;
        }
        for stream in &mut waiting {
            match round {
                "shut down" => stream.shutdown().await.unwrap(),
                "reset" => stream.set_zero_linger().unwrap(),
                _ => {}
            }
        }
        if matches!(round, "shut down" | "with the request") {
            for stream in &mut waiting {
                read_to_end_of_connection(stream).await;
            }
        }
        drop(waiting);
        until_polls(0).await;
    }
}

#[actix_web::test]
async fn a_client_that_only_stops_sending_gets_its_answers() {
    let app = TestApp::spawn().await;
    let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
    let requests = format!(
        "{PING}POST /register HTTP/1.1\r\nHost: mirage\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}{PING}",
        form.len()
    );
    let mut stream = connect(&app).await;
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();

    let answers = read_to_end_of_connection(&mut stream).await;

    assert_eq!(statuses(&answers), ["200", "303", "200"], "{answers}");
}

/// The statuses of all answers.
fn statuses(answers: &str) -> Vec<&str> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|line| &line[..3]).collect()
}

#[actix_web::test]
async fn each_pipelined_request_is_answered_as_its_method_asks() {
    let app = TestApp::spawn().await;
    let close = "Connection: close\r\n";
    let get = |headers| format!("GET /healthz HTTP/1.1\r\nHost: mirage\r\n{headers}\r\n");
    let head = "HEAD /healthz HTTP/1.1\r\nHost: mirage\r\n\r\n";
    let form = "POST /healthz HTTP/1.1\r\nHost: mirage\r\n";
    let long = format!("{form}Content-Length: 6\r\n\r\n\r\n\r\nab");
    let chunked = format!("{form}Transfer-Encoding: chunked\r\n\r\n6\r\n\r\n\r\nab\r\n0\r\n\r\n");

    for (requests, expected, pages) in [
        ([&get(""), head, &get(close)], ["200", "200", "200"], 0),
        ([head, &get(""), &get(close)], ["200", "200", "200"], 0),
        ([&long, head, &get(close)], ["405", "200", "200"], 1),
        ([&chunked, head, &get(close)], ["405", "200", "200"], 1),
    ] {
        let mut stream = connect(&app).await;
        let requests = requests.concat();
        stream.write_all(requests.as_bytes()).await.unwrap();
        let answers = read_to_end_of_connection(&mut stream).await;

        assert_eq!(statuses(&answers), expected, "{requests}{answers}");
        let bodies = answers.matches("\r\n\r\nok").count();
        assert_eq!(bodies, 2 - pages, "{requests}{answers}");
        let html = answers.matches("</html>").count();
        assert_eq!(html, pages, "{requests}{answers}");
    }
}

#[actix_web::test]
async fn an_upgrade_is_ignored_and_connect_is_refused_at_once() {
    let app = TestApp::spawn().await;
    let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
    let websocket = "Host: mirage\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let post = format!(
        "POST /register HTTP/1.1\r\n{websocket}Content-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    for (request, status) in [
        (&*format!("GET /healthz HTTP/1.1\r\n{websocket}\r\n"), "200"),
        (
            "GET /healthz HTTP/1.1\r\nHost: mirage\r\nUpgrade: websocket\r\n\r\n",
            "200",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: mirage\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "200",
        ),
        (&post, "303"),
        (
            "CONNECT mirage:443 HTTP/1.1\r\nHost: mirage:443\r\n\r\n",
            "400",
        ),
    ] {
        let mut stream = connect(&app).await;
        stream.write_all(request.as_bytes()).await.unwrap();

        let answer = read_to_end_of_connection(&mut stream).await;

        assert_eq!(statuses(&answer), [status], "{request}{answer}");
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{request}{answer}"
        );
    }
}

#[actix_web::test]
async fn a_host_that_is_none_is_refused() {
    let app = TestApp::spawn().await;
    for (host, status) in [
        ("a b/c", "400"),
        ("a/c", "400"),
        ("a@b", "400"),
        ("[::1", "400"),
        ("", "200"),
        ("chat.example.org:8080", "200"),
        ("[::1]:8080", "200"),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut stream = connect(&app).await;
        stream.write_all(request.as_bytes()).await.unwrap();

        let answer = read_to_end_of_connection(&mut stream).await;

        assert_eq!(statuses(&answer), [status], "{request}{answer}");
    }
}

#[actix_web::test]
async fn an_idle_connection_is_kept_longer_for_a_trusted_proxy() {
    let app = TestApp::with(&["--keep-alive=100ms", "--trusted-proxies=127.0.0.3"]).await;
    let mut proxy = connect_from("127.0.0.3", &app).await;
    assert!(is_served(&mut proxy).await);
    let mut body = [0; 4096];
    while !String::from_utf8_lossy(&body).contains("\r\n\r\nok") {
        let read = proxy.read(&mut body).await.unwrap();
        assert_ne!(read, 0, "the answer is not whole");
    }
    let mut stranger = connect(&app).await;
    assert!(is_served(&mut stranger).await);

    // The stranger is idle for less long than the proxy.
    read_to_end_of_connection(&mut stranger).await;

    assert!(is_served(&mut proxy).await);
}
