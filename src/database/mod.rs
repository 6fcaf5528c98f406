//! The database: opening it, write transactions, the tables, and the change feed.
//!
//! Nothing here decides who may do what.

pub mod backup;
pub mod connection;
pub mod count;
pub mod entities;
pub mod feed;
pub mod transaction;
