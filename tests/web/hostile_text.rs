//! Injection attempts in every field that is ever shown.
//!
//! A page with hostile text must have the same elements and attributes as the same page with harmless text,
//! and show the text as it was typed. `MIRAGE_LONG=1` tries every text everywhere.

use std::collections::{HashMap, HashSet};

use mirage::domain::{Description, MessageText, RoomId, RoomName};
use mirage::web::next::NextPages;
use mirage::web::routes;
use reqwest::header::{HOST, HeaderValue, USER_AGENT};
use scraper::{ElementRef, Node, Selector};

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, START, TestApp, is_long};

const HARMLESS: &str = "harmless";

const MARKUP: &[&str] = &[
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//example.org/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    "<IMG \"\"\"><SCRIPT>alert(1)</SCRIPT>\"\\>",
    "<svg onload=alert(1)>",
    "<svg><script>alert&#40;1)</script>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><foreignObject><body onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<object data=javascript:alert(1)>",
    "<embed src=//example.org>",
    "<base href=//example.org/>",
    "<meta http-equiv=refresh content=0;url=//example.org>",
    "<link rel=stylesheet href=//example.org/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import '//example.org/x.css';</style>",
    "<form action=//example.org><input name=password>",
    "<form><button formaction=javascript:alert(1)>x",
    "<input autofocus onfocus=alert(1)>",
    "<textarea>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</option></select><script>alert(1)</script>",
    "</li></ol><li id=m1 data-deadline=0>",
    "<li id=m1 data-gone>",
    "</bdi></h1></main></body></html>",
    "</span><span class=text>",
    "<!-- -->",
    "<!--",
    "-->",
    "--!><b>",
    "<![CDATA[x]]>",
    "]]><b>",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE html>",
    "<plaintext>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=\"jav&#x09;ascript:alert(1)\">x</a>",
    "<",
    ">",
    "<<>>",
    "< b>",
    "</",
    "</>",
    "<a",
    "<b onclick",
];

const ATTRIBUTES: &[&str] = &[
    "\"",
    "'",
    "`",
    "\">",
    "'>",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "\" onfocus=alert(1) autofocus x=\"",
    "' onfocus=alert(1) autofocus x='",
    "` onfocus=alert(1) x=`",
    "\" style=\"position:fixed;inset:0",
    "\" accesskey=x onclick=alert(1) \"",
    "\"/><svg/onload=alert(1)>",
    "\\\"><b>",
    "x\" hidden",
    "x onmouseover=alert(1)",
    "=\"",
    "/>",
    "\" id=\"message\" x=\"",
    "\" data-poll=\"//example.org\" x=\"",
];

const ENTITIES: &[&str] = &[
    "&",
    "&&",
    "&amp;",
    "&amp;amp;",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&lt",
    "&#60;b&#62;",
    "&#x3c;b&#x3e;",
    "&#x3C",
    "&#0;",
    "&#1114112;",
    "&quot; x=&quot;",
    "&nbsp;|",
    "&NotEqualTilde;",
    "&notit;",
    "&copy=1",
    "%3Cscript%3E",
    "%00",
    "%0d%0aSet-Cookie:%20a=b",
    "\\u003cb\\u003e",
    "\\x3cb\\x3e",
    "+ADw-script+AD4-",
];

const ADDRESSES: &[&str] = &[
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "vbscript:x",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "//example.org",
    "///example.org",
    "\\\\example.org",
    "/\\example.org",
    "https:example.org",
    "https://example.org/\"><b>",
    "https://example.org/' onclick='alert(1)",
    "http://example.org/<script>alert(1)</script>",
    "https://example.org/?a=1&b=2&lt;=3",
    "https://user:pass@example.org/",
    "https://example.org/\u{202e}gpj.exe",
    "http://[::1]/",
    "https://exämple.org/ä?ö#ü",
    "HTTPS://EXAMPLE.ORG",
    "httpS://example.org/`",
    "file:///etc/passwd",
    "mailto:ada@example.org?body=<b>",
    "x https://example.org/, (https://example.org/a_(b)) y",
    "/rooms/mine?x=<b>",
    "/logout",
    "../../etc/passwd",
];

