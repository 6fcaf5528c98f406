//! How often each limit has refused somebody, for metrics.

use super::super::messages::Appended;
use super::act::Act;
use crate::metrics::Counter;

/// The refusals of one process, by what was refused.
#[derive(Default)]
pub(super) struct Refusals {
    sign_in: Counter,
    new_password: Counter,
    sign_up: Counter,
    join: Counter,
    join_name: Counter,
    rooms: Counter,
    room_passwords: Counter,
    changes: Counter,
    links: Counter,
    reports: Counter,
    messages: Counter,
    slow_mode: Counter,
}

impl Refusals {
    pub(super) fn note(&self, act: Act<'_>) {
        let counter = match act {
            Act::Password(..) => &self.sign_in,
            Act::NewPassword(_) => &self.new_password,
            Act::SignUp(_) => &self.sign_up,
            Act::Join(_) => &self.join,
            Act::NewRoom(_) => &self.rooms,
            Act::RoomPassword(_) => &self.room_passwords,
            Act::Change(_) => &self.changes,
            Act::Link(_) => &self.links,
            Act::Report(..) => &self.reports,
        };
        counter.increment();
    }

    /// Notes that there were too many wrong tries at a private room's name.
    pub(super) fn note_join_name(&self) {
        self.join_name.increment();
    }

    /// Notes that a log refused a message, if it did so because of a limit.
    pub(super) fn note_message(&self, appended: Appended) {
        match appended {
            Appended::TooMany(_) => self.messages.increment(),
            Appended::TooSoon(_) => self.slow_mode.increment(),
            _ => {}
        }
    }

    /// Returns the numbers so far, by the name of what was refused.
    pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("sign-in", self.sign_in.get()),
            ("new-password", self.new_password.get()),
            ("sign-up", self.sign_up.get()),
            ("join", self.join.get()),
            ("join-name", self.join_name.get()),
            ("rooms", self.rooms.get()),
            ("room-passwords", self.room_passwords.get()),
            ("changes", self.changes.get()),
            ("links", self.links.get()),
            ("reports", self.reports.get()),
            ("messages", self.messages.get()),
            ("slow-mode", self.slow_mode.get()),
        ]
    }
}
