//! The servers of a test: each gets a request in turn, and all end with the test.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Browser, PASSWORD, TestApp, is_cluster};

/// Fails to sign in this often, which takes one hash each time.
async fn fail_to_sign_in(browser: &Browser, times: usize) {
    for _ in 0..times {
        let form = [("name", "nobody"), ("password", PASSWORD)];
        browser.post("/login", &form).await.assert_status(422);
    }
}

/// The number of hashes that each server has computed.
fn hashes(app: &TestApp) -> Vec<u64> {
    let hashing = app.cores().map(|core| &core.probes.hashing);
    hashing.map(|hashing| hashing.computed()).collect()
}

#[actix_web::test]
async fn each_server_gets_every_other_request_of_a_browser() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    fail_to_sign_in(&browser, 4).await;
    fail_to_sign_in(&browser.clone(), 2).await;

    let expected = if is_cluster() { vec![3, 3] } else { vec![6] };
    assert_eq!(hashes(&app), expected);
}

#[actix_web::test]
async fn every_second_browser_begins_with_the_second_server() {
    let app = TestApp::spawn().await;

    for _ in 0..4 {
        fail_to_sign_in(&app.anonymous(), 1).await;
    }

    let expected = if is_cluster() { vec![2, 2] } else { vec![4] };
    assert_eq!(hashes(&app), expected);
}

#[actix_web::test]
async fn a_browser_at_one_server_asks_that_one_alone() {
    let app = TestApp::spawn().await;
    let addresses = app.addresses();
    let last = addresses.last().unwrap();

    fail_to_sign_in(&app.anonymous().at(last), 3).await;

    assert_eq!(hashes(&app).pop(), Some(3));
    assert_eq!(hashes(&app).iter().sum::<u64>(), 3);
}

#[actix_web::test]
async fn the_servers_end_with_the_test() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let cores: Vec<_> = app.cores().map(Arc::downgrade).collect();

    drop(app);

    let ended = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while cores.iter().any(|core| core.strong_count() > 0) {
            looks.tick().await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(10), ended);
    within.await.expect("a server goes on");
}
