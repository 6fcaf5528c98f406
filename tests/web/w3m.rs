//! The whole story in the text browser w3m, which shows, sends and lands differently than Lynx.
//!
//! w3m runs in its own terminal and takes one key after the other, however early they were typed, so the test needs
//! no delays. w3m hands each page, and where its cursor is, to a shell command that writes both into a pipe.

use std::fs;
use std::time::Duration;

use crate::support::{Browser, PASSWORD, ROOM_PASSWORD, TestApp};
use crate::terminal::Terminal;
use crate::text_browser::DEAD_CONTROLS;

/// The editor for boxes replaces the text with that of the file "draft".
const SETTINGS: &str = "editor cp draft\nuse_cookie 1\naccept_cookie 1\nwrap_search 0\n";

/// Writes the address, the number of the line with the cursor, the link there, and the page.
const PRINT: &str =
    "(echo $W3M_URL; echo $W3M_CURRENT_LINE; echo $W3M_CURRENT_LINK; cat) > printed";

/// A running w3m, with the file `draft` in its home folder.
struct W3m(Terminal);

impl W3m {
    /// Opens `address`.
    fn open(address: &str) -> Self {
        let arguments = format!("-no-mouse http://{address}/");
        let files = [(".w3m/config", SETTINGS)];
        Self(Terminal::start("w3m", &arguments, 40, &files, &[]))
    }

    fn press(&mut self, keys: &str) {
        self.0.type_in(keys);
    }

    /// The page as w3m shows it.
    async fn read(&mut self) -> Screen {
        self.press(&format!("|{PRINT}\r"));
        let printed = self.0.printed().await;
        // Back from what the command has written to the terminal, which is nothing.
        self.press("B");
        Screen::parse(&printed)
    }

    /// Moves the cursor to the last place where the page has this text: buttons come after headings.
    async fn find(&mut self, text: &str) {
        let page = self.read().await;
        page.assert_has(text);
        let literally: String = text
            .chars()
            .flat_map(|letter| {
                let escape = (!letter.is_alphanumeric() && letter != ' ').then_some('\\');
                escape.into_iter().chain([letter])
            })
            .collect();
        self.press(&format!("G$?{literally}\r"));
    }

    /// Follows the link or presses the button with this text, and returns the next page.
    async fn follow(&mut self, text: &str) -> Screen {
        self.find(text).await;
        self.press("\r");
        self.read().await
    }

    /// Opens the room with this name from the list of rooms, where its name comes before "Leave" and its name.
    async fn open_room(&mut self, name: &str) -> Screen {
        self.press(&format!("g/{name}\r\r"));
        self.read().await
    }

    /// Fills in the field after this label.
    async fn fill(&mut self, label: &str, text: &str) {
        self.find(label).await;
        self.press(&format!("\t\r{text}\r"));
    }

    /// Replaces the text in the box after this label.
    async fn write(&mut self, label: &str, text: &str) {
        fs::write(self.0.path("draft"), text).unwrap();
        self.find(label).await;
        self.press("\t\r");
        self.read().await;
    }

    /// Chooses the radio button before this label.
    async fn choose(&mut self, label: &str) -> Screen {
        self.find(label).await;
        // Escape and Tab: the link or field before.
        self.press("\x1b\t\r");
        self.read().await
    }

    /// Goes to the next link or field, and returns its address if it is a link.
    async fn next_link(&mut self) -> String {
        self.press("\t");
        self.read().await.link
    }

    /// Quits w3m with its own keys.
    fn quit(mut self) {
        self.press("qy");
        self.0.wait();
    }
}

/// A page as w3m shows it.
struct Screen {
    url: String,
    /// The line with the cursor.
    here: String,
    /// The address of the link at the cursor, or nothing.
    link: String,
    /// The non-empty lines, trimmed, without the marks of list items.
    text: String,
}

impl Screen {
    /// Parses what PRINT has written.
    fn parse(printed: &str) -> Self {
        let mut lines = printed.lines();
        let mut next = || lines.next().unwrap().to_owned();
        let (url, line, link) = (next(), next(), next());
        let page: Vec<&str> = lines.map(without_mark).collect();
        let line: usize = line.parse().unwrap();
        let here = page.get(line - 1).copied().unwrap_or_default().to_owned();
        let filled = page.into_iter().filter(|line| !line.is_empty());
        let text: Vec<&str> = filled.collect();
        let screen = Self {
            url,
            here,
            link,
            text: format!("\n{}\n", text.join("\n")),
        };
        for control in DEAD_CONTROLS {
            screen.assert_lacks(control);
        }
        screen
    }

