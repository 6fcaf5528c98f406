//! The database: opening it, write transactions, the tables, and the change feed.
//!
//! Nothing here decides who may do what.

pub mod backup;
pub mod connection;
pub mod count;
pub mod entities;
pub mod errors;
pub mod feed;
pub mod link;
pub mod listener;
mod opened;
mod postgres;
pub mod readers;
mod schema;
mod server_lock;
pub mod site;
mod sqlite;
pub mod transaction;
pub mod transfer;
pub mod verify;
