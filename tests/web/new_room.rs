use crate::support::{ROOM_PASSWORD, TestApp, room_from_redirect};

/// The sentence on the page of a new room that says how to bring people in.
const INVITATION: &str = "main p.invitation";

const TAKEN: &str =
    "Another room has this name, or one that looks too similar. Choose a different name";

#[actix_web::test]
async fn the_creator_of_a_room_is_its_owner_and_a_member() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada
        .post(
            "/rooms/new",
            &[("name", "Kettle  club "), ("kind", "public")],
        )
        .await;

    let room = room_from_redirect(&page);
    page.assert_redirect(&format!("/rooms/{room}?done=created#now"));
    let page = ada.get(page.location()).await;
    assert_eq!(page.text(".done"), "Room created.");
    assert_eq!(page.text("h1"), "Kettle club");
    assert_eq!(ada.members(room).await, ["ada (you), owner"]);
}

#[actix_web::test]
async fn the_page_of_a_new_public_room_says_which_address_to_share() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let room = ada.create_public_room("Kettle club").await;
    let page = ada.get(&format!("/rooms/{room}?done=created#now")).await;

    let address = ada.shown_url(&format!("/rooms/{room}"));
    assert_eq!(
        page.text(INVITATION),
        format!(
            "You are the only member. Send this address to the people you want to talk with: {address}"
        )
    );
    assert_eq!(page.attribute(&format!("{INVITATION} a"), "href"), address);
    assert!(!page.has("main form:not(#write)"));
}

#[actix_web::test]
async fn the_button_on_the_page_of_a_new_private_room_makes_an_invite_link() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Attic").await;
    let page = ada.get(&format!("/rooms/{room}?done=created#now")).await;
    assert!(
        page.text(INVITATION)
            .starts_with("You are the only member. Make an invite link,")
    );

    assert_eq!(
        page.text("main form:not(#write) button"),
        "Make an invite link"
    );
    let action = page.attribute("main form:not(#write)", "action");
    let names = page.attributes("main form:not(#write) input", "name");
    let values = page.attributes("main form:not(#write) input", "value");
    let fields: Vec<(&str, &str)> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let made = ada.post(&action, &fields).await;

    made.assert_status(200);
    assert_eq!(made.text(".done"), "Link 1 created.");
    let link = made.attribute("main h2 + p a", "href");
    assert!(link.starts_with(&ada.shown_url("/invite/")), "{link}");
    assert!(made.has("svg.qr"));
    assert_eq!(
        made.text(".qr + p"),
        "Then open Attic and write a message: they see it when they join."
    );
    let described = made.text("main li p");
    assert!(described.starts_with("Unlimited uses."), "{described}");
    let path = link.strip_prefix(&ada.shown_url("")).unwrap();
    let bob = app.sign_up("bob").await;
    bob.accept(path).await.assert_status(303);
    bob.room(room).await.assert_status(200);
}

#[actix_web::test]
async fn a_room_is_new_until_it_has_a_second_member_or_a_message() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let (joined, used) = (
        ada.create_public_room("Joined").await,
        ada.create_public_room("Used").await,
    );
    let offers = async |room| ada.room(room).await.has(INVITATION);
    assert!(offers(joined).await && offers(used).await);

    bob.join(joined).await;
    ada.send(used, "Tea?").await.assert_status(303);

    assert!(!offers(joined).await && !offers(used).await);
}

#[actix_web::test]
async fn a_room_needs_a_name_and_a_choice_of_public_or_private() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.post("/rooms/new", &[]).await;

    page.assert_status(422);
    let sentences = [
        "Enter a room name",
        "Choose whether the room is public or private",
    ];
    assert_eq!(page.texts(".problems a"), sentences);
}

#[actix_web::test]
async fn a_private_room_needs_a_password_and_the_form_keeps_the_rest() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    for (password, sentence) in [
        ("", "Enter a password for the room"),
        (
            "12345",
            "The room password must be at least 6 characters long",
        ),
    ] {
        let form = [
            ("name", "<tea>"),
            ("kind", "private"),
            ("password", password),
        ];
        let page = ada.post("/rooms/new", &form).await;

        page.assert_status(422)
            .assert_problem("password", sentence)
            .assert_value("#name", "<tea>");
        assert_eq!(
            page.attributes("[name=kind][checked]", "value"),
            ["private"]
        );
        assert!(page.attributes("#password", "value").is_empty());
    }
}

#[actix_web::test]
async fn two_rooms_cannot_have_names_that_look_alike() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea club").await;
    ada.create_private_room("Сосо").await;

    for twin in [
        "Tea club",
        "tea  CLUB",
        "Tea сlub",
        "Tea c1ub",
        "Coco",
        "Tea\u{200d} club",
    ] {
        let form = [
            ("name", twin),
            ("kind", "private"),
            ("password", ROOM_PASSWORD),
        ];
        let page = ada.post("/rooms/new", &form).await;

        page.assert_status(422)
            .assert_problem("name", TAKEN)
            .assert_value("#name", twin);
    }
}

#[actix_web::test]
async fn a_name_with_characters_that_cannot_be_shown_is_refused() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    for name in ["a\u{202e}b", "a\u{7}b"] {
        let page = ada
            .post("/rooms/new", &[("name", name), ("kind", "public")])
            .await;

        let sentence =
            "The room name contains a character that cannot be displayed. Type the name again";
        page.assert_status(422).assert_problem("name", sentence);
    }
}

#[actix_web::test]
async fn a_password_for_a_public_room_is_refused() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let form = [
        ("name", "Tea"),
        ("kind", "public"),
        ("password", ROOM_PASSWORD),
    ];
    let page = ada.post("/rooms/new", &form).await;

    let sentence = "A public room has no password. Choose Private, or clear the password";
    page.assert_status(422)
        .assert_problem("kind-public", sentence)
        .assert_value("#name", "Tea");
}
