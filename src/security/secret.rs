//! The server's secret: 64 random bytes in a file, from which all keys are derived.
//!
//! The file survives a restart, so cookies and forms signed with the secret stay valid.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of the secret, in bytes.
const LENGTH: usize = 64;

/// The reason why the secret could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot read or create the secret file {}: {error}", file.display())]
    File {
        /// The path of the file.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a Mirage secret file: it must be exactly 64 bytes long", file.display())]
    NotASecret {
        /// The path of the file.
        file: PathBuf,
    },
}

/// The secret from which the keys for cookies and nonces are derived.
pub struct Secret([u8; LENGTH]);

impl Secret {
    /// Loads the secret from `file`, or creates the file with a new secret, readable only by its owner.
    ///
    /// # Errors
    /// When the file cannot be read or created, or does not hold a secret.
    pub fn load_or_create(file: &Path) -> Result<Self, SecretError> {
        let failed = |error| SecretError::File {
            file: file.to_owned(),
            error,
        };
        if let Some(folder) = file.parent() {
            create_private_folder(folder).map_err(failed)?;
        }
        if let Some(secret) = Self::load(file)? {
            return Ok(secret);
        }
        let bytes = create(file).and_then(|()| read(file)).map_err(failed)?;
        Self::from_bytes(file, bytes)
    }

    /// Loads the secret from `file`. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or does not hold a secret.
    pub fn load(file: &Path) -> Result<Option<Self>, SecretError> {
        match read(file) {
            Ok(bytes) => Self::from_bytes(file, bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SecretError::File {
                file: file.to_owned(),
                error,
            }),
        }
    }

    fn from_bytes(file: &Path, bytes: Vec<u8>) -> Result<Self, SecretError> {
        let exact = bytes.try_into().ok();
        exact.map(Self).ok_or_else(|| SecretError::NotASecret {
            file: file.to_owned(),
        })
    }

    /// Derives the key for `purpose`. The keys of different purposes reveal nothing about each other.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        let mut mac = hmac(&self.0);
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Reads at most one byte more than a secret has, which is enough to detect a file that is too long.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(LENGTH);
    let limit = u64::try_from(LENGTH).unwrap_or(u64::MAX) + 1;
    File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new secret to a temporary file and links that file to `file` in one step, so that no process ever
/// reads an incomplete secret. If `file` exists by then, the existing file stays.
fn create(file: &Path) -> io::Result<()> {
    let suffix: [u8; 8] = random_bytes();
    let temporary = file.with_extension(format!("{:016x}", u64::from_be_bytes(suffix)));
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let secret: [u8; LENGTH] = random_bytes();
    let linked = new
        .write_all(&secret)
        .and_then(|()| new.sync_all())
        .and_then(|()| std::fs::hard_link(&temporary, file));
    std::fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Creates a folder that only its owner can open, for password hashes and the server's secret.
///
/// # Errors
/// When the folder cannot be created. A folder that exists is left unchanged.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes an HMAC-SHA-256 (RFC 2104) with `key`.
#[must_use]
pub fn hmac(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key).expect("a key of any length")
}

/// Returns random bytes from the operating system.
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
