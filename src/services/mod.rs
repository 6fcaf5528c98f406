//! The rules: who may do what, and what belongs in one transaction. One file per subject.
//!
//! Services know nothing of HTTP and hold no state. Each service returns an outcome, an enum that the page
//! matches; failures that no person caused are a [`crate::core::Fault`], carried by `?`.

pub mod accounts;
pub mod ignored;
pub mod invites;
pub mod members;
mod memberships;
pub mod messages;
pub mod moderation;
pub mod name_keys;
pub mod one_time_links;
pub mod operators;
pub mod reports;
pub mod room_settings;
pub mod rooms;
pub mod sessions;
pub mod site_moderation;
