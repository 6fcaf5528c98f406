//! Lists are sorted by folded names, byte by byte, whatever the database and its locale are.

use crate::support::TestApp;

#[actix_web::test]
async fn lists_are_sorted_by_the_same_key_whatever_the_database_is() {
    // Neither the order of bytes as typed, nor that of a dictionary.
    const ROOMS: [&str; 6] = ["7 cups", "ab", "a~b", "Zoo", "Éclair", "шум"];
    const PEOPLE: [&str; 6] = ["a_b", "ab", "olga", "Zoo", "Éclair", "шум"];
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    for name in PEOPLE.into_iter().rev().filter(|name| *name != "olga") {
        app.sign_up(name).await;
    }
    for name in ROOMS.into_iter().rev() {
        olga.create_public_room(name).await;
    }
    let shown = async |path, headings| olga.get(path).await.texts(headings);

    for path in ["/rooms", "/rooms/mine"] {
        assert_eq!(shown(path, ".rooms h2").await, ROOMS, "{path}");
    }
    assert_eq!(shown("/site/rooms", "main h2").await, ROOMS);
    assert_eq!(shown("/site/people", "main h2").await, PEOPLE);
}
