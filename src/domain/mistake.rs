//! What is wrong with a value that a person typed.

use std::borrow::Cow;

/// What is wrong with something a person typed, as a sentence for that person.
///
/// The sentence says what to do, in the words of the form it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(pub Cow<'static, str>);

impl Mistake {
    /// Makes a mistake with a sentence that is always the same.
    #[must_use]
    pub const fn new(sentence: &'static str) -> Self {
        Self(Cow::Borrowed(sentence))
    }
}

/// A word that stands for none of the choices, in a form or in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an unknown word")]
pub struct UnknownWord;
