//! The state that all requests share and that is never written to disk: the rooms' message logs, presence,
//! read marks, drafts, done forms and rate limits, and rows of the database held in memory.
//!
//! All but the rows are in this process's memory, or in Redis, where the processes of a site share them. Nothing here
//! decides who may do what.

pub mod cache;
mod detached;
pub mod done_forms;
pub mod drafts;
pub mod ended_sessions;
mod marks;
pub mod messages;
pub mod outbox;
pub mod presence;
pub mod rate_limits;
pub mod read_marks;
pub mod redis;
pub mod rooms;
pub mod sessions;
pub mod settings;
pub mod too_many;
