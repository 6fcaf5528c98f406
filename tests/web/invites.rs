use std::time::Duration;

use mirage::database::entities::invite;
use mirage::domain::{InviteId, InviteLifetime, InviteUses, Role, RoomId};
use mirage::services::invites::{self, Created, Revoked};
use mirage::services::moderation;
use sea_orm::EntityTrait;
use sha2::{Digest, Sha256};

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, START, TestApp, room_from_redirect};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

async fn rows(app: &TestApp) -> Vec<invite::Model> {
    let rows = invite::Entity::find().all(&app.core.database).await;
    rows.unwrap()
}

/// The description of each link in the list.
async fn link_descriptions(browser: &Browser, room: i64) -> Vec<String> {
    let page = browser.get(&format!("/rooms/{room}/invites")).await;
    page.assert_status(200);
    page.texts("main li p")
}

async fn revoke(browser: &Browser, room: i64, invite: i64) -> Page {
    let address = format!("/rooms/{room}/invites/{invite}/revoke");
    browser.post(&address, &[("revoke", "1")]).await
}

/// The URL in the QR code of a page, as a camera reads it.
fn qr_code_url(page: &Page) -> String {
    const PIXELS: usize = 4;
    let size = page.attribute("svg.qr", "viewBox");
    let size: usize = size.split(' ').next_back().unwrap().parse().unwrap();
    let mut dark = vec![vec![false; size]; size];
    let path = page.attribute("svg.qr path.squares", "d");
    for run in path.split('M').skip(1) {
        let (corner, rest) = run.split_once('h').unwrap();
        let (x, y) = corner.split_once(' ').unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        let (length, back) = rest.split_once("v1h-").unwrap();
        assert_eq!(back, format!("{length}z"));
        let length: usize = length.parse().unwrap();
        dark[y][x..x + length].fill(true);
    }
    let light_or_dark = |x: usize, y: usize| {
        if dark[y / PIXELS][x / PIXELS] { 0 } else { 255 }
    };
    let side = size * PIXELS;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, light_or_dark);
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1);
    codes[0].decode().unwrap().1
}

#[actix_web::test]
async fn a_new_link_is_shown_once_with_a_qr_code() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;

    let page = ada.create_invite(room, "day", "ten").await;

    page.assert_status(200);
    assert_eq!(page.header("cache-control"), "no-store, no-cache");
    assert_eq!(page.text(".done"), "Link 1 created.");
    let title = page.text("title");
    assert!(
        title.starts_with("Link 1 created – Invite people to Tea"),
        "{title}"
    );
    let link = page.attribute("main h2 + p a", "href");
    let token = link.strip_prefix(&ada.shown_url("/invite/")).unwrap();
    assert_eq!(token.len(), 43, "256 bits in base64");
    assert_eq!(page.text("main h2 + p a"), link);
    assert_eq!(qr_code_url(&page), link);
    assert_eq!(page.attribute("svg.qr", "role"), "img");
    assert_eq!(
        page.attribute("svg.qr", "aria-label"),
        "QR code of the link"
    );
    let again = ada.get(&format!("/rooms/{room}/invites")).await;
    assert!(!again.body.contains(token) && !again.has("svg"));
}

#[actix_web::test]
async fn the_database_stores_only_the_digest_of_a_link() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "week", "no-limit").await;
    let token = link.strip_prefix("/invite/").unwrap();

    let rows = rows(&app).await;

    let digest: String = Sha256::digest(token)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = invite::Model {
        id: rows[0].id,
        token_digest: digest,
        room_id: RoomId(room),
        created_at: START,
        expires_at: START.plus(7 * 24 * HOUR),
        uses_left: None,
    };
    assert_eq!(rows, [expected]);
    let folder = app.stop().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let is_in = |secret: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
        assert!(!is_in(token.as_bytes()));
    }
}

