//! Who can read what is written in a room.

/// Who can read what is written in a room. A form says for whom its text was written, because a room can be made public
/// while somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// The members of a private room.
    Members,
    /// Everyone who is signed in: anyone can join a public room.
    Everyone,
}

impl Audience {
    /// Returns who can read what is written in a room that is private, or public.
    #[must_use]
    pub fn of_room(is_private: bool) -> Self {
        if is_private {
            Self::Members
        } else {
            Self::Everyone
        }
    }

    /// Returns the text that stands for the audience in forms and addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Everyone => "everyone",
        }
    }

    /// Parses what a form or an address says. One that says nothing asks for no protection.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == Self::Members.as_str() {
            Self::Members
        } else {
            Self::Everyone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_survives_a_round_trip_through_text() {
        for audience in [Audience::Members, Audience::Everyone] {
            assert_eq!(Audience::parse(audience.as_str()), audience);
        }
        assert_eq!(Audience::parse(""), Audience::Everyone);
    }

    #[test]
    fn members_are_fewer_than_everyone() {
        assert!(Audience::Members < Audience::Everyone);
    }
}
