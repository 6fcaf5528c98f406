//! The reports of a room's messages. In memory only.
//!
//! A report holds a copy of the message, which outlives the message's deletion and eviction. It goes at the
//! message's deadline, or when a moderator closes it. Reports are no events of the room: they change nothing that
//! readers are shown, and must not be noticed by the person who was reported.

use std::sync::Arc;

use super::message::Message;
use crate::domain::{Lifespan, MessageId, Reason, SiteTime, UserId};

/// The maximum number of open reports of one person in a room.
pub(super) const MAX_PER_REPORTER: usize = 20;

/// A message that was reported, by one person or by several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The message, as it was when it was first reported.
    pub message: Arc<Message>,
    /// The message's deadline, which may have moved earlier since.
    deadline: SiteTime,
    /// The reason of each person who reported the message.
    reasons: Vec<(UserId, Reason)>,
}

/// The outcome of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The message is reported. An earlier report of the same person and message is replaced.
    Done,
    /// The message is gone.
    NoSuchMessage,
    /// The person has the maximum number of open reports in the room.
    TooManyOpen,
}

impl Report {
    /// Makes a report that was kept elsewhere.
    pub(super) fn restored(
        message: Arc<Message>,
        deadline: SiteTime,
        reasons: Vec<(UserId, Reason)>,
    ) -> Self {
        Self {
            message,
            deadline,
            reasons,
        }
    }

    /// Returns the reasons. Nobody is told who gave them.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().map(|(_, reason)| reason)
    }

    fn is_by(&self, reporter: UserId) -> bool {
        self.reasons.iter().any(|(by, _)| *by == reporter)
    }

    fn bytes(&self) -> usize {
        let reason = |reason: &Reason| size_of::<(UserId, Reason)>() + reason.as_str().len();
        size_of::<Self>() + self.message.bytes() + self.reasons().map(reason).sum::<usize>()
    }
}

/// The open reports of a room, oldest first.
#[derive(Default)]
pub(super) struct Reports {
    open: Vec<Report>,
    bytes: usize,
}

impl Reports {
    /// Files a report of a live message.
    pub(super) fn file(
        &mut self,
        message: Arc<Message>,
        reporter: UserId,
        reason: Reason,
    ) -> Reported {
        let is_other = |report: &&Report| report.message.id != message.id;
        let others = self.open.iter().filter(is_other);
        if others.filter(|report| report.is_by(reporter)).count() >= MAX_PER_REPORTER {
            return Reported::TooManyOpen;
        }
        let mut same = self.open.iter_mut();
        match same.find(|report| report.message.id == message.id) {
            Some(report) => {
                report.reasons.retain(|(by, _)| *by != reporter);
                report.reasons.push((reporter, reason));
            }
            None => self.open.push(Report {
                deadline: message.deadline,
                message,
                reasons: vec![(reporter, reason)],
            }),
        }
        self.count_bytes();
        Reported::Done
    }

    /// Returns the open reports.
    pub(super) fn open(&self, now: SiteTime) -> Vec<Report> {
        let is_live = |report: &&Report| now < report.deadline;
        self.open.iter().filter(is_live).cloned().collect()
    }

    /// Closes the report of a message.
    pub(super) fn close(&mut self, message: MessageId) {
        self.retain(|report| report.message.id != message);
    }

    /// Drops the oldest report.
    pub(super) fn drop_oldest(&mut self) {
        let oldest = self.open.first().map(|report| report.message.id);
        self.retain(|report| Some(report.message.id) != oldest);
    }

    /// Drops all reports.
    pub(super) fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// Drops the reports of messages by `person`, and what `person` reported.
    pub(super) fn forget(&mut self, person: UserId) {
        self.retain(|report| {
            report.reasons.retain(|(by, _)| *by != person);
            report.message.author != person && !report.reasons.is_empty()
        });
    }

    /// Moves the deadlines to `lifespan` after posting, where that is earlier.
    pub(super) fn shorten(&mut self, lifespan: Lifespan) {
        for report in &mut self.open {
            let deadline = report.message.posted_at.plus(lifespan.0);
            report.deadline = report.deadline.min(deadline);
        }
    }

    /// Frees the reports whose deadline has passed. Changes no answer.
    pub(super) fn free_expired(&mut self, now: SiteTime) {
        self.retain(|report| now < report.deadline);
    }

    /// Returns the bytes of all reports, of expired ones too until they are freed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn retain(&mut self, stays: impl FnMut(&mut Report) -> bool) {
        if self.open.is_empty() {
            return;
        }
        self.open.retain_mut(stays);
        self.open.shrink_to_fit();
        self.count_bytes();
    }

    fn count_bytes(&mut self) {
        self.bytes = self.open.iter().map(Report::bytes).sum();
    }
}