#[actix_web::test]
async fn a_link_starts_with_the_public_url_of_the_server() {
    let app = TestApp::with(&["--public-url=https://chat.example.org"]).await;
    // The client does not send `Secure` cookies over HTTP, so the test sends the cookie itself.
    let browser = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let signed_up = browser.post("/register", &form).await;
    let cookie = signed_up.header("set-cookie").split(';').next().unwrap();
    let post = async |path: &str, form: &[(&str, &str)]| {
        let request = browser.client.post(browser.url(path)).form(form);
        Browser::answer(request.header("cookie", cookie)).await
    };
    let form = [
        ("name", "Tea"),
        ("kind", "private"),
        ("password", ROOM_PASSWORD),
    ];
    let room = room_from_redirect(&post("/rooms/new", &form).await);

    let form = [("life", "hour"), ("uses", "one")];
    let page = post(&format!("/rooms/{room}/invites"), &form).await;

    let link = page.attribute("main h2 + p a", "href");
    assert!(
        link.starts_with("https://chat.example.org/invite/"),
        "{link}"
    );
    assert_eq!(qr_code_url(&page), link);
}

#[actix_web::test]
async fn the_list_shows_remaining_uses_and_expiry() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    assert!(link_descriptions(&ada, room).await.is_empty());
    ada.invite_to(room, "hour", "one").await;
    let ten = ada.invite_to(room, "day", "ten").await;
    ada.invite_to(room, "week", "no-limit").await;
    bob.accept(&ten).await.assert_status(303);

    assert_eq!(
        link_descriptions(&ada, room).await,
        [
            "Unlimited uses. Expires 29 November 2026, 13:05 UTC.",
            "9 uses left. Expires 23 November 2026, 13:05 UTC.",
            "1 use left. Expires 22 November 2026, 14:05 UTC.",
        ]
    );
}

#[actix_web::test]
async fn missing_choices_are_reported_and_made_choices_are_kept() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;

    let nothing = ada.create_invite(room, "", "").await;
    let no_uses = ada.create_invite(room, "day", "1000").await;
    let no_life = ada.create_invite(room, "year", "ten").await;

    nothing.assert_status(422);
    let sentences = [
        "Choose how long the link should work",
        "Choose how many people can use the link",
    ];
    assert_eq!(nothing.texts(".problems a"), sentences);
    no_uses
        .assert_status(422)
        .assert_problem("uses-one", sentences[1])
        .assert_value("[name=life][checked]", "day");
    no_life
        .assert_status(422)
        .assert_problem("life-hour", sentences[0])
        .assert_value("[name=uses][checked]", "ten");
    assert!(rows(&app).await.is_empty());
}

#[actix_web::test]
async fn the_number_of_links_of_a_room_is_limited() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    for _ in 0..invites::MAX_LINKS {
        ada.invite_to(room, "hour", "one").await;
    }

    let page = ada.create_invite(room, "hour", "one").await;

    page.assert_status(422)
        .assert_problem("life-hour", "50 links is the maximum. Revoke one first");
    app.clock.advance(HOUR);
    ada.invite_to(room, "hour", "one").await;
    assert_eq!(link_descriptions(&ada, room).await.len(), 1);
}

#[actix_web::test]
async fn a_revoked_link_leaves_the_list_and_stops_working() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;
    ada.invite_to(room, "day", "one").await;
    let forms = ada.get(&format!("/rooms/{room}/invites")).await;
    assert_eq!(
        forms.texts("main li button"),
        ["Revoke link 2", "Revoke link 1"]
    );
    assert!(forms.attributes("main li form", "action")[1].ends_with("/1/revoke"));

    let page = revoke(&ada, room, 1).await;

    page.assert_redirect(&format!("/rooms/{room}/invites?done=revoked"));
    let page = ada.get(page.location()).await;
    assert_eq!(page.text(".done"), "Link revoked.");
    assert!(page.text("title").starts_with("Link revoked – "));
    assert_eq!(page.texts("main li h3"), ["Link 2"]);
    bob.get(&link).await.assert_status(404);
    bob.accept(&link).await.assert_status(404);
    // Pressing the button on an outdated page succeeds, too.
    revoke(&ada, room, 1).await.assert_status(303);
}

