//! QR codes, as an SVG path.

use qrcode::{Color, QrCode};

/// How many squares around the code stay light, so that it is found (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// A QR code with its quiet zone. A square is a unit wide.
pub struct Qr {
    /// How many squares it is wide and high.
    pub width: usize,
    /// The dark squares: the `d` of an SVG path.
    pub path: String,
}

impl Qr {
    /// The code of `text`. None: it is too long for one.
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
