//! Mirage: group chat in rooms that forget, served as plain HTML.
//!
//! # Modules
//!
//! ```text
//! main -> server -> web | cli -> services -> core -> live -> database -> security -> clock, config, metrics, urls -> domain
//! ```
//!
//! Imports point to the right only, and no chain of imports leads back to where it began; `tests/layers.rs` checks
//! both.
//!
//! - [`server`] builds, runs and stops the server.
//! - [`web`] has everything that knows HTTP; [`cli`] has the operator's commands.
//! - [`services`] has the rules: who may do what. Their outcomes are enums.
//! - [`core`] has the state that services work on, and the one way to make a change ([`core::Core::change`]).
//! - [`live`] has the state that requests share and that is never written to a disk.
//! - [`database`] has the database connection, its tables and the change feed.
//! - [`security`] has the secret file, tokens, nonces and password hashing.
//! - [`metrics`] has the counters that any module may count in.
//! - [`domain`] has the values that all modules use, each parsed once where it enters the program.
//!
//! Some dependencies are used in one module only: `actix_session` in [`web::session`], the system's clocks
//! in [`clock`], the command line and the environment in [`config`].
//!
//! # The life of a message
//!
//! 1. The form on the room page (`templates/room.html`) sends the message to a route in [`web::routes`].
//! 2. [`web::pages::messages`] reads the text and the form's nonce.
//! 3. [`services::messages`] decides: is the author a member, may they post?
//! 4. [`live::messages`] appends the message to the room's log if the author's rights were checked against the
//!    room's current version, the session is still valid, the nonce is unused and the limits are kept. The message gets
//!    its number and its deadline, is rendered once by [`web::message_html`], and wakes the waiting polls.
//! 5. Each waiting poll in [`web::pages::poll`] answers with the message.
//! 6. `assets/room.js` appends the message to the page and announces it.
//! 7. The message's deadline passes: no read returns it any more, pages remove it, and the sweep in [`server`]
//!    frees its memory.

pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod database;
pub mod domain;
pub mod live;
pub mod metrics;
pub mod security;
pub mod server;
pub mod services;
pub mod urls;
pub mod web;
