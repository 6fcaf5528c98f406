//! Mirage: group chat in rooms that forget, served as plain HTML.
//!
//! # The map
//!
//! ```text
//! main -> server -> web | cli -> services -> core -> live -> database -> security -> clock, config, urls -> domain
//! ```
//!
//! Imports point to the right only, and no two modules import each other; `tests/layers.rs` checks both.
//!
//! - [`server`] builds, runs and stops it all.
//! - [`web`] is everything that knows HTTP; [`cli`] has the operator's commands.
//! - [`services`] hold the rules: who may do what. Their outcomes are enums.
//! - [`core`] is what services work on, and the one way to make a change ([`core::Core::change`]).
//! - [`live`] is what all requests share and no disk ever sees.
//! - [`database`] opens the database and has its tables and the change feed.
//! - [`security`] has the secret file, tokens, nonces and password hashing.
//! - [`domain`] has the values that all of them speak in, parsed once where they come in.
//!
//! Of the libraries and the machine, each is known in one place: `actix_session` in [`web::session`], the
//! time in [`clock`], the command line and the environment in [`config`].
//!
//! # The life of a message
//!
//! 1. The form on the room page (`templates/room.html`) sends it to a route in [`web::routes`].
//! 2. [`web::pages::messages`] reads the text and the form's nonce.
//! 3. [`services::messages`] decides: is the author a member, may they post, are they within the limits?
//! 4. [`live::messages`] appends it to the room's log, on conditions: the rights are of the room's current version,
//!    the session lives, the nonce is unused. The message gets its number and its deadline, is rendered once by
//!    [`web::message_html`], and wakes the polls that wait.
//! 5. Each waiting poll in [`web::pages::poll`] answers with it.
//! 6. `assets/room.js` appends it to the page and announces it.
//! 7. Its deadline passes: no read returns it any more, pages drop it, and the sweep in [`server`] frees it.

pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod database;
pub mod domain;
pub mod live;
pub mod security;
pub mod server;
pub mod services;
pub mod urls;
pub mod web;
