use crate::support::TestApp;

#[actix_web::test]
async fn without_rooms_the_page_offers_to_create_one() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_private_room("hidden").await;

    let page = ada.get("/rooms").await;

    assert!(!page.has(".rooms"));
    assert_eq!(page.attribute("main a", "href"), "/rooms/new");
}

#[actix_web::test]
async fn every_public_room_is_listed_with_its_members_and_a_way_in() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let cake = bob.create_public_room("Cake").await;
    bob.create_private_room("hidden").await;
    bob.join(tea).await;

    let page = ada.get("/rooms").await;

    assert_eq!(page.texts(".rooms h2"), ["Cake", "Tea"]);
    assert!(page.texts(".rooms li p")[0].starts_with("1 member."));
    assert!(page.texts(".rooms li p")[1].starts_with("2 members."));
    assert_eq!(page.text(".rooms button"), "Join Cake");
    assert_eq!(
        page.attribute(".rooms form", "action"),
        format!("/rooms/{cake}/join")
    );
    assert_eq!(page.text(".rooms li p a"), "Open Tea");
    assert_eq!(
        page.attribute(".rooms li p a", "href"),
        format!("/rooms/{tea}")
    );
}

#[actix_web::test]
async fn rooms_come_in_pages_of_fifty_by_name() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for number in (1..=101).rev() {
        // Words with no digits that look alike: 1 and l are the same to the eye.
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
async fn a_page_that_is_not_there_is_the_nearest_one() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;

    for page in ["0", "2", "999999999999999999999", "-1", "x", ""] {
        let page = ada.get(&format!("/rooms?page={page}")).await;
        assert_eq!(page.texts(".rooms h2"), ["Tea"]);
    }
}