const TEMPLATES: &[&str] = &[
    "{{ 7 * 7 }}",
    "{{ room.name }}",
    "{{ text|safe }}",
    "{% include \"layout.html\" %}",
    "{% endblock %}",
    "{# comment #}",
    "{%- raw -%}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{{x}}}",
    "[[7*7]]",
    "@(7*7)",
    "$(id)",
    "`id`",
    "; DROP TABLE users; --",
    "' OR '1'='1",
    "%s%n%d",
    "{}{0}{name}",
    "\\",
    "\\\\",
    "\\n",
    "\\0",
    "%",
    "_",
    "%_\\%",
    "__proto__",
    "null",
    "-0",
    "1e309",
];

const UNICODE: &[&str] = &[
    "e\u{301}",
    "\u{301}",
    "Z\u{351}\u{36b}\u{343}\u{36a}\u{302}\u{36b}a\u{33c}\u{32d}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f1e9}\u{1f1ea}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{fdfd}",
    "\u{1d5ba}\u{1d5bd}\u{1d5ba}",
    "ａｄａ＜ｂ＞",
    "＜script＞alert(1)＜/script＞",
    "\u{2039}script\u{203a}",
    "\u{ff02} onclick=x",
    "ʺ onclick=x",
    "аdа",
    "ߕߐ߬ߓߌߟߊ",
    "مرحبا",
    "שלום <b>",
    "عربي abc <i> عربي",
    "ſcript",
    "K\u{212a}",
    "ß",
    "İ",
    "\u{1f600}",
    "\u{10ffff}",
    "\u{e000}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{fdd0}",
    "\u{fffd}",
    "\u{2800}",
    "\u{3164}",
    "\u{a0}x\u{a0}",
    "a\u{2028}b",
    "a\u{2029}b",
    "a\u{85}b",
    "a\u{3000}b",
];

/// Characters that change the direction of text, or are invisible.
const INVISIBLE: &[char] = &[
    '\u{61c}',
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{200e}',
    '\u{200f}',
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{feff}',
    '\u{ad}',
    '\u{34f}',
    '\u{180e}',
    '\u{fff9}',
    '\u{fffa}',
    '\u{fffb}',
    '\u{e0001}',
];

/// All hostile texts, each of them different.
fn payloads() -> Vec<String> {
    let written = [MARKUP, ATTRIBUTES, ENTITIES, ADDRESSES, TEMPLATES, UNICODE].concat();
    let written = written.into_iter().map(str::to_owned);
    let unseen = INVISIBLE.iter().map(|c| format!("a{c}<b>{c}"));
    let control = (0..0x20_u8).chain(0x7f..=0x9f).map(char::from);
    let control = control.map(|c| format!("a{c}b<i>{c}c"));
    let payloads: Vec<_> = written.chain(unseen).chain(control).collect();
    assert!(payloads.len() >= 200);
    payloads
}

/// The step by which texts are sampled in fields that need not try all of them.
fn sample_step() -> usize {
    if is_long() { 1 } else { 10 }
}

/// A text as an HTML parser returns it from an attribute or a text area: with `\n` line ends, and U+FFFD
/// for NUL.
fn as_parsed(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "\u{fffd}")
}

