//! Everything that knows HTTP: the table of routes, the pages, the session cookie, headers, connections and error
//! pages.
//!
//! There are no rules here: [`crate::services`] decides who may do what.

pub mod answers;
pub mod around;
pub mod assets;
pub mod body_limits;
pub mod client_address;
pub mod compression;
pub mod connections;
pub mod cookie;
pub mod error;
pub mod error_page;
pub mod forms;
pub mod guards;
pub mod headers;
pub mod layout;
pub mod message_html;
pub mod next;
pub mod operator;
pub mod pages;
pub mod query;
pub mod request_counts;
pub mod request_log;
pub mod routes;
pub mod same_origin;
pub mod session;
pub mod state;
pub mod urlencoded;
