//! The server's secret: 64 random bytes in a file, from which its keys are made.
//!
//! It outlives a restart, and so do the cookies and forms signed with it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::app::StartupError;
use crate::database;

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
            database::make_folder(folder).map_err(failed)?;
        }
        let held = match read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(file).and_then(|()| read(file))
            }
            other => other,
        };
        let exact = held.map_err(failed)?.try_into().ok();
        exact.map(Self).ok_or_else(|| StartupError::NotASecret {
            file: file.to_owned(),
        })
    }

    /// 32 bytes of a key for `purpose`. Keys of different purposes tell nothing of each other.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        let mut mac = hmac(&self.0);
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// What `file` holds, as far as it is needed to tell a secret from something else.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut held = Vec::with_capacity(LENGTH);
    let limit = u64::try_from(LENGTH).unwrap_or(u64::MAX) + 1;
    File::open(file)?.take(limit).read_to_end(&mut held)?;
    Ok(held)
}

/// Makes a secret beside `file` and puts it there in one step, so that no start ever finds half of
/// one. One that is there by then stays.
fn create(file: &Path) -> io::Result<()> {
    let suffix: [u8; 8] = random_bytes();
    let beside = file.with_extension(format!("{:016x}", u64::from_be_bytes(suffix)));
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let secret: [u8; LENGTH] = random_bytes();
    let linked = new
        .write_all(&secret)
        .and_then(|()| new.sync_all())
        .and_then(|()| std::fs::hard_link(&beside, file));
    std::fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
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
