//! Drafts in Redis.

use std::sync::Arc;

use redis::{Script, ScriptInvocation, cmd};

use super::super::redis::{KEY_MARGIN, Link, Unavailable};
use super::limits::{MAX_BYTES, MAX_DRAFTS, MAX_PER_AUTHOR, RETENTION};
use crate::clock::millis;
use crate::domain::{MessageText, RoomId, SiteTime, UserId};

/// Drafts that all processes of a site share.
pub(super) struct SharedDrafts {
    link: Arc<Link>,
    keep: Script,
    find: Script,
    discard: Script,
    forget: Script,
    sweep: Script,
}

impl SharedDrafts {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let script = |code| Script::new(&[include_str!("drafts.lua"), code].concat());
        Self {
            link,
            keep: script(include_str!("keep.lua")),
            find: script(include_str!("find.lua")),
            discard: script(include_str!("discard.lua")),
            forget: script(include_str!("forget.lua")),
            sweep: script(include_str!("sweep.lua")),
        }
    }

    pub(super) async fn keep(
        &self,
        author: UserId,
        room: RoomId,
        text: &MessageText,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let mut call = self.call(&self.keep);
        call.arg(author.0).arg(room.0).arg(text.as_str());
        call.arg(now.plus(RETENTION).0);
        call.arg(MAX_PER_AUTHOR).arg(MAX_DRAFTS).arg(MAX_BYTES);
        call.arg(millis(RETENTION + KEY_MARGIN));
        self.link.script(&call).await
    }

    pub(super) async fn find(
        &self,
        author: UserId,
        room: RoomId,
        now: SiteTime,
    ) -> Result<Option<String>, Unavailable> {
        let mut call = self.call(&self.find);
        call.arg(name(author, room)).arg(now.0);
        self.link.script(&call).await
    }

    pub(super) async fn discard(&self, author: UserId, room: RoomId) -> Result<(), Unavailable> {
        let mut call = self.call(&self.discard);
        call.arg(name(author, room));
        self.link.script(&call).await
    }

    pub(super) async fn forget(&self, author: UserId) -> Result<(), Unavailable> {
        let mut call = self.call(&self.forget);
        call.arg(author.0);
        self.link.script(&call).await
    }

    pub(super) async fn sweep(&self, now: SiteTime) -> Result<(), Unavailable> {
        let mut call = self.call(&self.sweep);
        call.arg(now.0);
        self.link.script(&call).await
    }

    pub(super) async fn size(&self) -> Result<usize, Unavailable> {
        let mut count = cmd("ZCARD");
        count.arg(self.link.keys().site("drafts:order"));
        self.link.run(&count).await
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.link.keys().site("drafts:"));
        call
    }
}

/// Returns the name of a draft in the scripts.
fn name(author: UserId, room: RoomId) -> String {
    format!("{author}:{room}")
}
