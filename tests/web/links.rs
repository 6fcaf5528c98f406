//! Every link and form of the site leads to an existing page.

use std::collections::{BTreeSet, VecDeque};

use crate::support::{Browser, ROOM_PASSWORD, TestApp};

/// Crawls the site from `start` and returns the paths of all pages.
async fn crawl(browser: &Browser, start: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::from([start.to_owned()]);
    let mut ahead = VecDeque::from([start.to_owned()]);
    while let Some(address) = ahead.pop_front() {
        let mut page = browser.get(&address).await;
        if page.status == 303 {
            page = browser.get(page.location()).await;
        }
        assert_eq!(page.status, 200, "{address}");
        let inside = page.attributes("a[href^='#']", "href");
        for target in inside {
            assert!(
                page.has(&format!("[id='{}']", &target[1..])),
                "{target} in {address}"
            );
        }
        for link in page.attributes("a[href^='/']", "href") {
            let (link, fragment) = link.split_once('#').unwrap_or((&link, ""));
            if !fragment.is_empty() && fragment != "new" {
                assert!(
                    browser.get(link).await.has(&format!("[id='{fragment}']")),
                    "{link}#{fragment}"
                );
            }
            if seen.insert(link.to_owned()) {
                ahead.push_back(link.to_owned());
            }
        }
        for file in page
            .attributes("link, script", "href")
            .iter()
            .chain(&page.attributes("script", "src"))
        {
            browser.get(file).await.assert_status(200);
        }
    }
    seen
}

#[actix_web::test]
async fn every_link_leads_to_a_page() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_private_room("Tea").await;
    ada.create_public_room("Cake").await;
    let bread = bob.create_public_room("Bread").await;
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
    for number in 0..101 {
        ada.send(tea, &format!("message {number}")).await;
    }

    let signed_in = crawl(&ada, "/rooms").await;
    let signed_out = crawl(&app.anonymous(), "/").await;
    let operator = crawl(&app.operator("olga").await, "/site").await;

    for page in [
        "/rooms/mine",
        "/rooms/private",
        "/rooms/new",
        "/account/password",
        "/account/sessions",
        "/account/ignored",
        "/account/delete",
    ] {
        assert!(signed_in.contains(page), "{page} cannot be found by links");
    }
    for page in ["", "/leave", "/members", "/invites"] {
        assert!(signed_in.contains(&format!("/rooms/{tea}{page}")));
    }
    assert!(
        !signed_in.contains(&format!("/rooms/{bread}")),
        "a room is entered by its button"
    );
    let (ada, olga) = (app.user_id("ada").await, app.user_id("olga").await);
    for page in [
        "/site/people".to_owned(),
        format!("/site/people/{ada}"),
        format!("/site/people/{ada}/suspend"),
        format!("/site/people/{ada}/delete"),
        format!("/site/people/{ada}/reset-link"),
        format!("/site/people/{olga}"),
        "/site/rooms".to_owned(),
        format!("/site/rooms/{bread}"),
        format!("/site/rooms/{bread}/delete"),
        "/site/reports".to_owned(),
        "/site/sign-up-link".to_owned(),
    ] {
        assert!(operator.contains(&page), "{page} cannot be found by links");
    }
    assert!(signed_out.contains("/register") && signed_out.contains("/login"));
}
