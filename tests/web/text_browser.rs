//! The whole story in the text browser Lynx: reading pages, filling in forms and pressing buttons.
//!
//! Lynx runs in its own terminal and reads its keys from a pipe, one command after the other, so the test
//! needs no delays. Lynx prints each page into another pipe for the test to read.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use crate::support::{Browser, PASSWORD, ROOM_PASSWORD, TestApp};
use crate::terminal::Terminal;

/// Numbers all links and fields; a field must be activated with Enter before typing.
const SETTINGS: &str = "\
ACCEPT_ALL_COOKIES:TRUE
DEFAULT_KEYPAD_MODE:LINKS_AND_FIELDS_ARE_NUMBERED
NO_PAUSE:TRUE
TEXTFIELDS_NEED_ACTIVATION:TRUE
PRINTER:To the test:cat %s > printed:FALSE
";

/// Controls that need scripts, and so must not be shown without them.
pub const DEAD_CONTROLS: [&str; 4] = ["Pause updates", "Enter sends", "Notify me", "Show password"];

/// A running Lynx.
struct Lynx {
    terminal: Terminal,
    /// The pipe from which Lynx reads its keys. Nothing is typed into the terminal itself.
    keys: File,
}

impl Lynx {
    /// Opens `address`.
    fn open(address: &str) -> Self {
        let arguments = format!(
            "-cfg=lynx.cfg -cmd_script=keys -nocolor -display_charset=utf-8 http://{address}/"
        );
        let files = [("lynx.cfg", SETTINGS)];
        let terminal = Terminal::start("lynx", &arguments, 100, &files, &["keys"]);
        // Opened for reading, too: opening a pipe only for writing blocks until there is a reader.
        let keys = OpenOptions::new()
            .read(true)
            .write(true)
            .open(terminal.path("keys"));
        Self {
            terminal,
            keys: keys.unwrap(),
        }
    }

    /// Presses keys, given by Lynx's names.
    fn press(&mut self, keys: &[&str]) {
        let lines: String = keys.iter().map(|key| format!("key {key}\n")).collect();
        self.keys.write_all(lines.as_bytes()).unwrap();
    }

    /// Types into the active field.
    fn type_in(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                ' ' => self.press(&["<space>"]),
                '\n' => self.press(&["^J"]),
                letter => self.press(&[&letter.to_string()]),
            }
        }
    }

    /// Goes to the link or field with this number, which follows a link.
    fn go_to(&mut self, number: &str) {
        self.type_in(number);
        self.press(&["^J"]);
    }

    /// The page as Lynx shows it.
    async fn read(&mut self) -> Screen {
        // The last entry of the print menu is the printer in SETTINGS.
        self.press(&["p", "End", "^J"]);
        let screen = Screen::parse(&self.terminal.printed().await);
        screen.assert_usable();
        screen
    }

    /// Fills in the field below this label.
    async fn fill(&mut self, label: &str, text: &str) {
        let number = self.read().await.field(label);
        self.go_to(&number);
        self.press(&["^J"]);
        self.type_in(text);
        self.press(&["<tab>"]);
    }

    /// Chooses the radio button before this label.
    async fn choose(&mut self, label: &str) -> Screen {
        let number = self.read().await.choice(label);
        self.go_to(&number);
        self.press(&["^J"]);
        self.read().await
    }

    /// Presses the button with this name and returns the next page.
    async fn submit(&mut self, button: &str) -> Screen {
        let number = self.read().await.number_of(&format!("BUTTON) {button}"));
        self.go_to(&number);
        self.press(&["^J"]);
        self.read().await
    }

    /// Follows the link with this text and returns the next page.
    async fn follow(&mut self, link: &str) -> Screen {
        let number = self.read().await.number_of(link);
        self.go_to(&number);
        self.read().await
    }

    /// Quits Lynx with its own keys.
    fn quit(mut self) {
        self.press(&["q", "y"]);
        self.terminal.wait();
    }
}

/// A page as Lynx shows it.
struct Screen {
    /// The non-empty lines, trimmed, with the numbers of links and fields.
    lines: Vec<String>,
    /// The target of each number: the URL of a link, or the kind of a field.
    targets: HashMap<String, String>,
}

impl Screen {
    /// Parses a printed page: its lines and, below them, the list of numbers.
    fn parse(printed: &str) -> Self {
        let (page, list) = printed.rsplit_once("\nReferences\n").unwrap();
        let lines = |text: &str| -> Vec<String> {
            let trimmed = text.lines().map(|line| line.trim().to_owned());
            trimmed.filter(|line| !line.is_empty()).collect()
        };
        let target = |line: String| {
            let (number, target) = line.split_once(". ")?;
            Some((number.to_owned(), target.to_owned()))
        };
        Self {
            lines: lines(page),
            targets: lines(list).into_iter().filter_map(target).collect(),
        }
    }

