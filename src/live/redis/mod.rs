//! The link to Redis, where messages and other live state are held when `--redis-url` is set.
//!
//! - [`Link`] sends commands and scripts, and hears channels. It proves itself alive four times a second.
//! - [`Keys`] has the names of all keys and channels.
//! - Before a connection is used, Redis is asked whether it could write anything to a disk ([`LinkError`]).
//! - [`Link::tell_peers`] tells the site's other processes something, and waits until each has applied it.
//! - [`Trips`] has counts of what was sent, for metrics.
//!
//! # How to use it
//!
//! [`Link::run`] sends a command, [`Link::script`] a script, and [`Link::subscribe`] hears a channel. Each fails with
//! [`Unavailable`] if Redis does not answer in time. After that, nobody knows whether a command was carried out, so
//! each must be harmless when it is sent twice.
//!
//! What a process keeps in memory of what it heard through the link is as old as the link's [`Session`]: a new
//! session may have missed anything. A value that was read in a session may be used without a round trip as long as
//! [`Link::session`] returns the same session.

use std::time::Duration;

mod checks;
mod driver;
mod keys;
mod link;
mod peers;
mod trips;

pub use checks::Refused;
pub use driver::{Driver, LinkError, ask};
pub use keys::Keys;
pub use link::{Handler, Link, LinkState, Session, Unavailable};
pub use trips::Trips;

/// How much longer than it matters a key stays in Redis. Redis drops keys by its own clock, which may be set by a day: the
/// site's time decides what a key still says.
pub(super) const KEY_MARGIN: Duration = Duration::from_secs(2 * 86_400);

#[cfg(test)]
mod peers_tests;
#[cfg(test)]
pub(crate) mod test_redis;
#[cfg(test)]
mod tests;
