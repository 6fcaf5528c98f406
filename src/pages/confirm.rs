//! The question before something that cannot be undone.

use askama::Template;

use super::Layout;
use crate::services::rooms::Room;

/// Asks whether to do something to a room or a person in it.
///
/// The question, the title and the button are the same words: what is done, to whom, and the rest.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage<'a> {
    /// What every page shows.
    pub layout: Layout<'a>,
    /// The room it is about.
    pub room: &'a Room,
    /// What is done: "Delete all messages of".
    pub verb: &'static str,
    /// To whom or what.
    pub name: &'a str,
    /// What the question ends with after the name, with a space before it.
    pub rest: &'static str,
    /// What follows from it, a paragraph each.
    pub consequences: &'a [&'a str],
    /// The page one comes from and goes back to, below the room's address.
    pub back: &'static str,
    /// What that page is called.
    pub back_name: &'static str,
    /// Where the form is sent to, below the room's address.
    pub action: String,
}
