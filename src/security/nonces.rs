//! The nonce of a message form: names one sending, so that sending it twice is sending it once.
//!
//! Random bytes and an HMAC over them, the person and the room: nobody else's form can use it, it
//! needs no clock and no memory, and it outlives a restart.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::secret::{Secret, hmac, random_bytes};
use crate::domain::{NonceId, RoomId, UserId};

/// Makes and reads nonces.
pub struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    /// Nonces signed with a key of `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            key: secret.key("nonce"),
        }
    }

    /// A new nonce for a form that `user` is shown in `room`.
    #[must_use]
    pub fn make(&self, user: UserId, room: RoomId) -> String {
        let id: NonceId = random_bytes();
        let tag = self.mac(id, user, room).finalize().into_bytes();
        let user = user.0.to_be_bytes();
        URL_SAFE_NO_PAD.encode([id.as_slice(), user.as_slice(), tag.as_slice()].concat())
    }

    /// What names the sending, if this nonce was made for `user` and `room`.
    #[must_use]
    pub fn read(&self, nonce: &str, user: UserId, room: RoomId) -> Option<NonceId> {
        let (id, owner) = self.open(nonce, room)?;
        (owner == user).then_some(id)
    }

    /// Whom this nonce was made for, if it was made for `room`.
    #[must_use]
    pub fn owner(&self, nonce: &str, room: RoomId) -> Option<UserId> {
        self.open(nonce, room).map(|(_, owner)| owner)
    }

    fn open(&self, nonce: &str, room: RoomId) -> Option<(NonceId, UserId)> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (user, tag) = rest.split_first_chunk::<8>()?;
        let user = UserId(i64::from_be_bytes(*user));
        self.mac(*id, user, room).verify_slice(tag).ok()?;
        Some((*id, user))
    }

    fn mac(&self, id: NonceId, user: UserId, room: RoomId) -> hmac::Hmac<sha2::Sha256> {
        let mut mac = hmac(&self.key);
        mac.update(&id);
        mac.update(&user.0.to_be_bytes());
        mac.update(&room.0.to_be_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(2);

    fn nonces() -> Nonces {
        Nonces { key: [7; 32] }
    }

    #[test]
    fn a_nonce_is_read_by_whom_and_where_it_was_made_for() {
        let nonce = nonces().make(ADA, TEA);

        assert!(nonces().read(&nonce, ADA, TEA).is_some());
        assert!(nonces().read(&nonce, UserId(2), TEA).is_none());
        assert!(nonces().read(&nonce, ADA, RoomId(1)).is_none());
        assert!(Nonces { key: [8; 32] }.read(&nonce, ADA, TEA).is_none());
    }

    #[test]
    fn a_nonce_tells_whom_it_was_made_for() {
        let nonce = nonces().make(ADA, TEA);

        assert_eq!(nonces().owner(&nonce, TEA), Some(ADA));
        assert_eq!(nonces().owner(&nonce, RoomId(1)), None);
        assert_eq!(Nonces { key: [8; 32] }.owner(&nonce, TEA), None);
    }

    #[test]
    fn two_nonces_name_two_sendings() {
        let read = |nonce: &str| nonces().read(nonce, ADA, TEA).unwrap();

        assert_ne!(
            read(&nonces().make(ADA, TEA)),
            read(&nonces().make(ADA, TEA))
        );
    }

    #[test]
    fn anything_else_is_no_nonce() {
        let cut = nonces().make(ADA, TEA).split_off(1);
        for text in ["", "AAAA", "%%%", cut.as_str()] {
            assert!(nonces().read(text, ADA, TEA).is_none(), "{text:?}");
        }
    }
}
