//! The nonces of forms. A nonce identifies one submission, so that sending the same form twice posts one message,
//! or makes one account.
//!
//! A nonce is random bytes, the person's id, and an HMAC over both and the room's id. Only that person can
//! use it, only in that room; checking it needs no clock and no stored state, and works after a restart.
//! Forms outside a room have nonces too, and so have the forms of people who are not signed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::secret::{Secret, hmac, random_bytes};
use super::tokens::TokenDigest;
use crate::domain::{NonceId, RoomId, UserId};

/// Stands for the person in the nonces of people who are not signed in. No account has this id.
const NOBODY: UserId = UserId(0);
/// Stands for the room in the nonces of forms outside a room. No room has this id.
const NO_ROOM: RoomId = RoomId(0);

/// A nonce that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedNonce {
    id: NonceId,
    /// The person whom the nonce was made for.
    pub owner: UserId,
}

impl OpenedNonce {
    /// Returns the id of the submission, if the nonce was made for `user`.
    #[must_use]
    pub fn id_for(self, user: UserId) -> Option<NonceId> {
        (self.owner == user).then_some(self.id)
    }
}

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
        self.open(nonce, room)?.id_for(user)
    }

    /// Returns the person whom `nonce` was made for, if it was made for `room`.
    #[must_use]
    pub fn owner(&self, nonce: &str, room: RoomId) -> Option<UserId> {
        self.open(nonce, room).map(|opened| opened.owner)
    }

    /// Verifies a nonce that was made for `room`.
    #[must_use]
    pub fn open(&self, nonce: &str, room: RoomId) -> Option<OpenedNonce> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (owner, tag) = rest.split_first_chunk::<8>()?;
        let owner = UserId(i64::from_be_bytes(*owner));
        self.mac(*id, owner, room).verify_slice(tag).ok()?;
        Some(OpenedNonce { id: *id, owner })
    }

    /// Returns the nonce for a form outside a room that is shown to `user`, or to a person who is not signed in:
    /// the nonce that was `sent`, if there is a valid one, or else a new nonce.
    ///
    /// A form that is shown again after a failure keeps its nonce: if the failed request was the second of two, it
    /// cannot be told from the first.
    #[must_use]
    pub fn keep_or_make(&self, sent: &str, user: Option<UserId>) -> String {
        match self.read_outside(sent, user) {
            Some(_) => sent.to_owned(),
            None => self.make(user.unwrap_or(NOBODY), NO_ROOM),
        }
    }

    /// Returns the id of the submission, if `nonce` was made for a form outside a room that was shown to `user`, or
    /// to a person who was not signed in.
    #[must_use]
    pub fn read_outside(&self, nonce: &str, user: Option<UserId>) -> Option<NonceId> {
        self.read(nonce, user.unwrap_or(NOBODY), NO_ROOM)
    }

    /// Returns the person whom `nonce` was made for, if it was made for a form outside a room.
    #[must_use]
    pub fn owner_outside(&self, nonce: &str) -> Option<UserId> {
        let owner = self.owner(nonce, NO_ROOM)?;
        (owner != NOBODY).then_some(owner)
    }

    /// Returns an id for the submissions of the form that is sent to `address` in a session. A form that ends
    /// something needs no nonce: what it ends is named by its address, and ends once.
    #[must_use]
    pub fn of_address(&self, session: TokenDigest, address: &str) -> NonceId {
        let mut mac = self.keyed.clone();
        mac.update(session.to_hex().as_bytes());
        mac.update(address.as_bytes());
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        let (id, _) = tag.split_at(16);
        id.try_into().unwrap_or_default()
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
    fn a_nonce_outside_a_room_is_valid_only_for_its_person() {
        let nonces = nonces();
        let of_ada = nonces.keep_or_make("", Some(ADA));
        let of_nobody = nonces.keep_or_make("", None);

        assert!(nonces.read_outside(&of_ada, Some(ADA)).is_some());
        assert!(nonces.read_outside(&of_nobody, None).is_some());
        assert!(nonces.read_outside(&of_ada, None).is_none());
        assert!(nonces.read_outside(&of_ada, Some(UserId(2))).is_none());
        assert!(nonces.read_outside(&of_nobody, Some(ADA)).is_none());
        let in_a_room = nonces.make(ADA, TEA);
        assert!(nonces.read_outside(&in_a_room, Some(ADA)).is_none());
        assert!(nonces.read(&of_ada, ADA, TEA).is_none());
        assert_eq!(nonces.owner_outside(&of_ada), Some(ADA));
        assert_eq!(nonces.owner_outside(&of_nobody), None);
        assert_eq!(nonces.owner_outside(&in_a_room), None);
    }

    #[test]
    fn a_form_that_is_shown_again_keeps_its_valid_nonce() {
        let nonce = nonces().keep_or_make("", Some(ADA));

        assert_eq!(nonces().keep_or_make(&nonce, Some(ADA)), nonce);
        assert_ne!(nonces().keep_or_make(&nonce, Some(UserId(2))), nonce);
        assert_ne!(nonces().keep_or_make("", Some(ADA)), nonce);
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
