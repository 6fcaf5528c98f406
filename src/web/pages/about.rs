//! About this site: the operator's text, such as the site's rules, its privacy policy and who runs it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use actix_web::web::Data;
use askama::Template;

use crate::domain::{AboutText, Segment};
use crate::web::answers::html;
use crate::web::error::{AppError, PageResult};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::Visitor;
use crate::web::state::WebState;

/// The maximum size in bytes of the operator's file.
const MAX_BYTES: u64 = 64 * 1024;

/// The reason why the operator's file cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} for --about: {fault}", file.display())]
pub struct AboutError {
    file: PathBuf,
    fault: AboutFault,
}

#[derive(Debug, thiserror::Error)]
enum AboutFault {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("it has more than 64 KiB")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it has no text")]
    Empty,
}

/// Reads the operator's file.
///
/// # Errors
/// When the file cannot be read, or is not UTF-8 text of at most 64 KiB with a visible character.
pub fn load(file: &Path) -> Result<AboutText, AboutError> {
    read(file).map_err(|fault| AboutError {
        file: file.to_owned(),
        fault,
    })
}

fn read(file: &Path) -> Result<AboutText, AboutFault> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(AboutFault::TooLarge);
    }
    let text = String::from_utf8(bytes).ok().ok_or(AboutFault::NotText)?;
    AboutText::parse(&text).ok_or(AboutFault::Empty)
}

#[derive(Template)]
#[template(path = "about.html")]
struct AboutPage<'a> {
    layout: Layout<'a>,
    text: &'a AboutText,
}

/// Shows the text. **Who:** anyone. **Answers:** the text; 404 if the operator has given none.
pub async fn show(state: Data<WebState>, visitor: Visitor) -> PageResult {
    let text = state.about.as_ref().ok_or(AppError::NotFound)?;
    html(&AboutPage {
        layout: Layout::new(&state, visitor.user.as_ref(), NavPage::Other),
        text,
    })
}
