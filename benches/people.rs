//! Test data: people, rooms and messages.
//!
//! Rows are inserted into a fresh database with the server's own entities before the server starts, because
//! signing up thousands of people would take minutes of hashing; here all share one hash. A session is as
//! sign-in creates it: a random key in a signed cookie, and its digest in the database. Messages are sent
//! through the server.

use std::path::{Path, PathBuf};

use mirage::clock::{Clock, SystemClock};
use mirage::config::{DatabaseUrl, HashCost, Storage, Switch};
use mirage::database::connection;
use mirage::database::entities::{room, room_member, session, user};
use mirage::domain::{
    Announcements, PlainPassword, Posting, Requester, Role, RoomId, RoomName, Timestamp, UserId,
    Username,
};
use mirage::security::nonces::Nonces;
use mirage::security::passwords::Passwords;
use mirage::security::secret::{Secret, random_bytes};
use mirage::security::tokens::Token;
use mirage::web::cookie::CookieConfig;
use sea_orm::{DatabaseConnection, EntityTrait, Set};

use crate::http::{Connection, Request};

/// Everybody's password.
const PASSWORD: &str = "a kettle of fish";

/// The number of rows per statement.
const AT_ONCE: usize = 1_000;

const NAMES: [&str; 12] = [
    "ada", "Bob", "Chloé", "Dmitri", "Élodie", "farah", "Grace", "Hiroko", "ines", "José", "Kwame",
    "Léa",
];

const TOPICS: [&str; 8] = [
    "Tea and cake",
    "Garden",
    "Rust",
    "Chess club",
    "Ålesund",
    "Film night",
    "Help",
    "Bicycles",
];

const WORDS: [&str; 24] = [
    "the", "kettle", "is", "on", "and", "who", "comes", "to", "tea?", "I", "will,", "with", "cake",
    "from", "Zoë’s", "shop", "at", "five", "or", "so.", "Bring", "milk", "please", "🙂",
];

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account ID.
    pub id: i64,
    /// The account name.
    pub name: String,
    /// The session cookie.
    pub cookie: String,
}

/// A folder with a database and a secret, to start a server with.
pub struct Dataset {
    folder: PathBuf,
    database: DatabaseConnection,
    cookie: CookieConfig,
    nonces: Nonces,
    password_hash: String,
    now: Timestamp,
}

impl Dataset {
    /// Creates an empty SQLite database in `folder`.
    pub async fn new(folder: &Path) -> Self {
        let at = folder.display();
        let url = DatabaseUrl::Sqlite(format!("sqlite://{at}/mirage.db?mode=rwc"));
        Self::in_database(folder, url).await
    }

