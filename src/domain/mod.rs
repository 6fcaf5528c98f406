//! Values parsed once, where they come in, and trusted afterwards.
//!
//! Nothing here knows pages, services, tables or the message buffer.

mod announcements;
mod browser;
mod ids;
mod invite;
mod language;
mod message_text;
mod names;
mod passwords;
mod posting;
mod role;
mod room_name;
mod short_text;
mod slow_mode;
mod timestamp;
mod username;

pub use announcements::Announcements;
pub use browser::Browser;
pub use ids::{InviteId, MessageId, RoomId, UserId};
pub use invite::{InviteLife, InviteUses};
pub use language::Language;
pub use message_text::{MessageText, Segment};
pub use names::NameKeys;
pub use passwords::{AccountPassword, PlainPassword, RoomPassword};
pub use posting::Posting;
pub use role::Role;
pub use room_name::RoomName;
pub use short_text::{BanReason, Description};
pub use slow_mode::SlowMode;
pub use timestamp::{Lifespan, Timestamp};
pub use username::Username;

/// What is wrong with something a person typed, as a sentence for that person.
///
/// The sentence says what to do, in the words of the form it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake(pub &'static str);
