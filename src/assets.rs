//! The style sheet, the scripts and the icon: where they are, and a fingerprint of what they hold.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::app::StartupError;

/// The style sheet.
pub const STYLE: &str = "app.css";
/// The room page's script.
pub const SCRIPT: &str = "room.js";
/// The script of the forms that ask for a password.
pub const PASSWORD_SCRIPT: &str = "password.js";
/// The icon.
pub const ICON: &str = "icon.svg";

/// The files that pages refer to, each with an address that changes when the file does, so that
/// browsers may keep it.
pub struct Assets {
    folder: PathBuf,
    style: Fingerprint,
    script: Fingerprint,
    password_script: Fingerprint,
    icon: Fingerprint,
}

/// The first 64 bits of a file's SHA-256, in hexadecimal.
type Fingerprint = String;

impl Assets {
    /// Reads the files in `folder`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn load(folder: &Path) -> Result<Self, StartupError> {
        let fingerprint = |name: &str| {
            let file = folder.join(name);
            match std::fs::read(&file) {
                Ok(bytes) => {
                    let digest = Sha256::digest(bytes);
                    Ok(digest
                        .iter()
                        .take(8)
                        .map(|byte| format!("{byte:02x}"))
                        .collect())
                }
                Err(error) => Err(StartupError::Assets { file, error }),
            }
        };
        Ok(Self {
            style: fingerprint(STYLE)?,
            script: fingerprint(SCRIPT)?,
            password_script: fingerprint(PASSWORD_SCRIPT)?,
            icon: fingerprint(ICON)?,
            folder: folder.to_owned(),
        })
    }

    /// The style sheet's address.
    #[must_use]
    pub fn style_url(&self) -> String {
        format!("/assets/{STYLE}?v={}", self.style)
    }

    /// The address of the room page's script.
    #[must_use]
    pub fn script_url(&self) -> String {
        format!("/assets/{SCRIPT}?v={}", self.script)
    }

    /// The address of the script of the forms that ask for a password.
    #[must_use]
    pub fn password_script_url(&self) -> String {
        format!("/assets/{PASSWORD_SCRIPT}?v={}", self.password_script)
    }

    /// The icon's address.
    #[must_use]
    pub fn icon_url(&self) -> String {
        format!("/assets/{ICON}?v={}", self.icon)
    }

    /// The file of this name and its fingerprint, if it is one of them.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(PathBuf, &str)> {
        let fingerprint = match name {
            STYLE => &self.style,
            SCRIPT => &self.script,
            PASSWORD_SCRIPT => &self.password_script,
            ICON => &self.icon,
            _ => return None,
        };
        Some((self.folder.join(name), fingerprint))
    }
}
