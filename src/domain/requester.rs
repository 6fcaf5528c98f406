//! The person or address that a request's work is counted against.

use super::client_address::ClientAddress;
use super::ids::UserId;

/// The person or address that asks for costly work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requester {
    /// A person who is signed in.
    Person(UserId),
    /// The client address of a request without a session. Many people may share it.
    Address(ClientAddress),
}
