//! Errors of parsing a value.

use std::borrow::Cow;

/// What is wrong with a value that a person typed, as a sentence for that person.
///
/// The sentence says what to do, in the words of the form that the value belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(pub Cow<'static, str>);

impl Mistake {
    /// Makes a mistake with a fixed sentence.
    #[must_use]
    pub const fn new(sentence: &'static str) -> Self {
        Self(Cow::Borrowed(sentence))
    }
}

/// A text, from a form or the database, that stands for none of the choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown choice")]
pub struct UnknownChoice;
