//! Read marks as processes tell each other.

use crate::domain::{MessageId, RoomId, SiteTime, UserId};

/// How far a person has read in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadMark {
    pub(super) user: UserId,
    pub(super) room: RoomId,
    pub(super) message: MessageId,
    pub(super) moved_at: SiteTime,
}

/// Writes marks one after the other, 32 bytes each.
pub(super) fn encode(marks: &[ReadMark]) -> Vec<u8> {
    let bytes = marks.iter().flat_map(|mark| {
        let fields = [
            mark.user.0.to_be_bytes(),
            mark.room.0.to_be_bytes(),
            mark.message.0.to_be_bytes(),
            mark.moved_at.0.to_be_bytes(),
        ];
        fields.into_iter().flatten()
    });
    bytes.collect()
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> impl Iterator<Item = ReadMark> {
    let (fields, _) = bytes.as_chunks::<8>();
    let (marks, _) = fields.as_chunks::<4>();
    marks
        .iter()
        .map(|&[user, room, message, moved_at]| ReadMark {
            user: UserId(i64::from_be_bytes(user)),
            room: RoomId(i64::from_be_bytes(room)),
            message: MessageId(u64::from_be_bytes(message)),
            moved_at: SiteTime(i64::from_be_bytes(moved_at)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        let mark = |user, message| ReadMark {
            user: UserId(user),
            room: RoomId(7),
            message: MessageId(message),
            moved_at: SiteTime(1_795_352_700_000),
        };
        let marks = [mark(1, 1_795_352_700_000_007), mark(-2, 0)];

        let read: Vec<ReadMark> = decode(&encode(&marks)).collect();

        assert_eq!(read, marks);
    }
}
