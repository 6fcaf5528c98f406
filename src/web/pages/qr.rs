//! QR codes, as an SVG path.

use qrcode::{Color, QrCode};

/// The width in modules of the light border that scanners need around a code (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// A QR code with its quiet zone. A module (one square of the code) is one unit wide.
pub struct Qr {
    /// The width and height in modules.
    pub width: usize,
    /// The dark modules, as the `d` attribute of an SVG path.
    pub path: String,
}

impl Qr {
    /// Encodes `text`. Returns `None` if it is too long for a QR code.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, y) in code.to_colors().chunks(width).zip(QUIET_ZONE..) {
            let mut x = QUIET_ZONE;
            for run in row.chunk_by(PartialEq::eq) {
                let length = run.len();
                if run.contains(&Color::Dark) {
                    path += &format!("M{x} {y}h{length}v1h-{length}z");
                }
                x += length;
            }
        }
        Some(Self {
            width: width + 2 * QUIET_ZONE,
            path,
        })
    }
}