/// The structure of a page: each element with its depth and the names of its attributes.
///
/// Leaves out the links that message text is rendered with, after checking each of them.
fn structure_of(page: &Page) -> Vec<String> {
    let html = page.html();
    let mut build = vec![page.status.to_string()];
    for node in html.tree.root().descendants() {
        let Some(element) = ElementRef::wrap(node) else {
            assert!(
                !matches!(
                    node.value(),
                    Node::Comment(_) | Node::ProcessingInstruction(_)
                ),
                "{:?} in\n{}",
                node.value(),
                page.body
            );
            continue;
        };
        let depth = node.ancestors().count();
        let is_in_text = node
            .parent()
            .and_then(ElementRef::wrap)
            .is_some_and(|parent| parent.attr("class") == Some("text"));
        let name = element.value().name();
        if is_in_text && name == "a" {
            assert_is_link(element);
            continue;
        }
        if name == "br" {
            continue;
        }
        let mut attributes: Vec<_> = element.value().attrs().collect();
        attributes.sort_unstable();
        for (attribute, value) in &attributes {
            if matches!(*attribute, "href" | "src" | "action" | "formaction") {
                let is_inside = value.starts_with('#')
                    || (value.starts_with('/') && !value.starts_with("//"))
                    || value.starts_with("http://127.0.0.1:");
                assert!(is_inside, "{attribute}={value}");
            }
        }
        let names: Vec<_> = attributes.iter().map(|(name, _)| *name).collect();
        build.push(format!("{depth} {name} {}", names.join(" ")));
    }
    build
}

#[track_caller]
fn assert_is_link(link: ElementRef<'_>) {
    let address: String = link.text().collect();
    let scheme = address.to_ascii_lowercase();
    assert!(scheme.starts_with("http://") || scheme.starts_with("https://"));
    let mut attributes: Vec<_> = link.value().attrs().collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        [
            ("href", address.as_str()),
            ("rel", "nofollow ugc noopener noreferrer")
        ]
    );
}

#[track_caller]
fn assert_same_structure(page: &Page, harmless: &Page, of: &str) {
    let (build, expected) = (structure_of(page), structure_of(harmless));
    if build != expected {
        let at = build.iter().zip(&expected).position(|(a, b)| a != b);
        panic!(
            "{of:?}: built otherwise, at {at:?}: {:?} instead of {:?}\n{}",
            at.map(|at| &build[at]),
            at.map(|at| &expected[at]),
            page.body
        );
    }
}

/// The exact texts of the matching elements, with `<br>` as a line break.
fn exact_texts(page: &Page, selector: &str) -> Vec<String> {
    let html = page.html();
    let selector = Selector::parse(selector).unwrap();
    let exact = |element: ElementRef<'_>| -> String {
        let parts = element.descendants().map(|node| match node.value() {
            Node::Text(text) => text.to_string(),
            Node::Element(element) if element.name() == "br" => "\n".to_owned(),
            _ => String::new(),
        });
        parts.collect()
    };
    html.select(&selector).map(exact).collect()
}

/// Refused forms with harmless text, by the errors on the page.
struct Returned(HashMap<Vec<String>, Page>);

impl Returned {
    fn problems(page: &Page) -> Vec<String> {
        page.attributes(".problems a", "href")
    }

    async fn of(answer: impl AsyncFn(&str) -> Page, typed: &[&str]) -> Self {
        let mut pages = HashMap::new();
        for text in typed {
            let page = answer(text).await.assert_status(422).clone();
            pages.insert(Self::problems(&page), page);
        }
        Self(pages)
    }

    #[track_caller]
    fn assert_same_structure(&self, page: &Page, of: &str) {
        let problems = Self::problems(page);
        let harmless = self.0.get(&problems);
        let harmless = harmless.unwrap_or_else(|| panic!("{of:?}: {problems:?}\n{}", page.body));
        assert_same_structure(page, harmless, of);
    }
}

/// The other fields of a form, beside the one under test.
type OtherFields<'a> = &'a [(&'a str, &'a str)];

