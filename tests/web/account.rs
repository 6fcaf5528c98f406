use crate::support::TestApp;

#[actix_web::test]
async fn every_message_is_announced_until_the_setting_is_changed() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    assert_eq!(
        ada.get("/account").await.attribute("[checked]", "value"),
        "each"
    );
    assert_eq!(
        ada.room(room).await.attribute("#log", "data-announce"),
        "each"
    );

    for choice in ["count", "none", "each"] {
        let page = ada.post("/account", &[("announcements", choice)]).await;

        page.assert_redirect("/account?done=saved");
        let page = ada.get("/account?done=saved").await;
        assert_eq!(page.text(".done"), "Settings saved.");
        assert!(page.text("title").starts_with("Settings saved – "));
        assert_eq!(page.attribute("[checked]", "value"), choice);
        assert_eq!(
            ada.room(room).await.attribute("#log", "data-announce"),
            choice
        );
    }
}

#[actix_web::test]
async fn the_announcement_setting_survives_a_restart_and_is_per_account() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.post("/account", &[("announcements", "none")])
        .await
        .assert_status(303);

    let app = app.restart().await;

    assert_eq!(
        ada.get("/account").await.attribute("[checked]", "value"),
        "none"
    );
    assert_eq!(
        bob.get("/account").await.attribute("[checked]", "value"),
        "each"
    );
    drop(app);
}

#[actix_web::test]
async fn an_unknown_announcement_setting_is_refused() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.post("/account", &[("announcements", "loud")]).await;

    page.assert_status(422)
        .assert_problem("announcements-each", "Choose what to announce");
}

#[actix_web::test]
async fn the_account_page_links_to_every_account_action() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get("/account").await;

    assert_eq!(
        page.attributes("main .onward a", "href"),
        [
            "/account/password",
            "/account/sessions",
            "/account/ignored",
            "/account/delete"
        ]
    );
}
