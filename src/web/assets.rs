//! The style sheet, the scripts and the icon: embedded in the program, or read from a folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use actix_web::web::Bytes;
use sha2::{Digest, Sha256};

use crate::web::compression::{Coding, compress_asset};

/// Embeds a file of the `assets` folder: its name, its media type and its content.
macro_rules! embedded {
    ($name:literal, $content_type:literal) => {
        (
            $name,
            $content_type,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/", $name)).as_slice(),
        )
    };
}

/// The reason why the assets cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}. Set --assets to the folder that contains it", file.display())]
pub struct AssetsError {
    file: PathBuf,
    error: io::Error,
}

/// The files that pages refer to.
pub struct Assets {
    style: Asset,
    script: Asset,
    password_script: Asset,
    icon: Asset,
}

/// One asset.
pub struct Asset {
    name: &'static str,
    /// The URL. An embedded asset's URL has its fingerprint, so it changes with the content.
    url: String,
    /// Where the asset is served from.
    pub source: Source,
}

/// Where an asset is served from.
pub enum Source {
    /// The program. The asset cannot change while the server runs, so browsers may cache it.
    Embedded(Embedded),
    /// A file, which the operator may replace at any time.
    File(PathBuf),
}

/// An asset embedded in the program.
pub struct Embedded {
    /// The media type.
    pub content_type: &'static str,
    /// The content, of scripts and style sheets without their comments.
    pub plain: Bytes,
    /// The content compressed with gzip, if that is shorter. Made for the first client that accepts it: the best levels
    /// take too long for every start.
    gzip: OnceLock<Option<Bytes>>,
    /// The content compressed with Zstandard, likewise.
    zstd: OnceLock<Option<Bytes>>,
    /// The first 64 bits of the content's SHA-256, in hexadecimal.
    pub fingerprint: String,
}

impl Assets {
    /// Loads the assets from `folder`, or from the program if `folder` is `None`.
    ///
    /// # Errors
    /// When the folder lacks one of the files.
    pub fn load(folder: Option<&Path>) -> Result<Self, AssetsError> {
        let asset = |(name, content_type, plain)| match folder {
            None => Ok(Asset::embedded(name, Embedded::new(content_type, plain))),
            Some(folder) => Asset::in_folder(name, folder),
        };
        Ok(Self {
            style: asset(embedded!("app.css", "text/css; charset=utf-8"))?,
            script: asset(embedded!("room.js", "text/javascript; charset=utf-8"))?,
            password_script: asset(embedded!("password.js", "text/javascript; charset=utf-8"))?,
            icon: asset(embedded!("icon.svg", "image/svg+xml"))?,
        })
    }

    /// Returns the URL of the style sheet.
    #[must_use]
    pub fn style_url(&self) -> &str {
        &self.style.url
    }

    /// Returns the URL of the room page's script.
    #[must_use]
    pub fn script_url(&self) -> &str {
        &self.script.url
    }

    /// Returns the URL of the script for password fields.
    #[must_use]
    pub fn password_script_url(&self) -> &str {
        &self.password_script.url
    }

    /// Returns the URL of the icon.
    #[must_use]
    pub fn icon_url(&self) -> &str {
        &self.icon.url
    }

    /// Returns the asset of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.script, &self.password_script, &self.icon]
            .into_iter()
            .find(|asset| asset.name == name)
    }
}

impl Asset {
    fn embedded(name: &'static str, embedded: Embedded) -> Self {
        Self {
            name,
            url: format!("/assets/{name}?v={}", embedded.fingerprint),
            source: Source::Embedded(embedded),
        }
    }

    fn in_folder(name: &'static str, folder: &Path) -> Result<Self, AssetsError> {
        let file = folder.join(name);
        match File::open(&file) {
            Ok(_) => Ok(Self {
                name,
                url: format!("/assets/{name}"),
                source: Source::File(file),
            }),
            Err(error) => Err(AssetsError { file, error }),
        }
    }
}

impl Embedded {
    fn new(content_type: &'static str, content: &'static [u8]) -> Self {
        let plain = match str::from_utf8(content) {
            Ok(text) if content_type.starts_with("text/") => without_comments(text).into(),
            _ => Bytes::from_static(content),
        };
        let digest = Sha256::digest(&plain);
        let hexadecimal = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        Self {
            content_type,
            plain,
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
            fingerprint: hexadecimal.collect(),
        }
    }

    /// Returns the content in this coding, if that is shorter.
    #[must_use]
    pub fn compressed(&self, coding: Coding) -> Option<&Bytes> {
        let form = match coding {
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        };
        form.get_or_init(|| compress_asset(coding, &self.plain))
            .as_ref()
    }
}

/// Returns a script or a style sheet without its indentation and without the comments that take whole lines. They are
/// for those who read the source, and are a seventh of what browsers would have to load.
fn without_comments(text: &str) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !is_comment && !line.is_empty() && !line.starts_with("//") {
            rest.push_str(line);
            rest.push('\n');
        }
        is_comment &= !line.ends_with("*/");
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_script_has_no_lines_of_comment_and_no_indentation() {
        let script = "// What it does.\n\n  /* Why\n     it does. */\n  go(\"http://x/\"); // now\n/* So. */\n  end()";

        assert_eq!(
            without_comments(script),
            "go(\"http://x/\"); // now\nend()\n"
        );
    }
}
