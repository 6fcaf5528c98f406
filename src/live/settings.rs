//! Personal settings, held in memory.

use super::cache::Cache;
use super::messages::Ignored;
use crate::domain::{Announcements, UserId};

/// The settings of the people who are using the site.
pub type SettingsCache = Cache<UserId, Settings>;

/// A person's settings.
#[derive(Debug, Default)]
pub struct Settings {
    /// How much a screen reader announces of new messages.
    pub announcements: Announcements,
    /// The people whom the person ignores.
    pub ignored: Ignored,
}