#[actix_web::test]
async fn a_link_can_only_be_revoked_in_its_own_room() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let tea = ada.create_private_room("Tea").await;
    let cake = eve.create_private_room("Cake").await;
    ada.invite_to(tea, "day", "one").await;

    revoke(&eve, cake, 1).await.assert_status(303);
    revoke(&eve, tea, 1).await.assert_status(404);

    assert_eq!(link_descriptions(&ada, tea).await.len(), 1);
}

#[actix_web::test]
async fn moderators_can_invite_and_members_cannot() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
    let address = format!("/rooms/{room}/invites");
    let has_link = async |browser: &Browser| {
        let links = browser.room(room).await.attributes("main a", "href");
        links.contains(&address)
    };

    bob.get(&address).await.assert_status(403);
    let refused = bob.create_invite(room, "day", "one").await;
    refused.assert_status(403);
    assert_eq!(
        refused.text("h1"),
        "Only the owner and moderators can do that"
    );
    assert!(has_link(&ada).await && !has_link(&bob).await);

    let (owner, member) = (app.user_id("ada").await, app.user_id("bob").await);
    moderation::set_role(&app.core, RoomId(room), owner, member, Role::Moderator)
        .await
        .unwrap();

    assert!(has_link(&bob).await);
    bob.invite_to(room, "day", "one").await;
    revoke(&bob, room, 1).await.assert_status(303);
    assert!(link_descriptions(&bob, room).await.is_empty());
}

#[actix_web::test]
async fn a_public_room_needs_no_invites() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    let page = ada.get(&format!("/rooms/{room}/invites")).await;
    let refused = ada.create_invite(room, "day", "one").await;

    page.assert_status(200);
    assert!(page.text("main p").starts_with("This is a public room."));
    assert!(!page.has("main form"));
    refused.assert_status(403);
    assert_eq!(refused.body, page.body);
    assert!(rows(&app).await.is_empty());
    let links = ada.room(room).await.texts("main a");
    assert!(!links.contains(&"Invite people with a link".to_owned()));
}

#[actix_web::test]
async fn an_expired_link_is_not_listed_and_is_deleted_by_the_sweep() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    ada.invite_to(room, "hour", "ten").await;
    ada.invite_to(room, "day", "ten").await;

    app.clock.advance(HOUR - MINUTE);
    invites::delete_expired(&app.core).await.unwrap();
    assert_eq!(
        (
            link_descriptions(&ada, room).await.len(),
            rows(&app).await.len()
        ),
        (2, 2)
    );

    app.clock.advance(MINUTE);
    assert_eq!(
        (
            link_descriptions(&ada, room).await.len(),
            rows(&app).await.len()
        ),
        (1, 2)
    );

    invites::delete_expired(&app.core).await.unwrap();
    assert_eq!(rows(&app).await.len(), 1);
}

#[actix_web::test]
async fn deleting_a_room_deletes_its_links() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "week", "no-limit").await;

    ada.leave(room).await;

    assert!(rows(&app).await.is_empty());
    ada.get(&link).await.assert_status(404);
}

/// A page's earlier check does not count: the service checks again within its transaction.
#[actix_web::test]
async fn the_service_itself_checks_who_may_create_or_revoke_a_link() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    ada.invite_to(room, "day", "one").await;
    app.sign_up("bob").await;
    let (room, bob) = (RoomId(room), app.user_id("bob").await);

    let choice = (InviteLifetime::Day, InviteUses::One);
    let turn = app.core.form_turn("", Some(bob)).await.unwrap();
    let created = invites::create(&app.core, &turn, room, bob, choice).await;
    let revoked = invites::revoke(&app.core, room, bob, InviteId(1)).await;

    assert!(matches!(created.unwrap(), Created::NotAllowed));
    assert_eq!(revoked.unwrap(), Revoked::NotAllowed);
    assert_eq!(rows(&app).await.len(), 1);
}
