use crate::support::{Browser, ROOM_PASSWORD, TestApp};

const REFUSED: &str = "Wrong password, or there is no private room with that name";

#[actix_web::test]
async fn name_and_password_admit_to_a_private_room() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea club").await;

    let page = bob.join_privately(" tea  CLUB", ROOM_PASSWORD).await;

    page.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
    let page = bob.get(page.location()).await;
    assert!(
        page.texts("main p")
            .iter()
            .any(|text| text.contains("disappear 24 hours after"))
    );
    assert_eq!(ada.members(room).await, ["ada (you), owner", "bob"]);
}

#[actix_web::test]
async fn empty_fields_are_reported() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let both = ada.join_privately("", "").await;
    let name = ada.join_privately(" ", ROOM_PASSWORD).await;
    let password = ada.join_privately("Tea", "").await;

    both.assert_status(422);
    let sentences = ["Enter the room name", "Enter the room password"];
    assert_eq!(both.texts(".problems a"), sentences);
    name.assert_status(422).assert_problem("name", sentences[0]);
    password
        .assert_status(422)
        .assert_problem("password", sentences[1])
        .assert_value("#name", "Tea");
}

#[actix_web::test]
async fn every_reason_for_refusal_gets_the_same_answer_for_the_same_work() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Tea").await;
    let cake = ada.create_private_room("Cake").await;
    bob.join_privately("Cake", ROOM_PASSWORD).await;
    ada.ban(cake, "bob", "Crumbs").await;
    let attempt = async |name: &str, password| {
        let (hashes, statements) = (app.hashes(), app.db_statements());
        let page = bob.join_privately(name, password).await;
        page.assert_status(403)
            .assert_problem("name", REFUSED)
            .assert_value("#name", name);
        let value = format!("value=\"{}\"", page.attribute("#name", "value"));
        assert_eq!(page.texts("#name").len(), 1);
        let hashes = app.hashes() - hashes;
        let statements = app.db_statements() - statements;
        (page.body.replace(&value, ""), hashes, statements)
    };
    // The first request of a session loads the session from the database.
    bob.get("/rooms/private").await.assert_status(200);

    let wrong_password = attempt("Tea", "open barley").await;
    let no_room = attempt("Pie", ROOM_PASSWORD).await;
    let long = "x".repeat(65);
    let no_name = attempt(&long, ROOM_PASSWORD).await;
    let banned = attempt("Cake", ROOM_PASSWORD).await;
    let banned_and_wrong = attempt("Cake", "open barley").await;

    assert_eq!(wrong_password.1, 1);
    assert_eq!(wrong_password, no_room);
    assert_eq!(wrong_password, no_name);
    assert_eq!(wrong_password, banned);
    assert_eq!(wrong_password, banned_and_wrong);

    // A password with letters that have two forms takes one hash for each, also when it is right and the person
    // is banned.
    let password_of_cake = "op\u{e9}n sesame";
    let form = [("password", password_of_cake), ("others", "stay")];
    let path = format!("/rooms/{cake}/settings/password");
    ada.post(&path, &form).await.assert_status(303);
    let wrong_password = attempt("Tea", password_of_cake).await;
    let no_room = attempt("Pie", password_of_cake).await;
    let banned = attempt("Cake", password_of_cake).await;

    assert_eq!(wrong_password.1, 2);
    assert_eq!(wrong_password, no_room);
    assert_eq!(wrong_password, banned);
}

#[actix_web::test]
async fn a_room_password_opens_the_room_in_either_normalization_form() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let form = [("password", "se\u{301}same"), ("others", "stay")];
    let path = format!("/rooms/{room}/settings/password");
    ada.post(&path, &form).await.assert_status(303);

    for (name, typed) in [("bob", "s\u{e9}same"), ("cid", "se\u{301}same")] {
        let browser = app.sign_up(name).await;
        let page = browser.join_privately("Tea", typed).await;
        page.assert_status(303);
    }
}

#[actix_web::test]
async fn a_successful_join_also_computes_one_hash() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Tea").await;
    ada.create_public_room("Cake").await;
    let hashes = async |browser: &Browser, name, password| {
        let before = app.hashes();
        let page = browser.join_privately(name, password).await;
        page.assert_status(303);
        app.hashes() - before
    };

    assert_eq!(hashes(&bob, "Tea", ROOM_PASSWORD).await, 1, "new member");
    assert_eq!(hashes(&bob, "Tea", ROOM_PASSWORD).await, 1, "member");
    assert_eq!(hashes(&bob, "Cake", "whatever").await, 1, "public room");
}

#[actix_web::test]
async fn the_name_of_a_public_room_joins_that_room() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;

    let page = bob.join_privately("Tea", "whatever").await;

    page.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}

#[actix_web::test]
async fn a_member_of_the_room_is_redirected_into_it() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;

    let page = ada.join_privately("Tea", ROOM_PASSWORD).await;

    page.assert_redirect(&format!("/rooms/{room}#now"));
}
