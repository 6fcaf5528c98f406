//! Public rooms: the list of all public rooms, each with a button to join.

use std::fmt;

use actix_web::web::Data;
use askama::{FastWritable, Template, Values};

use crate::domain::UserId;
use crate::live::rooms::Room;
use crate::services::rooms::{self, ListedRoom, RoomList};
use crate::urls::public_rooms_url;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::{ListQuery, Query};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "public_rooms.html")]
struct PublicRoomsPage<'a> {
    layout: Layout<'a>,
    list: RoomList,
    search: &'a str,
    /// Whether the reader comes from creating an account.
    has_registered: bool,
}

/// Shows the page. **Who:** signed-in users. **Answers:** a page of the list; for a page number out of range, the
/// nearest page.
pub async fn show(state: Data<WebState>, user: CurrentUser, query: Query<ListQuery>) -> PageResult {
    let search = query.search();
    let list = rooms::public_list(&state.core, user.user_id, search, query.page()).await?;
    html(&PublicRoomsPage {
        layout: Layout::new(&state, Some(&user), NavPage::PublicRooms),
        list,
        search,
        has_registered: query.done == "registered",
    })
}

impl PublicRoomsPage<'_> {
    fn page_url(&self, page: usize) -> String {
        public_rooms_url(self.search, page)
    }

    /// Returns the HTML of a room's entry.
    fn entry<'a>(&self, listed: &'a ListedRoom) -> Entry<'a> {
        let entry = &listed.room.entry;
        let made = if listed.is_member {
            &entry.for_members
        } else {
            &entry.for_others
        };
        Entry {
            pieces: made.get_or_init(|| pieces(&listed.room, listed.is_member)),
            here: listed.here,
            reader: self.layout.user_id,
        }
    }
}

/// A room's entry in the list.
#[derive(Template)]
#[template(path = "public_room.html")]
struct PublicRoom<'a> {
    room: &'a Room,
    is_member: bool,
    /// Stands for the number of people who have the room open.
    here: char,
    /// Stands for the reader's id.
    reader: char,
}

/// Stands for what differs from reader to reader. No text on a page has this character, which HTML forbids.
const GAP: char = '\0';

/// Returns the HTML of a room's entry without what differs from reader to reader.
fn pieces(room: &Room, is_member: bool) -> Vec<Box<str>> {
    let entry = PublicRoom {
        room,
        is_member,
        here: GAP,
        reader: GAP,
    };
    // Rendering fails only if a value's `Display` fails, and no value of a room does.
    let html = entry.render().unwrap_or_else(|error| {
        tracing::error!(%error, "rendering a room's entry failed");
        String::new()
    });
    html.split(GAP).map(Box::from).collect()
}

/// Writes a room's entry for a reader.
struct Entry<'a> {
    pieces: &'a [Box<str>],
    here: usize,
    reader: Option<UserId>,
}

impl FastWritable for Entry<'_> {
    fn write_into(&self, page: &mut dyn fmt::Write, values: &dyn Values) -> askama::Result<()> {
        let [start, rest @ ..] = self.pieces else {
            return Ok(());
        };
        page.write_str(start)?;
        for (position, piece) in rest.iter().enumerate() {
            match (position, self.reader) {
                (0, _) => self.here.write_into(page, values)?,
                (_, Some(reader)) => reader.0.write_into(page, values)?,
                (_, None) => {}
            }
            page.write_str(piece)?;
        }
        Ok(())
    }
}
