//! The operators' list of accounts.

use crate::support::{Browser, TestApp};

#[actix_web::test]
async fn it_lists_all_accounts_with_what_they_are() {
    let app = TestApp::spawn().await;
    let olga = app.operator("Olga").await;
    let (ada, _) = (app.sign_up("ada").await, app.sign_up("bob").await);
    ada.create_private_room("Attic").await;
    app.execute("UPDATE users SET suspended_at = 1, suspension_reason = 'Spam' WHERE name = 'bob'")
        .await;

    let page = olga.get("/site/people").await;

    assert_eq!(page.texts("main h2"), ["ada", "bob", "Olga"]);
    let created = "Account created 22 November 2026 13:05 UTC.";
    assert_eq!(
        page.texts("main li p"),
        [
            format!("{created} In 1 room, signed in on 1 browser."),
            format!("Suspended. {created} In 0 rooms, signed in on 1 browser."),
            format!("Operator. {created} In 0 rooms, signed in on 1 browser."),
        ]
    );
    let id = app.user_id("ada").await;
    assert_eq!(
        page.attributes("main h2 a", "href")[0],
        format!("/site/people/{id}")
    );
    assert_eq!(page.texts("main > p"), ["3 accounts, sorted by name."]);
}

#[actix_web::test]
async fn a_search_finds_parts_of_names_in_any_letter_case_and_nothing_else() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    for name in ["Ada_1", "adam", "bob", "Åda"] {
        app.sign_up(name).await;
    }
    let found = async |search: &str| {
        let request = olga.client.get(olga.url("/site/people"));
        let page = Browser::answer(request.query(&[("search", search)])).await;
        page.assert_status(200);
        page.texts("main h2")
    };

    assert_eq!(found("ADA").await, ["Ada_1", "adam"]);
    assert_eq!(found(" åda ").await, ["Åda"]);
    assert_eq!(found("ada_").await, ["Ada_1"]);
    // Wildcards of the database are letters like others.
    for none in ["a%m", "a_am", "%", "!", "a!"] {
        assert_eq!(found(none).await, [""; 0], "{none}");
    }
    let page = olga.get("/site/people?search=zoe").await;
    assert_eq!(
        page.texts("main > p"),
        ["Nobody has “zoe” in their name. Show all people"]
    );
    let long = "é".repeat(3_000);
    let page = olga.get(&format!("/site/people?search={long}")).await;
    assert_eq!(
        page.texts("main > p"),
        [format!(
            "Nobody has “{}” in their name. Show all people",
            "é".repeat(100)
        )]
    );
}

#[actix_web::test]
async fn a_long_list_has_pages() {
    let app = TestApp::spawn().await;
    let olga = app.operator("zoe").await;
    let rows: Vec<String> = (0..100)
        .map(|n| format!("('p{n:03}', 'p{n:03}', 's{n}', 't{n}', '', 0)"))
        .collect();
    app.execute(&format!(
        "INSERT INTO users (name, folded_name, folded_skeleton, typed_skeleton, password_hash, created_at) VALUES {}",
        rows.join(", ")
    ))
    .await;

    let first = olga.get("/site/people").await;
    let last = olga.get("/site/people?page=9").await;
    let found = olga.get("/site/people?search=p0&page=2").await;

    assert_eq!(first.texts("main h2").len(), 50);
    assert_eq!(
        first.text("title"),
        "People, page 1 of 3 – Site moderation – Mirage"
    );
    assert_eq!(
        first.attributes(".pages a", "href"),
        ["/site/people?page=2"]
    );
    assert_eq!(last.texts("main h2"), ["zoe"]);
    assert_eq!(last.attributes(".pages a", "href"), ["/site/people?page=2"]);
    assert_eq!(found.texts("main h2").len(), 50);
    assert_eq!(
        found.attributes(".pages a", "href"),
        ["/site/people?search=p0&page=1"]
    );
}
