use crate::support::TestApp;

#[actix_web::test]
async fn signing_out_ends_the_session_for_good() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    // A copy of the session cookie, as a thief would have it.
    let copy = ada.get("/rooms").await;
    copy.assert_status(200);

    let page = ada.post("/logout", &[("sign-out", "1")]).await;

    page.assert_redirect("/login?done=signed-out");
    assert!(page.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(
        ada.get("/login?done=signed-out").await.text(".done"),
        "You are signed out."
    );
    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn a_signed_out_session_key_gives_no_access() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let form = [("name", "ada"), ("password", crate::support::PASSWORD)];
    let signed_up = ada.post("/register", &form).await;
    let cookie = signed_up
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let with_copy = || {
        let stranger = app.anonymous();
        let request = stranger
            .client
            .get(stranger.url("/rooms"))
            .header("cookie", &cookie);
        async { crate::support::Browser::answer(request).await }
    };
    with_copy().await.assert_status(200);

    ada.post("/logout", &[("sign-out", "1")]).await;

    with_copy().await.assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn signing_out_while_signed_out_is_not_an_error() {
    let app = TestApp::spawn().await;

    app.anonymous()
        .post("/logout", &[])
        .await
        .assert_redirect("/login?done=signed-out");
}
