//! The live state beside the message logs: in this process's memory, or shared with other processes in Redis.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{Config, Switch};
use crate::domain::Lifespan;
use crate::live::done_forms::DoneForms;
use crate::live::drafts::Drafts;
use crate::live::ended_sessions::EndedSessions;
use crate::live::outbox::{Outbox, SharedOutbox};
use crate::live::presence::Presence;
use crate::live::rate_limits::Limits;
use crate::live::read_marks::ReadMarks;
use crate::live::redis::{Link, Unavailable};

/// The live state beside the message logs.
pub(super) struct LiveState {
    pub(super) outbox: Outbox,
    pub(super) drafts: Drafts,
    pub(super) done_forms: DoneForms,
    pub(super) read_marks: ReadMarks,
    pub(super) presence: Presence,
    pub(super) limits: Limits,
    pub(super) ended_sessions: EndedSessions,
    /// The outbox that a background task writes, if there is one.
    pub(super) to_write: Option<Arc<SharedOutbox>>,
}

impl LiveState {
    /// Makes the state of a process that shares it with no other.
    pub(super) fn in_memory(config: &Config, clock: &Arc<dyn Clock>) -> Self {
        let is_on = config.limits == Switch::On;
        Self {
            outbox: Outbox::in_memory(),
            drafts: Drafts::in_memory(),
            done_forms: DoneForms::in_memory(),
            read_marks: ReadMarks::in_memory(),
            presence: Presence::in_memory(),
            limits: Limits::in_memory(is_on, &config.rates, Arc::clone(clock)),
            ended_sessions: EndedSessions::in_memory(),
            to_write: None,
        }
    }

    /// Makes the state that all processes of a site share.
    pub(super) async fn on_redis(
        config: &Config,
        clock: &Arc<dyn Clock>,
        link: &Arc<Link>,
    ) -> Result<Self, Unavailable> {
        let is_on = config.limits == Switch::On;
        let longest = Lifespan(config.message_lifespan);
        let link = || Arc::clone(link);
        let outbox = Arc::new(SharedOutbox::new(link(), Arc::clone(clock), longest));
        Ok(Self {
            drafts: Drafts::on_redis(link()),
            done_forms: DoneForms::on_redis(link()),
            read_marks: ReadMarks::on_redis(link(), Arc::clone(&outbox)).await?,
            presence: Presence::on_redis(link(), Arc::clone(&outbox)),
            limits: Limits::on_redis(is_on, &config.rates, Arc::clone(clock), link()),
            ended_sessions: EndedSessions::on_redis(link()),
            outbox: Outbox::on_redis(Arc::clone(&outbox)),
            to_write: Some(outbox),
        })
    }
}
