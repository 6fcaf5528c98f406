use crate::support::{PASSWORD, TestApp};

const TAKEN: &str = "Somebody has this name already, or one that looks like it. Choose another";

#[actix_web::test]
async fn creating_an_account_signs_in_and_leads_to_the_public_rooms() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();

    let page = ada
        .post("/register", &[("name", " Ada "), ("password", PASSWORD)])
        .await;

    page.assert_redirect("/rooms");
    assert_eq!(ada.get("/rooms").await.text("header .sign-out b"), "Ada");
}

#[actix_web::test]
async fn creating_an_account_leads_on_to_where_one_wanted_to_go() {
    let app = TestApp::spawn().await;
    let form = app.anonymous().get("/register?next=/rooms/private").await;
    assert_eq!(form.attribute("[name=next]", "value"), "/rooms/private");

    let form = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("next", "/rooms/private"),
    ];

    app.anonymous()
        .post("/register", &form)
        .await
        .assert_redirect("/rooms/private");
}

#[actix_web::test]
async fn creating_an_account_leads_to_no_other_site() {
    let app = TestApp::spawn().await;
    let form = app.anonymous().get("/register?next=//example.org").await;
    assert!(!form.has("[name=next]"));

    let form = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("next", "https://example.org/rooms"),
    ];

    app.anonymous()
        .post("/register", &form)
        .await
        .assert_redirect("/rooms");
}

#[actix_web::test]
async fn a_name_that_cannot_be_is_refused_and_kept_in_the_form() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for (name, sentence) in [
        ("", "Enter a name"),
        ("a", "Your name must have at least 2 characters"),
        (
            "<b>ada</b>",
            "Your name can only have letters, digits, hyphens (-) and underscores (_)",
        ),
        ("аlice", "Write your name in letters of one alphabet"),
    ] {
        let page = browser
            .post("/register", &[("name", name), ("password", PASSWORD)])
            .await;

        page.assert_status(422)
            .assert_problem("name", sentence)
            .assert_value("#name", name);
        assert_eq!(page.attributes("#password", "value"), [""; 0]);
    }
}

#[actix_web::test]
async fn a_password_that_is_too_short_too_common_or_the_name_is_refused() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for (password, sentence) in [
        ("", "Enter a password"),
        ("x7#kQ!z", "The password must have at least 8 characters"),
        ("Kettle-Club", "The password must not be your name"),
        (
            "password1",
            "This password is among the first that others would try. Choose a less common one",
        ),
    ] {
        let page = browser
            .post(
                "/register",
                &[("name", "kettle-club"), ("password", password)],
            )
            .await;

        page.assert_status(422).assert_problem("password", sentence);
        page.assert_value("#name", "kettle-club");
    }
}

#[actix_web::test]
async fn all_problems_are_told_at_once() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().post("/register", &[]).await;

    page.assert_status(422);
    assert_eq!(
        page.texts(".problems a"),
        ["Enter a name", "Enter a password"]
    );
}

#[actix_web::test]
async fn two_people_cannot_have_names_that_look_alike() {
    let app = TestApp::spawn().await;
    app.sign_up("alice").await;
    app.sign_up("сосо").await;

    for twin in ["alice", "Alice", "ALICE", "aIice", "ａｌｉｃｅ", "coco"] {
        let form = [("name", twin), ("password", PASSWORD)];
        let page = app.anonymous().post("/register", &form).await;

        page.assert_status(422)
            .assert_problem("name", TAKEN)
            .assert_value("#name", twin);
    }
}

#[actix_web::test]
async fn of_eight_people_who_want_a_name_at_once_one_gets_it() {
    let app = TestApp::spawn().await;
    let form = [("name", "ada"), ("password", PASSWORD)];
    let browsers: Vec<_> = (0..8).map(|_| app.anonymous()).collect();

    let attempts: Vec<_> = browsers
        .iter()
        .map(|browser| {
            let browser = browser.clone();
            tokio::spawn(async move { browser.post("/register", &form).await })
        })
        .collect();
    let mut pages = Vec::new();
    for attempt in attempts {
        pages.push(attempt.await.unwrap());
    }

    let (won, lost): (Vec<_>, Vec<_>) = pages.iter().partition(|page| page.status == 303);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for page in lost {
        page.assert_status(422).assert_problem("name", TAKEN);
    }
}