    /// Asserts that the page shows these consecutive lines.
    #[track_caller]
    fn assert_shows(&self, lines: &str) {
        self.assert_has(&format!("\n{lines}\n"));
    }

    #[track_caller]
    fn assert_has(&self, words: &str) {
        assert!(self.text.contains(words), "{words}: not in\n{}", self.text);
    }

    #[track_caller]
    fn assert_lacks(&self, words: &str) {
        assert!(!self.text.contains(words), "{words}: in\n{}", self.text);
    }

    /// The ID of the room that the page is about.
    #[track_caller]
    fn room(&self) -> i64 {
        let (_, after) = self.url.split_once("/rooms/").unwrap();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }
}

/// Returns a line without spaces around it, and without the number or the bullet of a list item.
fn without_mark(line: &str) -> &str {
    let line = line.trim();
    let (mark, item) = line.split_once(' ').unwrap_or_default();
    let is_number = mark.ends_with('.') && mark.trim_end_matches('.').parse::<u32>().is_ok();
    if is_number || mark == "•" {
        item
    } else {
        line
    }
}

#[tokio::test]
async fn the_whole_story_works_in_w3m() {
    let app = TestApp::spawn().await;
    let bob = app.sign_up("bob").await;
    let parrots = bob.create_public_room("Parrots").await;
    let den = bob.create_private_room("Den").await;
    let mut ann = W3m::open(&app.address);

    sign_up(&mut ann).await;
    create_private_room(&mut ann, &bob).await;
    let tea = create_public_room(&mut ann).await;
    // Members are listed in the order in which they joined, so bob must join later.
    app.clock.advance(Duration::from_secs(60));
    bob.join(tea).await;
    send_two_lines(&mut ann, &bob, tea).await;
    check_for_new_messages(&mut ann, &bob, tea).await;
    land_at_what_is_new(&mut ann, &bob, tea).await;
    see_members(&mut ann).await;
    join_public_room(&mut ann, &bob, parrots).await;
    join_private_room(&mut ann, &bob, den).await;
    leave_room(&mut ann, &bob, parrots).await;
    sign_out(&mut ann).await;
    ann.quit();
}

async fn sign_up(ann: &mut W3m) {
    ann.follow("Create an account").await;
    ann.fill("Name", "ann").await;
    ann.fill("Password", PASSWORD).await;
    let rooms = ann.follow("Create account").await;

    rooms.assert_shows("Signed in as ann");
    rooms.assert_has("\nPublic rooms\nFind a room by name");
}

/// Asserts that bob cannot find the room, but can join it with its name and password.
async fn create_private_room(ann: &mut W3m, bob: &Browser) {
    ann.follow("Create a room").await;
    ann.fill("Room name", "Attic").await;
    ann.choose("Private: anyone who knows the room’s name and password")
        .await
        .assert_shows("(*) Private: anyone who knows the room’s name and password");
    ann.fill("Room password (private rooms only)", ROOM_PASSWORD)
        .await;
    let attic = ann.follow("Create room").await;

    attic.assert_shows("Room created.\nThere are no messages here now.");
    assert!(!bob.get("/rooms").await.body.contains("Attic"));
    let joined = bob.join_privately("Attic", ROOM_PASSWORD).await;
    joined.assert_redirect(&format!("/rooms/{}?done=joined#now", attic.room()));
}

async fn create_public_room(ann: &mut W3m) -> i64 {
    ann.follow("Create a room").await;
    ann.fill("Room name", "Tea").await;
    ann.choose("Public: anyone who is signed in").await;
    let tea = ann.follow("Create room").await;

    // The cursor is where the conversation ends.
    assert_eq!(tea.here, "There are no messages here now.");
    tea.assert_shows("Room created.\nThere are no messages here now.");
    tea.assert_shows("Members (1), 1 here now\nann (you), owner (here now)");
    tea.room()
}

/// Asserts that ann and bob see two lines and a link, and that ann is back at the box.
async fn send_two_lines(ann: &mut W3m, bob: &Browser, tea: i64) {
    ann.write(
        "Message to Tea",
        "The kettle is on\nhttp://example.org/tea?leaf=2",
    )
    .await;
    let sent = ann.follow("Send message").await;

    assert!(sent.url.ends_with("#message"), "{}", sent.url);
    assert!(sent.here.ends_with("] Send message"), "{}", sent.here);
    sent.assert_shows("Sent. Up to 2,000 characters.");
    sent.assert_shows(
        "ann (you): The kettle is on\n\
         http://example.org/tea?leaf=2 13:06 UTC Delete",
    );
    let seen = bob.room(tea).await;
    assert_eq!(seen.texts("#log .author"), ["ann"]);
    let address = "http://example.org/tea?leaf=2";
    assert_eq!(seen.attribute("#log .text br + a", "href"), address);
}