    /// The text of the page, without the numbers and without list markers.
    fn text(&self) -> String {
        let mut text = String::from("\n");
        for line in &self.lines {
            let (mark, item) = line.split_once(' ').unwrap_or_default();
            let is_number = mark.trim_end_matches('.').parse::<u32>().is_ok();
            let is_item = mark == "*" || (mark.ends_with('.') && is_number);
            text.push_str(if is_item { item } else { line });
            text.push('\n');
        }
        for number in self.targets.keys() {
            text = text.replace(&format!("[{number}]"), "");
        }
        text
    }

    /// Asserts that the page shows these consecutive lines.
    #[track_caller]
    fn assert_shows(&self, lines: &str) -> &Self {
        let text = self.text();
        assert!(
            text.contains(&format!("\n{lines}\n")),
            "{lines}: not in\n{text}"
        );
        self
    }

    /// Asserts that the page does not contain these words.
    #[track_caller]
    fn assert_lacks(&self, words: &str) -> &Self {
        let text = self.text();
        assert!(!text.contains(words), "{words}: in\n{text}");
        self
    }

    /// Asserts that no control needs scripts and that no two buttons have the same name.
    #[track_caller]
    fn assert_usable(&self) {
        for control in DEAD_CONTROLS {
            self.assert_lacks(control);
        }
        let text = self.text();
        let lines = text.lines();
        let mut buttons: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("(BUTTON) "))
            .collect();
        buttons.sort_unstable();
        assert!(
            buttons.windows(2).all(|pair| pair[0] != pair[1]),
            "two buttons of one name: {buttons:?}"
        );
    }

    /// The number before a text. If the text occurs twice, both must have the same target.
    #[track_caller]
    fn number_of(&self, shown: &str) -> String {
        let page = self.lines.join("\n");
        let numbers: Vec<&str> = page
            .match_indices(&format!("]{shown}"))
            .filter_map(|(at, _)| page[..at].rsplit('[').next())
            .collect();
        assert!(!numbers.is_empty(), "{shown}: not in\n{page}");
        let targets = numbers.iter().map(|number| &self.targets[*number]);
        assert!(
            targets
                .clone()
                .all(|target| target == &self.targets[numbers[0]]),
            "{shown}: leads to {:?}",
            targets.collect::<Vec<_>>()
        );
        numbers[0].to_owned()
    }

    /// The target of the link or field with this text.
    #[track_caller]
    fn target_of(&self, shown: &str) -> &str {
        &self.targets[&self.number_of(shown)]
    }

    /// The ID of the room with this name, from its page.
    #[track_caller]
    fn room(&self, name: &str) -> i64 {
        let members = self.target_of(&format!("All members of {name}"));
        members.split('/').rev().nth(1).unwrap().parse().unwrap()
    }

    /// The number of the radio button before this label.
    #[track_caller]
    fn choice(&self, label: &str) -> String {
        let mut numbers = self.lines.iter().filter_map(|line| {
            let (number, choice) = line.strip_prefix('[')?.split_once(']')?;
            let choice = choice
                .strip_prefix("( ) ")
                .or(choice.strip_prefix("(*) "))?;
            (choice == label).then(|| number.to_owned())
        });
        let number = numbers.next();
        number.unwrap_or_else(|| panic!("{label}: not in\n{}", self.lines.join("\n")))
    }

    /// The number of the first text field after this label.
    #[track_caller]
    fn field(&self, label: &str) -> String {
        let page = self.lines.join("\n");
        let label_at = self.lines.iter().position(|line| {
            let after = line.strip_prefix(label);
            after.is_some_and(|after| after.is_empty() || after.starts_with(" ["))
        });
        let Some(at) = label_at else {
            panic!("{label}: not in\n{page}");
        };
        let after = self.lines[at..].join("\n");
        let mut numbers = after.split('[').skip(1).filter_map(|rest| {
            let (number, _) = rest.split_once(']')?;
            let is_field = self.targets.get(number)?.contains(" entry ");
            is_field.then(|| number.to_owned())
        });
        let number = numbers.next();
        number.unwrap_or_else(|| panic!("{label}: labels no field in\n{page}"))
    }
}

/// A message of two lines, with a URL in the second.
const TWO_LINES: &str = "The kettle is on\nhttp://example.org/tea?leaf=2";

