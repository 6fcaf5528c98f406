//! Builds, runs and stops the server, its background tasks and its log.

pub mod allocator;
pub mod application;
mod background;
mod listener;
pub mod logging;
