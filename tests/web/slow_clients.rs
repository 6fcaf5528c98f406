//! Clients that take their time, or all they can get, over raw sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::support::{Browser, PASSWORD, TestApp};

/// Far longer than anything here takes, however busy the machine is.
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

/// What comes until the server ends the connection, which it must.
async fn to_the_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        // A connection that is reset has ended, too.
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            all.extend_from_slice(&part[..count]);
        }
    };
    let ended = timeout(FAR_TOO_LONG, reading).await;
    assert!(ended.is_ok(), "the connection does not end");
    String::from_utf8(all).unwrap()
}

/// What comes while a drop is sent now and then, until the server ends the connection.
async fn to_the_end_of_drops(stream: TcpStream, drop: impl Into<String>) -> String {
    let drop = drop.into();
    let (mut reader, mut writer) = stream.into_split();
    let dropping = tokio::spawn(async move {
        while writer.write_all(drop.as_bytes()).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let all = to_the_end(&mut reader).await;
    dropping.abort();
    all
}

/// That somebody is answered on this connection, once.
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
async fn who_says_nothing_is_shown_out() {
    let app = TestApp::with(&["--head-timeout=1s"]).await;
    let mut silent = connect(&app).await;
    let mut idle = connect(&app).await;
    assert!(is_served(&mut idle).await);

    let told = to_the_end(&mut silent).await;
    to_the_end(&mut idle).await;

    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[actix_web::test]
async fn a_head_that_comes_byte_by_byte_ends_the_connection_the_second_as_well_as_the_first() {
    let app = TestApp::with(&["--head-timeout=1s"]).await;
    let head = b"GET /healthz HTTP/1.1\r\nX-Slow: ";
    let mut first = connect(&app).await;
    first.write_all(head).await.unwrap();
    let mut second = connect(&app).await;
    assert!(is_served(&mut second).await);
    second.write_all(head).await.unwrap();

    let told = to_the_end_of_drops(first, "x").await;
    to_the_end_of_drops(second, "x").await;

    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[actix_web::test]
async fn a_body_that_is_not_there_in_time_is_refused_whoever_was_to_read_it() {
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
            let told = tokio::spawn(to_the_end_of_drops(slow, bytes));
            refused.push((request, told));
        }
    }

    for (request, told) in refused {
        let told = told.await.unwrap();
        assert!(told.starts_with("HTTP/1.1 408 "), "{request}{told}");
        assert!(
            told.contains("\r\nconnection: close\r\n"),
            "{request}{told}"
        );
        assert!(told.contains(TOO_SLOW), "{request}{told}");
    }
}

#[actix_web::test]
async fn a_body_that_comes_in_pieces_is_read() {
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

    let told = to_the_end(&mut stream).await;

    assert!(told.starts_with("HTTP/1.1 303 "), "{told}");
}

#[actix_web::test]
async fn who_never_reads_is_shown_out_and_others_are_served() {
    let app = TestApp::with(&["--write-timeout=200ms"]).await;
    let page = "GET /accessibility HTTP/1.1\r\nHost: mirage\r\n\r\n".repeat(100);
    let mut greedy = connect(&app).await;

    let asking = async { while greedy.write_all(page.as_bytes()).await.is_ok() {} };
    let ended = timeout(FAR_TOO_LONG, asking).await;

    assert!(ended.is_ok(), "the connection does not end");
    assert!(is_served(&mut connect(&app).await).await);
}

#[actix_web::test]
async fn requests_that_are_sent_ahead_are_all_answered() {
    let app = TestApp::spawn().await;
    let (mut reader, mut writer) = connect(&app).await.into_split();
    let last = "GET /healthz HTTP/1.1\r\nHost: mirage\r\nConnection: close\r\n\r\n";
    let requests = PING.repeat(2_000) + last;
    let asking = tokio::spawn(async move { writer.write_all(requests.as_bytes()).await });

    let told = to_the_end(&mut reader).await;

    asking.await.unwrap().unwrap();
    assert_eq!(told.matches("HTTP/1.1 200 ").count(), 2_001);
}

#[actix_web::test]
async fn a_form_with_a_password_is_read_up_to_8_kib_and_others_up_to_64() {
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
        (&ada, &messages, 64, 422),
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
async fn a_body_without_an_end_is_read_no_further_than_its_limit() {
    let app = TestApp::spawn().await;
    let request = "POST /login HTTP/1.1\r\nHost: mirage\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut endless = connect(&app).await;
    endless.write_all(request.as_bytes()).await.unwrap();

    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let told = to_the_end_of_drops(endless, chunk).await;

    assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
    assert!(told.contains(TOO_LARGE), "{told}");
}

#[actix_web::test]
async fn an_address_has_so_many_connections_and_another_has_its_own() {
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
    assert!(
        freed.is_ok(),
        "the place of a connection that is gone is not free"
    );
    assert!(!is_served(&mut connect_from("127.0.0.2", &app).await).await);
}

#[actix_web::test]
async fn a_trusted_proxy_has_as_many_connections_as_it_likes() {
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
