//! The server's secret: 64 random bytes in a file, from which its keys are made.
//!
//! It outlives a restart, and so do the cookies and forms signed with it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::app::StartupError;

/// How many bytes the secret has.
const LENGTH: usize = 64;

/// What signs cookies and nonces.
pub struct Secret([u8; LENGTH]);

impl Secret {
    /// Reads the secret from `file`, or makes one there, for the owner's eyes only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_create(file: &Path) -> Result<Self, StartupError> {
        let failed = |error| StartupError::SecretFile {
            file: file.to_owned(),
            error,
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file);
        match created {
            Ok(mut new) => {
                let secret = Self(random_bytes());
                new.write_all(&secret.0)
                    .and_then(|()| new.sync_all())
                    .map_err(failed)?;
                Ok(secret)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mut held = Vec::with_capacity(LENGTH);
                let limit = u64::try_from(LENGTH).unwrap_or(u64::MAX) + 1;
                std::fs::File::open(file)
                    .and_then(|there| there.take(limit).read_to_end(&mut held))
                    .map_err(failed)?;
                let exact = held.try_into().ok();
                exact.map(Self).ok_or_else(|| StartupError::NotASecret {
                    file: file.to_owned(),
                })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// 32 bytes of a key for `purpose`. Keys of different purposes tell nothing of each other.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        let mut mac = hmac(&self.0);
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// An HMAC-SHA-256 (RFC 2104) with `key`.
#[must_use]
pub fn hmac(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key).expect("a key of any length")
}

/// Random bytes from the operating system.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a server without randomness must not go on"
    )]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
