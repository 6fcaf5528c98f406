//! The logs of all rooms on Redis, shared by several processes.
//!
//! # The keys of a room
//!
//! All begin with `mirage:{SITE:r42}:`, and all scripts change them together (`prelude.lua` has what they share).
//! Numbers of events grow within a room. The first is a thousand times the site's time in milliseconds, so no number is
//! given out twice even if Redis has lost its memory.
//!
//! | key | what it is |
//! |---|---|
//! | `meta` | a hash: `n`, the number of the latest event; `base`, the number through which events are no longer in the stream; `at`, the latest time; `bytes` and `report_bytes`; `rev`, which grows with each change of these; `version`, the room's version if it is known; `told`, the greatest version that anybody told; `changed`, the version of the latest change of the room itself |
//! | `stream` | the events, by number, without anything that is derived from a text: entries stay in memory after they are deleted |
//! | `text:ID` | the text of a live message. Unlinked when the message goes |
//! | `order`, `deadlines`, `live` | the live messages: by number, by deadline, and their place in `authors`, time, bytes, the room's version that the log knew, and namesake |
//! | `authors` | the live messages by author, lead and minute |
//! | `kept` | the events of live messages that are older than the stream |
//! | `nonces`, `nonce-order` | what each used nonce led to: message, keyed digest of the text, first deadline |
//! | `limits` | a sorted set of the counters of messages (`m` for the room, and with each person's id), reports (`r`) and slow mode (`s`), by the time at which the quota is full again |
//! | `ended:DIGEST` | a session that ended a moment ago |
//! | `reports`, `reasons:ID`, `reporters` | the open reports, with their copy of the message; who gave which reason; how many reports each person has open |
//! | `ends` | the ends of reports (`r` and the message), and of nonces that outlive their message (`n` and the message) |
//! | `events` | the channel: each event with its number, and with the namesake and the text of a new message; `w` when readers must look again at what they may read; `f` when the room was deleted |
//!
//! A script names them by the prefix that is its only key: all have the prefix's hash tag, and no script knows which
//! messages it will take out.
//!
//! The cost of a script does not depend on how many messages the room has. What concerns many messages is done in parts
//! of at most a thousand: Redis answers nobody else meanwhile, and a process that gets no answer serves nothing.
//!
//! # The keys of the site
//!
//! They begin with `mirage:{SITE}:`. They are changed after or before a room's keys, not together with them:
//!
//! | key | what it is |
//! |---|---|
//! | `deadlines` | a sorted set of `ROOM:TIME`, by the time at which the sweep must visit the room. Entered before the message is appended; the sweep enters the next time before it takes the old one out. A visit too early does no harm, and each entry is a member of its own, so a sweep takes out none that was entered since it looked |
//! | `bytes`, `revisions`, `total` | the bytes of each room, the revision that they are of, and their sum. Told after each change; an older revision changes nothing |
//! | `emptied` | the rooms without bytes, by the time when that was told. An hour later, their revisions are forgotten |
//! | `activity` | for each room with live messages, the newest one's time and deadline |
//! | `reported` | the rooms with open reports, as of the last change of each |
//! | `time`, `words` | see [`redis`](crate::live::redis) |
//!
//! # How a process follows a room
//!
//! It subscribes to the room's channel, opens the room (`open.lua` returns the live messages, and which went a moment ago,
//! in pieces), and then applies each event that the channel tells, if it is the next one. After a gap, and in each new
//! session of the link, it reads the events that it has missed (`read.lua`). It serves nothing from its copy unless the link has heard everything until
//! a moment ago, and the copy has all events that the process knows to exist: those that it added itself, and those
//! that a page's cursor names.
//!
//! # What may happen between two commands
//!
//! - After the deadline was entered and before the append: the sweep visits the room in vain.
//! - After the append and before the site is told of its bytes: the next change of the room tells them. Until then, the
//!   site may hold more than its capacity by this message.
//! - After any script and before its answer: the caller is told that Redis does not answer, and does the same again. A
//!   message is not posted twice, because its nonce was used.
//! - After a change of the database and before its process tells the log, which deletes or shortens what was posted before
//!   the change's version: every process that reads the change from the feed tells the log, and so does one that starts
//!   within the hour. The bound makes it harmless to be told late and often.
//! - Redis loses its memory: the life of the log, which cursors carry, is another one. No room's version is known, and
//!   no version that was read from the database before is told.
//! - A process has missed changes of rights while it was cut off: it appends to a room only after it has read the
//!   room's version from the database in this session.

mod followed;
mod log;
mod scripts;
mod wire;

pub(super) use log::RedisLog;

#[cfg(test)]
mod gone_tests;
#[cfg(test)]
mod scale_tests;
#[cfg(test)]
mod tests;
