//! The tables, one a file. Only services use them.

pub mod room;
pub mod room_member;
pub mod session;
pub mod user;