    /// Makes the tables of an empty database, with the other files in `folder`.
    pub async fn in_database(folder: &Path, database_url: DatabaseUrl) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let storage = Storage { database_url };
        let secret = Secret::load_or_create(&folder.join("mirage.key")).expect("a secret");
        let passwords = Passwords::new(Switch::On, HashCost::RECOMMENDED);
        let hash = passwords.hash(Requester::Person(UserId(0)), PlainPassword::typed(PASSWORD));
        Self {
            folder: folder.to_owned(),
            database: connection::open(&storage).await.expect("a database").writer,
            cookie: CookieConfig::new(&secret, false),
            nonces: Nonces::new(&secret),
            password_hash: hash.await.expect("a hash"),
            now: SystemClock::start().now(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds people with IDs from `first` on, each signed in with one browser.
    pub async fn add_people(&self, first: i64, count: usize) -> Vec<Person> {
        let mut people = Vec::new();
        let (mut users, mut sessions) = (Vec::new(), Vec::new());
        for (id, name) in (first..).zip(NAMES.iter().cycle()).take(count) {
            let name = Username::parse(&format!("{name}{id}")).expect("a name");
            let keys = name.keys();
            users.push(user::ActiveModel {
                id: Set(UserId(id)),
                name: Set(name.as_str().to_owned()),
                folded_name: Set(keys.folded),
                folded_skeleton: Set(keys.folded_skeleton),
                typed_skeleton: Set(keys.typed_skeleton),
                password_hash: Set(self.password_hash.clone()),
                announcements: Set(Announcements::Each),
                created_at: Set(self.now),
                is_operator: Set(false),
                suspended_at: Set(None),
                suspension_reason: Set(None),
                reset_at: Set(None),
            });
            // As long as the server's own tokens.
            let random = u128::from_be_bytes(random_bytes());
            let token = Token::received(format!("{random:043x}"));
            sessions.push(session::ActiveModel {
                key_digest: Set(token.digest().to_hex()),
                user_id: Set(UserId(id)),
                created_at: Set(self.now),
                last_seen: Set(self.now),
                user_agent: Set("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0".to_owned()),
            });
            people.push(Person {
                id,
                name: name.as_str().to_owned(),
                cookie: self.cookie.header(&token),
            });
        }
        insert::<user::Entity, _>(&self.database, users).await;
        insert::<session::Entity, _>(&self.database, sessions).await;
        people
    }

    /// Adds public rooms with IDs from `first` on. All `members` are in each room; the first one owns it.
    pub async fn add_rooms(&self, first: i64, count: usize, members: &[Person]) {
        let (mut rooms, mut memberships) = (Vec::new(), Vec::new());
        for (id, topic) in (first..).zip(TOPICS.iter().cycle()).take(count) {
            let name = RoomName::parse(&format!("{topic} {id}")).expect("a name");
            let keys = name.keys();
            rooms.push(room::ActiveModel {
                id: Set(RoomId(id)),
                name: Set(name.as_str().to_owned()),
                folded_name: Set(keys.folded),
                folded_skeleton: Set(keys.folded_skeleton),
                typed_skeleton: Set(keys.typed_skeleton),
                is_private: Set(false),
                password_hash: Set(None),
                owner_id: Set(UserId(members[0].id)),
                message_lifespan: Set(None),
                description: Set(text(rooms.len())),
                slow_mode: Set(0),
                language: Set("en".to_owned()),
                posting: Set(Posting::Everyone),
                version: Set(0),
                created_at: Set(self.now),
            });
            memberships.extend(members.iter().map(|person| room_member::ActiveModel {
                room_id: Set(RoomId(id)),
                user_id: Set(UserId(person.id)),
                joined_at: Set(self.now),
                role: Set(Role::Member),
            }));
        }
        insert::<room::Entity, _>(&self.database, rooms).await;
        insert::<room_member::Entity, _>(&self.database, memberships).await;
    }

    /// Closes the database, before the server opens it.
    pub async fn close(&self) {
        let database = self.database.clone();
        database.close().await.expect("a database that closes");
    }

    /// A valid nonce for a form of `person` in `room`.
    pub fn nonce(&self, person: &Person, room: i64) -> String {
        self.nonces.make(UserId(person.id), RoomId(room))
    }

    /// Sends messages to `room`, from each person in turn.
    pub async fn send_messages(
        &self,
        to: &mut Connection,
        room: i64,
        people: &[Person],
        count: usize,
    ) {
        for (number, person) in people.iter().cycle().take(count).enumerate() {
            let send = Request::send(room, &text(number), &self.nonce(person, room));
            let answer = to.ask(&send, &person.cookie).await.expect("an answer");
            assert_eq!(answer.status, 204, "{answer:?}");
        }
    }
}

/// The text of message `number`: one or a few sentences, every tenth with a link.
pub fn text(number: usize) -> String {
    let length = 3 + number * 7 % 29;
    let words: Vec<&str> = WORDS
        .iter()
        .cycle()
        .skip(number * 5 % 24)
        .take(length)
        .copied()
        .collect();
    let link = if number.is_multiple_of(10) {
        " https://example.org/cake?for=tea"
    } else {
        ""
    };
    format!("{}{link}", words.join(" "))
}

async fn insert<E, A>(database: &DatabaseConnection, rows: Vec<A>)
where
    E: EntityTrait,
    A: sea_orm::ActiveModelTrait<Entity = E>,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let some: Vec<A> = rows.by_ref().take(AT_ONCE).collect();
        let inserted = E::insert_many(some).exec_without_returning(database);
        inserted.await.expect("rows that the schema allows");
    }
}