#[actix_web::test]
async fn forms_return_hostile_text_without_injecting_markup() {
    let app = TestApp::spawn().await;
    let (anonymous, ada) = (app.anonymous(), app.sign_up("ada").await);
    let bob = app.sign_up("bob").await;
    let room = ada.create_public_room("Tea").await;
    let quiet = ada.create_public_room("Quiet").await;
    bob.join(room).await;
    let person = ada.member_id(room, "bob").await;
    let paths = [
        format!("/rooms/{room}/settings"),
        format!("/rooms/{room}/members/{person}/ban"),
    ];
    // Another field is always invalid, so that none of these forms is accepted.
    let forms: [(&Browser, &str, &str, OtherFields<'_>); 6] = [
        (&anonymous, "/register", "name", &[("password", "x")]),
        (&anonymous, "/login", "name", &[("password", "")]),
        (&ada, "/rooms/new", "name", &[("kind", "")]),
        (&ada, "/rooms/private", "name", &[("password", "")]),
        (&ada, &paths[0], "name", &[("lifespan", "")]),
        (&ada, &paths[0], "description", &[("name", "")]),
    ];
    for (browser, path, field, others) in forms {
        let answer = async |text: &str| {
            let typed = [&[(field, text)], others].concat();
            browser.post(path, &typed).await
        };
        let returned = Returned::of(&answer, &["", HARMLESS, &HARMLESS.repeat(40)]).await;
        // Every text in one field of each kind, a sample in the others.
        let is_first = path == "/register" || path == "/rooms/new" || field == "description";
        for text in payloads()
            .into_iter()
            .step_by(if is_first { 1 } else { sample_step() })
        {
            let page = answer(&text).await;

            page.assert_status(422);
            returned.assert_same_structure(&page, &text);
            let given_back = if field == "description" {
                exact_texts(&page, "textarea[name=description]")[0].clone()
            } else {
                page.attribute("[name=name]", "value")
            };
            assert_eq!(given_back, as_parsed(&text), "{path} {field} {text:?}");
        }
    }

    // Texts that are too long, and texts in messages that the sender may not send.
    let nonce = bob.nonce(room).await;
    let in_quiet = format!("/rooms/{quiet}/messages");
    let in_room = format!("/rooms/{room}/messages");
    let texts: [(&Browser, &str, &str, &str, usize); 3] = [
        (&ada, &paths[1], "reason", "[name=reason]", 301),
        (&bob, &in_room, "text", "#message", 2_001),
        (&bob, &in_quiet, "text", "textarea", 1),
    ];
    for (browser, path, field, selector, length) in texts {
        let answer = async |text: &str| {
            let typed = [(field, text), ("nonce", &nonce)];
            browser.post(path, &typed).await
        };
        let long = |text: &str| {
            let once = format!("|{text}|");
            once.repeat(length.div_ceil(once.chars().count()))
        };
        let harmless = answer(&long(HARMLESS)).await;
        let step = if field == "reason" { 1 } else { sample_step() };
        for text in payloads().into_iter().step_by(step) {
            let text = long(&text);
            let page = answer(&text).await;

            assert_same_structure(&page, &harmless, &text);
            assert_eq!(exact_texts(&page, selector), [as_parsed(&text)]);
        }
    }
}

#[actix_web::test]
async fn urls_inject_no_markup_into_pages() {
    let app = TestApp::spawn().await;
    let (anonymous, ada) = (app.anonymous(), app.sign_up("ada").await);
    let olga = app.operator("olga").await;
    let reset = format!("UPDATE users SET reset_at = {}", START.0);
    app.execute(&reset).await;
    let room = ada.create_private_room("Tea").await;
    ada.send(room, "hello").await.assert_status(303);
    let in_room = |page: &str| format!("/rooms/{room}{page}");
    let pages: [(&Browser, String, &[&str]); 15] = [
        (&anonymous, "/login".to_owned(), &["next", "done"]),
        (&anonymous, "/register".to_owned(), &["next", "done"]),
        (&ada, "/rooms".to_owned(), &["page", "search", "done"]),
        (&ada, "/rooms/mine".to_owned(), &["done"]),
        (&ada, "/account".to_owned(), &["done"]),
        (&ada, "/account/sessions".to_owned(), &["done"]),
        (&ada, "/account/ignored".to_owned(), &["done"]),
        (
            &ada,
            in_room(""),
            &[
                "done", "before", "after", "at", "moderate", "report", "reload", "sent", "held",
            ],
        ),
        (&ada, "/account/reset".to_owned(), &["next"]),
        (
            &olga,
            "/site/people".to_owned(),
            &["page", "search", "done"],
        ),
        (&olga, "/site/rooms".to_owned(), &["page", "search", "done"]),
        (&olga, "/site/reports".to_owned(), &["done"]),
        (&ada, in_room("/members"), &["done"]),
        (&ada, in_room("/settings"), &["done"]),
        (&ada, in_room("/invites"), &["done"]),
    ];
    let next_pages = NextPages::at(routes::page_patterns());
    let mut seen = HashSet::new();
    for (browser, path, names) in pages {
        for name in names {
            // Every text once for each parameter name, a sample where the name occurs again.
            let step = if is_long() || seen.insert(*name) {
                1
            } else {
                8
            };
            let ask = async |text: &str| {
                let request = browser.client.get(browser.url(&path));
                Browser::answer(request.query(&[(name, text)])).await
            };
            let harmless = ask(HARMLESS).await;
            for text in payloads().into_iter().step_by(step) {
                let page = ask(&text).await;

                // A text that is a safe path is a valid `next`, so its page may differ.
                let is_right = next_pages.safe(&text).is_some();
                if !is_right {
                    assert_same_structure(&page, &harmless, &format!("{path}?{name}={text}"));
                }
                if *name == "search" {
                    let typed = as_parsed(text.trim());
                    assert_eq!(page.attribute("#search", "value"), typed);
                }
                if *name == "next" && !is_right {
                    assert!(!page.has("[name=next]"), "{text:?}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn messages_show_hostile_text_exactly_as_typed() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    // From now on, the pages show that both are here.
    bob.room(room).await;
    ada.send(room, HARMLESS).await.assert_status(303);
    let in_room = format!("/rooms/{room}");
    let first = ada.room(room).await.attribute("#log li", "id")[1..].to_owned();
    let views = [
        (&ada, in_room.clone()),
        (&bob, in_room.clone()),
        (&ada, format!("{in_room}?moderate=1")),
        (&bob, format!("{in_room}/poll?wait=0")),
    ];
    let mut expected = Vec::new();
    for (browser, path) in &views {
        expected.push(browser.get(path).await);
    }
    let delete = async |id: &str| ada.get(&format!("{in_room}/messages/{id}/delete")).await;
    let harmless_delete = delete(&first).await;

    for (number, text) in payloads().into_iter().enumerate() {
        let Ok(shown) = MessageText::parse(&text) else {
            ada.send(room, &text).await.assert_status(422);
            continue;
        };
        app.core
            .messages
            .clear(
                RoomId(room),
                mirage::live::messages::EVERY_VERSION,
                mirage::domain::SiteTime(crate::support::START.0),
            )
            .await
            .unwrap();
        let nonce = app.core.nonces.make(app.user_id("ada").await, RoomId(room));
        ada.send_with(room, &text, &nonce).await.assert_status(303);
        // Each text in the poll, a sample in the other views, which render the same HTML.
        let is_anywhere = number.is_multiple_of(sample_step());
        for ((browser, path), harmless) in views.iter().zip(&expected) {
            if !is_anywhere && !path.contains("/poll") {
                continue;
            }
            let page = browser.get(path).await;

            assert_same_structure(&page, harmless, &text);
            // Pages show a direction override within an address escaped.
            let of_link = "https://example.org/\u{202e}";
            let expected = shown
                .as_str()
                .replace(of_link, "https://example.org/%E2%80%AE");
            assert_eq!(exact_texts(&page, ".text"), [expected], "{text:?}");
        }
        if is_anywhere {
            let id = ada.room(room).await.attribute("#log li", "id")[1..].to_owned();
            let page = delete(&id).await;
            assert_same_structure(&page, &harmless_delete, &text);
        }
        let is_noncharacter = |c| matches!(u32::from(c) & 0xffff, 0xfdd0 | 0xfffe..);
        // The separators of lines and paragraphs become line breaks.
        let is_separator = |c| matches!(c, '\u{2028}' | '\u{2029}');
        let is_plain =
            !text.contains(|c: char| c.is_control() || is_separator(c) || is_noncharacter(c));
        if is_plain {
            assert_eq!(shown.as_str(), text.trim_end());
        }
    }
}

/// Rooms with a hostile name, description and ban, and a browser for each kind of reader.
struct Room {
    readers: [Browser; 3],
    owner: Browser,
    private: i64,
    public: i64,
    person: i64,
    banned: i64,
    invite: String,
    message: String,
}

impl Room {
    async fn create(app: &TestApp) -> Self {
        let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
        let (cleo, dan) = (app.sign_up("cleo").await, app.sign_up("dan").await);
        let private = ada.create_private_room("Tea").await;
        let public = ada.create_public_room("Cake").await;
        for browser in [&bob, &dan] {
            let joined = browser.join_privately("Tea", ROOM_PASSWORD).await;
            joined.assert_status(303);
            browser.join(public).await;
        }
        for room in [private, public] {
            ada.ban(room, "dan", HARMLESS).await;
        }
        ada.send(private, "hello").await.assert_status(303);
        Self {
            person: ada.member_id(private, "bob").await,
            banned: app.user_id("dan").await.0,
            invite: ada.invite_to(private, "day", "ten").await,
            message: ada.room(private).await.attribute("#log li", "id")[1..].to_owned(),
            owner: ada.clone(),
            readers: [ada, bob, cleo],
            private,
            public,
        }
    }

    /// Gives both rooms this name if it is valid (with a number before it, to keep their order), this
    /// description, and this reason for a ban.
    async fn write(&self, text: &str) -> (Option<String>, String) {
        let name = RoomName::parse(&format!("1 {text}")).ok();
        let description = Description::parse(text).unwrap();
        for (room, prefix) in [(self.private, "1 "), (self.public, "2 ")] {
            let typed = format!("{prefix}{}", name.as_ref().map_or("Tea", |_| text));
            let form = [
                ("name", typed.as_str()),
                ("description", text),
                ("lifespan", "longest"),
                ("slow-mode", "0"),
                ("language", ""),
                ("posting", "everyone"),
            ];
            let path = format!("/rooms/{room}/settings");
            self.owner.post(&path, &form).await.assert_status(303);
            let path = format!("/rooms/{room}/members/{}/ban", self.banned);
            let reason = format!("because {text}");
            let form = [("reason", reason.as_str())];
            self.owner.post(&path, &form).await.assert_status(303);
        }
        let name = name.map(|name| name.as_str().to_owned());
        (name, description.as_str().to_owned())
    }

    /// The pages that show something of a room: all routes with a room in the pattern, and a few more.
    fn paths(&self) -> Vec<String> {
        let mut paths = vec![
            "/rooms".to_owned(),
            "/rooms/mine".to_owned(),
            self.invite.clone(),
        ];
        for route in routes::table() {
            let is_of_room = route.pattern.starts_with("/rooms/{room}");
            if route.method != "GET" || !is_of_room || route.pattern.ends_with("/poll") {
                continue;
            }
            for (room, person) in [(self.private, self.person), (self.public, self.banned)] {
                let path = route
                    .pattern
                    .replace("{room}", &room.to_string())
                    .replace("{person}", &person.to_string())
                    .replace("{message}", &self.message);
                assert!(!path.contains('{'), "what stands in {path}?");
                paths.push(path);
            }
        }
        paths
    }
}

#[actix_web::test]
async fn rooms_and_bans_show_hostile_text_exactly_as_typed() {
    let app = TestApp::spawn().await;
    let room = Room::create(&app).await;
    let paths = room.paths();
    room.write(HARMLESS).await;
    let mut harmless = HashMap::new();
    // The first visit to a room differs: all its messages are new.
    for (path, reader) in paths
        .iter()
        .flat_map(|p| room.readers.iter().map(move |r| (p, r)))
    {
        reader.get(path).await;
    }
    for path in &paths {
        for (number, reader) in room.readers.iter().enumerate() {
            harmless.insert((path, number), reader.get(path).await);
        }
    }
    let dan = app.sign_in("dan", PASSWORD).await;
    let join = format!("/rooms/{}/join", room.public);
    let refused = dan.post(&join, &[("join", "1")]).await;
    let mut looked_at = 0;
    let step = if is_long() { 1 } else { 30 };

    for (number, text) in payloads().into_iter().enumerate() {
        let (name, description) = room.write(&text).await;
        // A page has no paragraph for an empty description.
        if description.is_empty() {
            continue;
        }
        for (path_number, path) in paths.iter().enumerate() {
            // Each page with a sample of the texts, each text on some pages.
            if !(number + path_number).is_multiple_of(step) {
                continue;
            }
            for (reader_number, reader) in room.readers.iter().enumerate() {
                let page = reader.get(path).await;
                let of = format!("{path} {text}");
                assert_same_structure(&page, &harmless[&(path, reader_number)], &of);
                looked_at += 1;
            }
        }
        let own = format!("/rooms/{}", room.private);
        let page = room.owner.get(&own).await;
        assert_same_structure(&page, &harmless[&(&own, 0)], &text);
        assert_eq!(exact_texts(&page, "#about p[dir=auto]"), [description]);
        if let Some(name) = name {
            assert_eq!(exact_texts(&page, "h1 bdi"), [name.as_str()]);
            assert!(
                page.text("title")
                    .contains(&name.split_whitespace().collect::<Vec<_>>().join(" "))
            );
        }
        let reason = Description::parse(&format!("because {text}")).unwrap();
        let members = format!("/rooms/{}/members", room.private);
        let page = room.owner.get(&members).await;
        assert_eq!(exact_texts(&page, "p > b + bdi"), [reason.as_str()]);
        let page = dan.post(&join, &[("join", "1")]).await;
        assert_same_structure(&page, &refused, &text);
        assert_eq!(exact_texts(&page, "blockquote"), [reason.as_str()]);
    }
    println!("{looked_at} pages with hostile text are built as with harmless text");
}

#[actix_web::test]
async fn host_and_user_agent_headers_inject_no_markup_into_pages() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let values = payloads().into_iter().filter_map(|text| {
        let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
        Some((text, value))
    });
    let sessions = |agent: HeaderValue| {
        let request = ada.client.get(ada.url("/account/sessions"));
        Browser::answer(request.header(USER_AGENT, agent))
    };
    let invite = |host: HeaderValue| {
        let request = ada.client.post(ada.url(&format!("/rooms/{room}/invites")));
        let form = [("life", "day"), ("uses", "ten")];
        Browser::answer(request.header(HOST, host).form(&form))
    };
    let harmless = sessions(HeaderValue::from_static(HARMLESS)).await;
    for (text, value) in values.step_by(sample_step() / 2 + 1) {
        let stored = text.replace('\'', "''");
        app.execute(&format!("UPDATE sessions SET user_agent = '{stored}'"))
            .await;
        let page = sessions(value.clone()).await;
        assert_same_structure(&page, &harmless, &text);

        let page = invite(value).await;
        app.execute("DELETE FROM invites").await;
        let links = page.attributes("h2 + p a", "href");
        assert!(
            links.iter().all(|link| link.starts_with("http://")),
            "{links:?}"
        );
        for script in page.attributes("script", "src") {
            assert!(script.starts_with("/assets/"), "{script}");
        }
        assert!(!page.has("main script") && !page.has("img") && !page.has("main b"));
    }
}

#[actix_web::test]
async fn an_account_name_can_never_be_markup() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let mut taken = 0;
    for text in payloads() {
        let form = [("name", text.as_str()), ("password", PASSWORD)];
        let page = anonymous.post("/register", &form).await;
        if page.status != 303 {
            continue;
        }
        taken += 1;
        let has_markup =
            |c: char| matches!(c, '<' | '>' | '"' | '\'' | '&' | '`') || c.is_control();
        assert!(!text.contains(has_markup), "{text:?} is a name");
    }
    println!("{taken} of the texts are names of accounts");
}
