//! The tables, one per file. Only services and the change feed use them.

pub mod change;
pub mod ignored_person;
pub mod invite;
pub mod name_keys;
pub mod password_reset;
pub mod room;
pub mod room_ban;
pub mod room_member;
pub mod session;
pub mod signup_link;
pub mod site;
pub mod user;
