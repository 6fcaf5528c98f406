//! The style sheet, the scripts and the icon: where they are, a fingerprint of what they hold, and that
//! compressed.

use std::path::{Path, PathBuf};

use actix_web::web::Bytes;
use sha2::{Digest, Sha256};

use crate::app::StartupError;
use crate::compression::gzip_well;

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
    style: Asset,
    script: Asset,
    password_script: Asset,
    icon: Asset,
}

/// One of the files, as it was at the start.
pub struct Asset {
    /// Where it is.
    pub file: PathBuf,
    /// The first 64 bits of its SHA-256, in hexadecimal.
    pub fingerprint: String,
    /// What it holds, as gzip, if that is shorter.
    pub compressed: Option<Bytes>,
}

impl Asset {
    fn load(file: PathBuf) -> Result<Self, StartupError> {
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) => return Err(StartupError::Assets { file, error }),
        };
        let digest = Sha256::digest(&bytes);
        let hexadecimal = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        Ok(Self {
            file,
            fingerprint: hexadecimal.collect(),
            compressed: gzip_well(&bytes),
        })
    }
}

impl Assets {
    /// Reads the files in `folder`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn load(folder: &Path) -> Result<Self, StartupError> {
        let asset = |name: &str| Asset::load(folder.join(name));
        Ok(Self {
            style: asset(STYLE)?,
            script: asset(SCRIPT)?,
            password_script: asset(PASSWORD_SCRIPT)?,
            icon: asset(ICON)?,
        })
    }

    /// The style sheet's address.
    #[must_use]
    pub fn style_url(&self) -> String {
        url(STYLE, &self.style)
    }

    /// The address of the room page's script.
    #[must_use]
    pub fn script_url(&self) -> String {
        url(SCRIPT, &self.script)
    }

    /// The address of the script of the forms that ask for a password.
    #[must_use]
    pub fn password_script_url(&self) -> String {
        url(PASSWORD_SCRIPT, &self.password_script)
    }

    /// The icon's address.
    #[must_use]
    pub fn icon_url(&self) -> String {
        url(ICON, &self.icon)
    }

    /// The file of this name, if it is one of them.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Asset> {
        match name {
            STYLE => Some(&self.style),
            SCRIPT => Some(&self.script),
            PASSWORD_SCRIPT => Some(&self.password_script),
            ICON => Some(&self.icon),
            _ => None,
        }
    }
}

fn url(name: &str, asset: &Asset) -> String {
    format!("/assets/{name}?v={}", asset.fingerprint)
}
