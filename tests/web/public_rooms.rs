use crate::support::TestApp;

#[actix_web::test]
async fn without_rooms_the_page_offers_to_create_one() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_private_room("hidden").await;

    let page = ada.get("/rooms").await;

    assert!(!page.has(".rooms"));
    assert_eq!(page.text("main .button"), "Create the first room");
    assert_eq!(page.attribute("main .button", "href"), "/rooms/new");
}

#[actix_web::test]
async fn every_public_room_is_listed_with_its_member_count_and_a_join_button_or_link() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let cake = bob.create_public_room("Cake").await;
    bob.create_private_room("hidden").await;
    bob.join(tea).await;

    let page = ada.get("/rooms").await;

    assert_eq!(page.texts(".rooms h2"), ["Cake", "Tea"]);
    assert!(page.texts(".rooms li p")[0].starts_with("1 member, 0 here now."));
    assert!(page.texts(".rooms li p")[1].starts_with("2 members, 0 here now."));
    assert_eq!(page.text(".rooms button"), "Join Cake");
    assert_eq!(
        page.attribute(".rooms form", "action"),
        format!("/rooms/{cake}/join")
    );
    assert_eq!(page.text(".rooms li p a"), "Open Tea");
    assert_eq!(
        page.attribute(".rooms li p a", "href"),
        format!("/rooms/{tea}#now")
    );
}

#[actix_web::test]
async fn rooms_are_listed_by_name_in_pages_of_fifty() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for number in (1..=101).rev() {
        // Letters instead of digits, because names may not look alike (1 and l do).
        let name: String = format!("{number:03}")
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        ada.create_public_room(&format!("zz {name}")).await;
    }

    let pages = [
        ada.get("/rooms").await,
        ada.get("/rooms?page=2").await,
        ada.get("/rooms?page=3").await,
    ];

    let names: Vec<Vec<String>> = pages.iter().map(|page| page.texts(".rooms h2")).collect();
    assert_eq!(names.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 1]);
    assert!(names.concat().is_sorted());
    assert_eq!(
        pages[1].attributes(".pages a", "href"),
        ["/rooms?page=1", "/rooms?page=3"]
    );
    assert_eq!(pages[2].attributes(".pages a", "href"), ["/rooms?page=2"]);
}

#[actix_web::test]
async fn a_page_number_out_of_range_shows_the_nearest_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;

    for page in ["0", "2", "999999999999999999999", "-1", "x", ""] {
        let page = ada.get(&format!("/rooms?page={page}")).await;
        assert_eq!(page.texts(".rooms h2"), ["Tea"]);
    }
}

#[actix_web::test]
async fn rooms_are_sorted_by_latest_message_and_then_by_name() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let mut rooms = Vec::new();
    for name in ["Apple", "Bread", "Cake", "Dates"] {
        rooms.push(ada.create_public_room(name).await);
    }
    for room in [rooms[3], rooms[1]] {
        app.clock.advance(std::time::Duration::from_secs(1));
        ada.send(room, "hello").await;
    }

    assert_eq!(
        ada.get("/rooms").await.texts(".rooms h2"),
        ["Bread", "Dates", "Apple", "Cake"]
    );

    app.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(
        ada.get("/rooms").await.texts(".rooms h2"),
        ["Apple", "Bread", "Cake", "Dates"]
    );
}

#[actix_web::test]
async fn rooms_with_and_without_messages_are_paged_as_one_list() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let mut names = Vec::new();
    for first in b'a'..=b'z' {
        for second in [b'x', b'y', b'z'] {
            let name = String::from_utf8(vec![first, second, second]).unwrap();
            let room = ada.create_public_room(&name).await;
            names.push(name);
            if second != b'z' {
                ada.send(room, "hello").await;
            }
        }
    }

    let mut listed = ada.get("/rooms").await.texts(".rooms h2");
    assert_eq!(listed.len(), 50);
    listed.extend(ada.get("/rooms?page=2").await.texts(".rooms h2"));

    listed.sort_unstable();
    assert_eq!(listed, names);
}

#[actix_web::test]
async fn a_search_finds_a_room_by_part_of_its_name() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for name in ["Kettle club", "Teapots", "100% tea", "under_score"] {
        ada.create_public_room(name).await;
    }
    ada.create_private_room("Secret tea").await;
    let found = async |search: &str| {
        let address = format!("/rooms?search={search}");
        let page = ada.get(&address).await;
        page.texts(".rooms h2")
    };

    assert_eq!(found("TEA").await, ["100% tea", "Teapots"]);
    assert_eq!(found("%20kettle%20").await, ["Kettle club"]);
    assert_eq!(found("%25").await, ["100% tea"]);
    assert_eq!(found("_").await, ["under_score"]);
    assert!(found("%5C").await.is_empty());
    assert_eq!(found("").await.len(), 4);
}

#[actix_web::test]
async fn a_search_without_results_says_so_and_keeps_the_query() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;

    let page = ada.get("/rooms?search=%3Cb%3E").await;

    page.assert_value("#search", "<b>");
    assert!(
        page.texts("main p")
            .iter()
            .any(|text| text.starts_with("No public room has “<b>”"))
    );
}

#[actix_web::test]
async fn a_search_longer_than_any_name_finds_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;

    for long in ["a".repeat(60_000), "%25".repeat(20_000)] {
        let page = ada.get(&format!("/rooms?search={long}")).await;

        page.assert_status(200);
        assert!(!page.has(".rooms li"));
    }
}
