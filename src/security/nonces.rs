//! The nonces of message forms. A nonce identifies one submission, so that sending the same form twice posts
//! one message.
//!
//! A nonce is random bytes, the person's id, and an HMAC over both and the room's id. Only that person can
//! use it, only in that room; checking it needs no clock and no stored state, and works after a restart.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::secret::{Secret, hmac, random_bytes};
use crate::domain::{NonceId, RoomId, UserId};

/// Makes and verifies nonces.
pub struct Nonces {
    /// The HMAC, which has read the key.
    keyed: Hmac<Sha256>,
}

impl Nonces {
    /// Derives the key that signs nonces from `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            keyed: hmac(&secret.key("nonce")),
        }
    }

    /// Makes a new nonce for the message form of `user` in `room`.
    #[must_use]
    pub fn make(&self, user: UserId, room: RoomId) -> String {
        let id: NonceId = random_bytes();
        let tag = self.mac(id, user, room).finalize().into_bytes();
        let user = user.0.to_be_bytes();
        URL_SAFE_NO_PAD.encode([id.as_slice(), user.as_slice(), tag.as_slice()].concat())
    }

    /// Returns the id of the submission, if `nonce` was made for `user` in `room`.
    #[must_use]
    pub fn read(&self, nonce: &str, user: UserId, room: RoomId) -> Option<NonceId> {
        let (id, owner) = self.open(nonce, room)?;
        (owner == user).then_some(id)
    }

    /// Returns the person whom `nonce` was made for, if it was made for `room`.
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

    fn mac(&self, id: NonceId, user: UserId, room: RoomId) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
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
        Nonces {
            keyed: hmac(&[7; 32]),
        }
    }

    #[test]
    fn a_nonce_is_valid_only_for_its_person_and_room() {
        let nonce = nonces().make(ADA, TEA);

        assert!(nonces().read(&nonce, ADA, TEA).is_some());
        assert!(nonces().read(&nonce, UserId(2), TEA).is_none());
        assert!(nonces().read(&nonce, ADA, RoomId(1)).is_none());
        assert!(
            Nonces {
                keyed: hmac(&[8; 32])
            }
            .read(&nonce, ADA, TEA)
            .is_none()
        );
    }

    #[test]
    fn the_owner_of_a_nonce_is_known() {
        let nonce = nonces().make(ADA, TEA);

        assert_eq!(nonces().owner(&nonce, TEA), Some(ADA));
        assert_eq!(nonces().owner(&nonce, RoomId(1)), None);
        assert_eq!(
            Nonces {
                keyed: hmac(&[8; 32])
            }
            .owner(&nonce, TEA),
            None
        );
    }

    #[test]
    fn two_nonces_have_different_ids() {
        let read = |nonce: &str| nonces().read(nonce, ADA, TEA).unwrap();

        assert_ne!(
            read(&nonces().make(ADA, TEA)),
            read(&nonces().make(ADA, TEA))
        );
    }

    #[test]
    fn malformed_nonces_are_refused() {
        let cut = nonces().make(ADA, TEA).split_off(1);
        for text in ["", "AAAA", "%%%", cut.as_str()] {
            assert!(nonces().read(text, ADA, TEA).is_none(), "{text:?}");
        }
    }
}
