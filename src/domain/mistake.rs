//! Errors of parsing a value.

/// What is wrong with a value that a person typed, as a sentence for that person.
///
/// The sentence says what to do, in the words of the form that the value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake(pub &'static str);

/// A text, from a form or the database, that stands for none of the choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an unknown word")]
pub struct UnknownChoice;
