//! The roles of members, which decide what each may do in a room.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownChoice;

/// A member's role. Roles are ordered by power: the owner's is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Role::as_str")]
pub enum Role {
    /// A member, who may read, post and leave.
    Member,
    /// A moderator, who may also delete messages, remove and ban members, and create invites.
    Moderator,
    /// The owner, who may also appoint moderators and change the room's settings. Each room has exactly one.
    Owner,
}

impl Role {
    /// Returns the text that stands for the role on pages and in the database.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// Returns whether a member with this role may remove or ban a person whose role is `other`, and delete
    /// that person's messages. `None` is the role of a person who is not a member.
    #[must_use]
    pub fn may_moderate(self, other: Option<Self>) -> bool {
        self >= Self::Moderator && Some(self) > other
    }
}

/// Parses the role of a member who does not own the room. The room's row names the owner.
impl FromStr for Role {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        let mut roles = [Self::Member, Self::Moderator].into_iter();
        roles
            .find(|role| role.as_str() == text)
            .ok_or(UnknownChoice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_moderates_only_people_of_a_lower_role() {
        use Role::{Member, Moderator, Owner};
        let allowed = [
            (Moderator, None),
            (Moderator, Some(Member)),
            (Owner, None),
            (Owner, Some(Member)),
            (Owner, Some(Moderator)),
        ];
        for role in [Member, Moderator, Owner] {
            for other in [None, Some(Member), Some(Moderator), Some(Owner)] {
                let is_allowed = allowed.contains(&(role, other));
                assert_eq!(role.may_moderate(other), is_allowed, "{role:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_role_survives_a_round_trip_through_text() {
        for role in [Role::Moderator, Role::Member] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        // Only the room's row makes an owner.
        assert_eq!("owner".parse::<Role>(), Err(UnknownChoice));
    }
}