/// Asserts that there is no new message at first, and then one, and that the text in the box is kept.
async fn check_for_new_messages(ann: &mut W3m, bob: &Browser, tea: i64) {
    ann.write("Message to Tea", "Half a thought").await;
    let nothing = ann.follow("Check for new messages").await;
    nothing.assert_shows("Check for new messages No new messages.");
    nothing.assert_has("\n[Half a thought");
    nothing.assert_lacks("bob:");

    bob.send(tea, "On my way").await.assert_status(303);
    let news = ann.follow("Check for new messages").await;
    news.assert_shows("New messages\nbob: On my way 13:06 UTC");
    news.assert_lacks("No new messages.");
    assert_eq!(news.here, "New messages");
}

/// Asserts that a link into a room leads to the first new message, and with nothing new to the end.
async fn land_at_what_is_new(ann: &mut W3m, bob: &Browser, tea: i64) {
    let mine = ann.follow("Back to Your rooms").await;
    assert!(mine.url.ends_with("/rooms/mine"), "{}", mine.url);
    for number in 1..=50 {
        let text = format!("See http://example.org/{number}");
        bob.send(tea, &text).await.assert_status(303);
    }

    ann.follow("Your rooms").await.assert_shows("Tea");
    let news = ann.open_room("Tea").await;
    assert_eq!(news.here, "New messages");
    assert_eq!(ann.next_link().await, "http://example.org/1");

    ann.follow("Back to Your rooms").await;
    let end = ann.open_room("Tea").await;
    end.assert_lacks("New messages");
    assert!(
        end.here.starts_with("Check for new messages"),
        "{}",
        end.here
    );
}

async fn see_members(ann: &mut W3m) {
    let members = ann.follow("All members of Tea").await;

    members.assert_shows("ann (you), owner\nbob Manage bob Ignore bob");
}

/// Joins with one press of a button in the list.
async fn join_public_room(ann: &mut W3m, bob: &Browser, parrots: i64) {
    let rooms = ann.follow("Public rooms").await;
    rooms.assert_lacks("Den");
    let joined = ann.follow("Join Parrots").await;

    joined.assert_shows("You have joined the room.\nThere are no messages here now.");
    assert_eq!(joined.here, "There are no messages here now.");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner", "ann"]);
}

/// Tries a wrong password first: the page reports it and keeps the name.
async fn join_private_room(ann: &mut W3m, bob: &Browser, den: i64) {
    ann.follow("Join a private room").await;
    ann.fill("Room name", "Den").await;
    ann.fill("Room password", "not that one").await;
    let refused = ann.follow("Join room").await;
    let problem = "Wrong password, or there is no private room with that name";
    refused.assert_shows(&format!("There is a problem\n{problem}"));
    refused.assert_has(&format!("Error: {problem}\n[Den "));

    ann.fill("Room password", ROOM_PASSWORD).await;
    let joined = ann.follow("Join room").await;

    joined.assert_shows("You have joined the room.\nThere are no messages here now.");
    joined.assert_shows("Private room. Messages here disappear 24 hours after they are sent.");
    assert_eq!(bob.members(den).await, ["bob (you), owner", "ann"]);
}

/// Leaves a room after a confirmation page.
async fn leave_room(ann: &mut W3m, bob: &Browser, parrots: i64) {
    let rooms = ann.follow("Back to Your rooms").await;
    for room in ["Attic", "Den", "Parrots", "Tea"] {
        rooms.assert_shows(room);
    }
    let question = ann.follow("Leave Parrots").await;
    question.assert_shows("Leave Parrots?\nYou can join again at any time.");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner", "ann"]);
    let left = ann.follow("Leave Parrots").await;

    left.assert_shows("You have left the room.\nYour rooms");
    left.assert_lacks("Parrots");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner"]);
}

async fn sign_out(ann: &mut W3m) {
    let signed_out = ann.follow("Sign out").await;

    signed_out.assert_shows("You are signed out.\nSign in");
    signed_out.assert_lacks("Signed in as");
}
