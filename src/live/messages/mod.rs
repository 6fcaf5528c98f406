//! The rooms' messages: held in memory until their deadline, and never anywhere else.
//!
//! A room is a log of numbered events (`event.rs`). Applying the events in order gives the state of the room
//! (`state.rs`). Applying is pure, so every process that applies the same events holds the same state. A log
//! (`memory.rs`) checks an event's conditions, gives it the next number, applies it and wakes the readers who
//! wait. [`Messages`] is what the rest of Mirage calls.
//!
//! This module knows no clock, no template and no rules: it takes the time as an argument, renders
//! with the [`Renderer`] it was given, and compares versions instead of looking at rights.
//!
//! **Expiry is a property, not a job.** No answer made at time t holds a message whose deadline is at
//! or before t. [`Messages::sweep`] only frees memory.

mod activity;
mod append;
mod budget;
mod cursor;
mod event;
mod ignored;
mod log;
mod memory;
mod message;
mod namesakes;
mod nonces;
mod pulse;
mod quota;
mod redis_log;
mod reports;
mod room_log;
mod state;
mod subscription;
mod tally;

pub use activity::Activity;
pub use append::{Appended, Wish};
pub use cursor::{Cursor, NotACursor};
pub use event::NewMessage;
pub use ignored::Ignored;
pub use log::{EVERY_VERSION, Messages, RoomHandle};
pub use memory::Capacity;
pub use message::{Message, Rendered, Renderer};
pub use pulse::Pulse;
pub use quota::{MessageRates, Quota};
pub use reports::{Report, Reported};
pub use state::{PAGE_SIZE, Page, Since};
pub use subscription::{Closed, Subscription};
pub use tally::{Amount, Held, Tally};

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod quota_test;
#[cfg(test)]
mod reports_test;
#[cfg(test)]
mod state_test;
#[cfg(test)]
mod tests;
