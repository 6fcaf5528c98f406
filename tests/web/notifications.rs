//! What the servers of a site tell each other through PostgreSQL: nothing of what people do all the time, because each
//! notification takes one lock of the whole PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;

use crate::postgres::PostgresDatabase;
use crate::redis_server;
use crate::support::{TestApp, db_column, start_poll};

#[actix_web::test]
async fn nobody_is_notified_while_people_send_read_and_poll() {
    let database = Arc::new(PostgresDatabase::migrated().await);
    let redis = redis_server::shared();
    let app = TestApp::through(Arc::clone(&database), database.port(), &[&redis]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let last_uses = async || {
        let ask = "SELECT last_seen::text FROM sessions ORDER BY created_at, key_digest";
        db_column(&app, ask).await
    };
    let before = last_uses().await;
    let mut listener = PgListener::connect(&database.url()).await.unwrap();
    listener.listen("mirage_changes").await.unwrap();

    // Longer than the lag with which the last use of a session is written.
    app.clock.advance(Duration::from_secs(2 * 3600));
    for text in ["one", "two", "three"] {
        let waiting = start_poll(&app, &bob, room).await;
        ada.send(room, text).await.assert_status(303);
        assert_eq!(waiting.answer().await.added, [text]);
        for page in ["/rooms", "/rooms/mine", &format!("/rooms/{room}/members")] {
            bob.get(page).await.assert_status(200);
        }
    }
    // The last use of a session is written in the background.
    while !std::iter::zip(before.iter(), &last_uses().await).all(|(before, now)| before != now) {}

    database.execute("NOTIFY mirage_changes, 'the end'").await;
    let heard = listener.recv().await.unwrap();
    assert_eq!(heard.payload(), "the end");
    // A change is told.
    ada.create_public_room("Cake").await;
    let heard = listener.recv().await.unwrap();
    assert!(heard.payload().contains("room-created"), "{heard:?}");
}
