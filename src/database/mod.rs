//! The database: opening it, write transactions, the tables, and the change feed.
//!
//! Nothing here decides who may do what.

pub mod backup;
pub mod connection;
pub mod count;
pub mod entities;
pub mod errors;
pub mod feed;
mod opened;
mod postgres;
mod schema;
pub mod site;
mod sqlite;
pub mod transaction;
pub mod verify;
