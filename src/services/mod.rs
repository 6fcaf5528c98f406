//! The rules: who may do what, and what belongs together in one transaction. One file a subject.
//!
//! Services know nothing of HTTP and hold no state. What a person can run into is an outcome, an enum that the
//! page matches; what `?` carries is a [`crate::core::Fault`].

pub mod accounts;
pub mod invites;
pub mod members;
mod memberships;
pub mod messages;
pub mod moderation;
pub mod one_time_links;
pub mod operators;
pub mod room_settings;
pub mod rooms;
pub mod sessions;
