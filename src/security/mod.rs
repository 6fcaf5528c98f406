//! The secret file, tokens, nonces and password hashing.

pub mod nonces;
pub mod passwords;
pub mod secret;
pub mod tokens;