#[tokio::test]
async fn the_whole_story_works_in_a_text_browser() {
    let app = TestApp::spawn().await;
    let bob = app.sign_up("bob").await;
    let parrots = bob.create_public_room("Parrots").await;
    let den = bob.create_private_room("Den").await;
    let mut ann = Lynx::open(&app.address);

    sign_up(&mut ann).await;
    create_private_room(&mut ann, &bob).await;
    let tea = create_public_room(&mut ann).await;
    // Members are listed in the order in which they joined, so bob must join later.
    app.clock.advance(Duration::from_secs(60));
    bob.join(tea).await;
    send_two_lines(&mut ann, &bob, tea).await;
    check_for_new_messages(&mut ann, &bob, tea).await;
    see_members(&mut ann).await;
    join_public_room(&mut ann, &bob, parrots).await;
    join_private_room(&mut ann, &bob, den).await;
    leave_room(&mut ann, &bob, parrots).await;
    sign_out(&mut ann).await;
    ann.quit();
}

async fn sign_up(ann: &mut Lynx) {
    ann.follow("Create an account").await;
    ann.fill("Name", "ann").await;
    ann.fill("Password", PASSWORD).await;
    let rooms = ann.submit("Create account").await;

    rooms.assert_shows("Signed in as ann");
    rooms.assert_shows("Public rooms\nFind a room by name ____________________");
}

/// Asserts that bob cannot find the room, but can join it with its name and password.
async fn create_private_room(ann: &mut Lynx, bob: &Browser) {
    ann.follow("Create a room").await;
    ann.fill("Room name", "Attic").await;
    ann.choose("Private: anyone who knows the room’s name and password")
        .await
        .assert_shows("(*) Private: anyone who knows the room’s name and password");
    ann.fill("Room password (private rooms only)", ROOM_PASSWORD)
        .await;
    let attic = ann.submit("Create room").await;

    attic.assert_shows("Back to Your rooms\nMenu");
    attic.assert_shows("Attic\nYou are the only member. Make an invite link, and send it to the people you want to talk with. Anyone who has\nthe link can join, for 7 days.");
    attic.assert_shows("Room created.\nThere are no messages here now.");
    assert!(!bob.get("/rooms").await.body.contains("Attic"));
    let joined = bob.join_privately("Attic", ROOM_PASSWORD).await;
    joined.assert_redirect(&format!("/rooms/{}?done=joined#now", attic.room("Attic")));
}

async fn create_public_room(ann: &mut Lynx) -> i64 {
    ann.follow("Create a room").await;
    ann.fill("Room name", "Tea").await;
    ann.choose("Public: anyone who is signed in").await;
    let tea = ann.submit("Create room").await;

    tea.assert_shows("Room created.\nThere are no messages here now.");
    tea.assert_shows("Members (1), 1 here now\nann (you), owner (here now)");
    tea.room("Tea")
}

/// Asserts that ann and bob see two lines and a link.
async fn send_two_lines(ann: &mut Lynx, bob: &Browser, tea: i64) {
    ann.fill("Message to Tea", TWO_LINES).await;
    let sent = ann.submit("Send message").await;

    sent.assert_shows("Sent. Up to 2,000 characters.");
    sent.assert_shows(
        "ann (you): The kettle is on\n\
         http://example.org/tea?leaf=2 13:06 UTC Delete",
    );
    let address = "http://example.org/tea?leaf=2";
    assert_eq!(sent.target_of(address), address);
    let seen = bob.room(tea).await;
    assert_eq!(seen.texts("#log .author"), ["ann"]);
    assert_eq!(seen.text("#log .text"), TWO_LINES.replace('\n', ""));
    assert_eq!(seen.attribute("#log .text br + a", "href"), address);
}

/// Asserts that there is no new message at first, and then one.
async fn check_for_new_messages(ann: &mut Lynx, bob: &Browser, tea: i64) {
    ann.fill("Message to Tea", "Half a thought").await;
    let nothing = ann.submit("Check for new messages").await;
    nothing.assert_shows("(BUTTON) Check for new messages No new messages.");
    // Lynx fills the line of a box with underscores.
    assert!(nothing.text().contains("\nHalf a thought___"));
    nothing.assert_lacks("bob:");

    bob.send(tea, "On my way").await.assert_status(303);
    let news = ann.submit("Check for new messages").await;
    news.assert_shows("New messages\nbob: On my way 13:06 UTC");
    news.assert_lacks("No new messages.");
}

async fn see_members(ann: &mut Lynx) {
    let members = ann.follow("All members of Tea").await;

    members.assert_shows("ann (you), owner\nbob Manage bob Ignore bob");
}

