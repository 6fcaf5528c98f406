//! The tables, one a file. Only services use them.

pub mod change;
pub mod invite;
pub mod password_reset;
pub mod room;
pub mod room_ban;
pub mod room_member;
pub mod session;
pub mod signup_link;
pub mod user;
