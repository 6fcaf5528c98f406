//! Values that are parsed once, at the edge of the program, and trusted afterwards.
//!
//! Nothing here knows any other part of Mirage.

mod about_text;
mod announcements;
mod audience;
mod browser;
mod characters;
mod client_address;
mod ids;
mod invite;
mod language;
mod links;
mod message_text;
mod mistake;
mod names;
mod passwords;
mod posting;
mod requester;
mod role;
mod room_name;
mod short_text;
mod slow_mode;
mod timestamp;
mod username;

pub use about_text::AboutText;
pub use announcements::Announcements;
pub use audience::Audience;
pub use browser::Browser;
pub use client_address::ClientAddress;
pub use ids::{InviteId, MessageId, NonceId, RoomId, UserId};
pub use invite::{InviteLifetime, InviteUses};
pub use language::Language;
pub use message_text::{MessageText, Segment};
pub use mistake::{Mistake, UnknownChoice};
pub use names::NameKeys;
pub use passwords::{AccountPassword, PasswordCandidate, PlainPassword, RoomPassword};
pub use posting::Posting;
pub use requester::Requester;
pub use role::Role;
pub use room_name::RoomName;
pub use short_text::{Description, Reason, SiteName};
pub use slow_mode::SlowMode;
pub use timestamp::{Lifespan, SiteTime, Timestamp};
pub use username::Username;
