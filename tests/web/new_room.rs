use crate::support::{ROOM_PASSWORD, TestApp, room_from_redirect};

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
    page.assert_redirect(&format!("/rooms/{room}?done=created"));
    let page = ada.get(page.location()).await;
    assert_eq!(page.text(".done"), "Room created.");
    assert_eq!(page.text("h1"), "Kettle club");
    assert_eq!(page.texts(".members li"), ["ada (you), owner"]);
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
