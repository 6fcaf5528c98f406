//! Mirage: group chat in rooms that forget, served as plain HTML.
//!
//! # The map
//!
//! ```text
//! routes -> pages -> services -> entities (SeaORM) | messages (memory)
//! ```
//!
//! Calls go this way only. [`pages`] know HTTP and the templates, and never each other.
//! [`services`] hold the rules and answer with outcomes. [`entities`] are the tables, [`messages`]
//! is what is said. [`domain`] has the values that all of them speak in and knows none of them.
//!
//! The command line of an operator goes another way to the same end: `main` -> [`operators`] ->
//! [`services::operators`] -> entities. A server that runs beside it reads what has changed from a table
//! ([`services::changes`]).
//!
//! Of the libraries and the machine, each is known in one place: `actix_session` in [`session`], the
//! time in [`clock`], the command line and the environment in [`config`].
//!
//! # The life of a message
//!
//! The form on the room page -> [`routes`] -> [`pages::messages`] (reads the text) ->
//! [`services::messages`] (is this person a member, was this form sent before) -> [`messages`] (gives
//! it a name and a deadline, renders it, puts it in the room's ring, wakes who waits) -> each waiting
//! request in [`pages::poll`] answers with it -> `assets/room.js` appends it -> its deadline passes:
//! no read returns it, pages drop it, the sweeper frees it.

pub mod allocator;
pub mod app;
pub mod assets;
pub mod client_address;
pub mod clock;
pub mod compression;
pub mod config;
pub mod connections;
pub mod database;
pub mod domain;
pub mod entities;
pub mod error;
pub mod headers;
pub mod limits;
pub mod logging;
pub mod messages;
pub mod operators;
pub mod pages;
pub mod routes;
pub mod same_origin;
pub mod secret;
pub mod services;
pub mod session;
