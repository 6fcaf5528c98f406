//! The scripts of the log. Each changes one room's keys, all at once.

use redis::Script;

/// The scripts, each with the prelude.
pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) clear: Script,
    pub(super) close_report: Script,
    pub(super) delete: Script,
    pub(super) delete_by: Script,
    pub(super) forget: Script,
    pub(super) look: Script,
    pub(super) open: Script,
    pub(super) read: Script,
    pub(super) report: Script,
    pub(super) reports: Script,
    pub(super) room_changed: Script,
    pub(super) shorten: Script,
    pub(super) shrink: Script,
    pub(super) sweep: Script,
    pub(super) version: Script,
    /// Works on the site's keys, without the prelude.
    pub(super) account: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let script = |body: &str| Script::new(&[include_str!("prelude.lua"), body].concat());
        Self {
            append: script(include_str!("append.lua")),
            clear: script(include_str!("clear.lua")),
            close_report: script(include_str!("close_report.lua")),
            delete: script(include_str!("delete.lua")),
            delete_by: script(include_str!("delete_by.lua")),
            forget: script(include_str!("forget.lua")),
            look: script(include_str!("look.lua")),
            open: script(include_str!("open.lua")),
            read: script(include_str!("read.lua")),
            report: script(include_str!("report.lua")),
            reports: script(include_str!("reports.lua")),
            room_changed: script(include_str!("room_changed.lua")),
            shorten: script(include_str!("shorten.lua")),
            shrink: script(include_str!("shrink.lua")),
            sweep: script(include_str!("sweep.lua")),
            version: script(include_str!("version.lua")),
            account: Script::new(include_str!("account.lua")),
        }
    }
}