/// Joins with one press of a button in the list.
async fn join_public_room(ann: &mut Lynx, bob: &Browser, parrots: i64) {
    let rooms = ann.follow("Public rooms").await;
    rooms.assert_shows(
        "2 members, 2 here now. Messages disappear after 24 hours. You are in this room.\nOpen Tea",
    );
    rooms.assert_lacks("Den");
    let joined = ann.submit("Join Parrots").await;

    joined.assert_shows("You have joined the room.\nThere are no messages here now.");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner", "ann"]);
}

/// Tries a wrong password first: the page reports it and keeps the name.
async fn join_private_room(ann: &mut Lynx, bob: &Browser, den: i64) {
    ann.follow("Join a private room").await;
    ann.fill("Room name", "Den").await;
    ann.fill("Room password", "not that one").await;
    let refused = ann.submit("Join room").await;
    let problem = "Wrong password, or there is no private room with that name";
    refused.assert_shows(&format!("There is a problem\n{problem}"));
    refused.assert_shows(&format!("Error: {problem}\nDen_________________"));

    ann.fill("Room password", ROOM_PASSWORD).await;
    let joined = ann.submit("Join room").await;

    joined.assert_shows("You have joined the room.\nThere are no messages here now.");
    joined.assert_shows(
        "About this room\nPrivate room. Messages here disappear 24 hours after they are sent.",
    );
    assert_eq!(bob.members(den).await, ["bob (you), owner", "ann"]);
}

/// Leaves a room after a confirmation page.
async fn leave_room(ann: &mut Lynx, bob: &Browser, parrots: i64) {
    let rooms = ann.follow("Your rooms").await;
    for room in ["Attic", "Den", "Parrots", "Tea"] {
        rooms.assert_shows(room);
    }
    let question = ann.follow("Leave Parrots").await;
    question.assert_shows("Leave Parrots?\nYou can join again at any time.");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner", "ann"]);
    let left = ann.submit("Leave Parrots").await;

    left.assert_shows("You have left the room.\nYour rooms");
    left.assert_lacks("Parrots");
    assert_eq!(bob.members(parrots).await, ["bob (you), owner"]);
}

async fn sign_out(ann: &mut Lynx) {
    let signed_out = ann.submit("Sign out").await;

    signed_out.assert_shows("You are signed out.\nSign in");
    signed_out.assert_lacks("Signed in as");
}

/// Lynx shows the page from the place that a link leads to, and chooses the first link there.
#[tokio::test]
async fn in_a_text_browser_a_link_into_a_room_leads_to_the_first_new_message_or_to_the_end() {
    let app = TestApp::spawn().await;
    let (ann, bob) = (app.sign_up("ann").await, app.sign_up("bob").await);
    let tea = bob.create_public_room("Tea").await;
    ann.join(tea).await;
    let old = format!("http://{}/rooms", app.address);
    let new = format!("http://{}/accessibility", app.address);
    for _ in 0..60 {
        bob.send(tea, &old).await.assert_status(303);
    }
    ann.room(tea).await.assert_status(200);
    for _ in 0..40 {
        bob.send(tea, &new).await.assert_status(303);
    }
    let mut lynx = Lynx::open(&app.address);
    lynx.follow("Sign in").await;
    lynx.fill("Name", "ann").await;
    lynx.fill("Password", PASSWORD).await;
    lynx.submit("Sign in").await;
    lynx.follow("Your rooms").await;
    let room = lynx.follow("Tea").await;
    room.assert_shows(&format!("New messages\nbob: {new} 13:05 UTC"));

    lynx.press(&["^J"]);
    lynx.read().await.assert_shows("Accessibility statement");

    lynx.follow("Your rooms").await;
    let room = lynx.follow("Tea").await;
    room.assert_lacks("New messages");
    // The first form control there is "Check for new messages".
    lynx.press(&["^J"]);
    let checked = lynx.read().await;
    checked.assert_shows("(BUTTON) Check for new messages No new messages.");
    lynx.quit();
}

#[tokio::test]
async fn in_a_text_browser_a_room_with_messages_does_not_claim_to_be_empty() {
    let app = TestApp::spawn().await;
    let bob = app.sign_up("bob").await;
    let tea = bob.create_public_room("Tea").await;
    bob.send(tea, "On my way").await.assert_status(303);
    let mut lynx = Lynx::open(&app.address);
    lynx.follow("Sign in").await;
    lynx.fill("Name", "bob").await;
    lynx.fill("Password", PASSWORD).await;
    lynx.submit("Sign in").await;
    lynx.follow("Your rooms").await;

    let room = lynx.follow("Tea").await;

    room.assert_shows("bob (you): On my way 13:05 UTC Delete");
    room.assert_lacks("There are no messages here now.");
}
