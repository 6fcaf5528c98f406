//! What is wrong with a value that a person typed.

/// What is wrong with something a person typed, as a sentence for that person.
///
/// The sentence says what to do, in the words of the form it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake(pub &'static str);

/// A word that stands for none of the choices, in a form or in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an unknown word")]
pub struct UnknownWord;
