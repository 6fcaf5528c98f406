//! The server's secret: 64 random bytes in a file, from which its keys are made.
//!
//! It outlives a restart, and so do the cookies and forms signed with it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many bytes the secret has.
const LENGTH: usize = 64;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot read or create the secret file {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a Mirage secret file: it must be exactly 64 bytes long", file.display())]
    NotASecret {
        /// The file.
        file: PathBuf,
    },
}

/// The secret that signs cookies and nonces.
pub struct Secret([u8; LENGTH]);

impl Secret {
    /// Reads the secret from `file`, or makes one there, for the owner's eyes only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_create(file: &Path) -> Result<Self, SecretError> {
        let failed = |error| SecretError::File {
            file: file.to_owned(),
            error,
        };
        if let Some(folder) = file.parent() {
            create_private_folder(folder).map_err(failed)?;
        }
        let held = match read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(file).and_then(|()| read(file))
            }
            other => other,
        };
        let exact = held.map_err(failed)?.try_into().ok();
        exact.map(Self).ok_or_else(|| SecretError::NotASecret {
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

/// Makes a folder that only its owner can open: for password hashes and the server's secret.
///
/// # Errors
/// When it cannot be made. A folder that exists stays as it is.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
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
