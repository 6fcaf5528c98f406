//! The pages, one file each: what a page reads from the request, and how it answers.
//!
//! Pages call services and never each other. A page has one name in four places: `/rooms/private` is
//! `private_join.rs` here, `templates/private_join.html` and `tests/web/private_join.rs`.

pub mod about;
pub mod accessibility;
pub mod account;
pub mod account_delete;
pub mod account_ignored;
pub mod account_password;
pub mod account_reset;
pub mod account_sessions;
pub mod asset;
pub mod ban;
pub mod close_report;
pub mod confirm;
pub mod delete_message;
pub mod healthz;
pub mod home;
pub mod invite;
pub mod invites;
pub mod join;
pub mod leave;
pub mod lift_ban;
pub mod login;
pub mod logout;
pub mod member;
pub mod member_role;
pub mod members;
pub mod messages;
pub mod my_rooms;
pub mod new_room;
pub mod poll;
pub mod private_join;
pub mod public_rooms;
pub mod register;
pub mod report_message;
pub mod reset;
pub mod revoke_invite;
pub mod room;
pub mod room_password;
pub mod room_settings;
pub mod site;
pub mod site_act;
pub mod site_close_report;
pub mod site_people;
pub mod site_person;
pub mod site_reports;
pub mod site_room;
pub mod site_rooms;

mod qr;
mod room_view;
