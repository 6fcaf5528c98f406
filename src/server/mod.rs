//! Builds, runs and stops the server, its background tasks and its log.

pub mod allocator;
pub mod application;
mod background;
pub mod check;
mod listener;
mod live_state;
pub mod logging;
mod metrics;
mod notifications;
pub mod systemd;
