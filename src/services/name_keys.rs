//! The keys of stored names: looking names up, and computing the keys again after the computation has changed.

use std::collections::HashSet;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};

use crate::database::entities::{name_keys, room, user};
use crate::database::feed::Origin;
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::database::transaction::change;
use crate::domain::{NameKeys, RoomId, Timestamp, UserId};

/// Selects the account with one of these keys, the one with the exact spelling first.
pub(super) fn user_by(keys: [String; 2]) -> Select<user::Entity> {
    user::Entity::find()
        .filter(user::Column::FoldedName.is_in(keys))
        .order_by_desc(user::Column::FoldedName)
}

/// Selects the room with one of these keys, the one with the exact spelling first.
pub(super) fn room_by(keys: [String; 2]) -> Select<room::Entity> {
    room::Entity::find()
        .filter(room::Column::FoldedName.is_in(keys))
        .order_by_desc(room::Column::FoldedName)
}

/// Returns whether an account whose name conflicts with `keys` was set aside. The database does not know of
/// these conflicts.
pub(super) async fn is_user_set_aside(
    database: &impl ConnectionTrait,
    keys: &NameKeys,
) -> Result<bool, DbErr> {
    use user::Column::{FoldedSkeleton, TypedSkeleton};
    let found = user::Entity::find().filter(set_aside(FoldedSkeleton, TypedSkeleton, keys));
    Ok(found.one(database).await?.is_some())
}

/// Returns whether another room than `except` whose name conflicts with `keys` was set aside.
pub(super) async fn is_room_set_aside(
    database: &impl ConnectionTrait,
    keys: &NameKeys,
    except: Option<RoomId>,
) -> Result<bool, DbErr> {
    use room::Column::{FoldedSkeleton, TypedSkeleton};
    let found = room::Entity::find()
        .filter(set_aside(FoldedSkeleton, TypedSkeleton, keys))
        .filter(room::Column::Id.ne(except.unwrap_or(RoomId(0))));
    Ok(found.one(database).await?.is_some())
}

fn set_aside<C: ColumnTrait>(folded: C, typed: C, keys: &NameKeys) -> Condition {
    let in_range = |column: C, key: &str| {
        let (first, last) = NameKeys::range_set_aside(key);
        column.between(first, last)
    };
    Condition::any()
        .add(in_range(folded, &keys.folded_skeleton))
        .add(in_range(typed, &keys.typed_skeleton))
}

/// Computes the keys of all accounts and rooms again, if they were computed by an older version.
///
/// Of names that conflict now, the oldest keeps its keys. The others are set aside: they are found by their exact
/// spelling, and named in the log.
///
/// # Errors
/// When the database fails. Nothing has changed then.
pub async fn renew(writer: &DatabaseConnection, now: Timestamp) -> Result<(), DbErr> {
    let renewed = change(writer, Origin::random(), now, async |transaction| {
        let done = name_keys::Entity::find_by_id(NameKeys::VERSION);
        if done.one(transaction).await?.is_some() {
            return Ok::<_, DbErr>(RollBack(()));
        }
        renew_users(transaction).await?;
        renew_rooms(transaction).await?;
        let version = name_keys::ActiveModel {
            version: Set(NameKeys::VERSION),
        };
        name_keys::Entity::insert(version).exec(transaction).await?;
        Ok(Commit((), Vec::new()))
    });
    renewed.await?;
    Ok(())
}

/// The id, name and keys of a row.
type Row<Id> = (Id, String, String, String, String);

async fn renew_users(database: &impl ConnectionTrait) -> Result<(), DbErr> {
    use user::Column::{CreatedAt, FoldedName, FoldedSkeleton, Id, Name, TypedSkeleton};
    let rows: Vec<Row<UserId>> = user::Entity::find()
        .select_only()
        .columns([Id, Name, FoldedName, FoldedSkeleton, TypedSkeleton])
        .order_by_asc(CreatedAt)
        .order_by_asc(Id)
        .into_tuple()
        .all(database)
        .await?;
    for (id, keys) in renewed("account", rows, |id| id.0) {
        let row = user::ActiveModel {
            id: Set(id),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            ..Default::default()
        };
        user::Entity::update(row).exec(database).await?;
    }
    Ok(())
}

async fn renew_rooms(database: &impl ConnectionTrait) -> Result<(), DbErr> {
    use room::Column::{CreatedAt, FoldedName, FoldedSkeleton, Id, Name, TypedSkeleton};
    let rows: Vec<Row<RoomId>> = room::Entity::find()
        .select_only()
        .columns([Id, Name, FoldedName, FoldedSkeleton, TypedSkeleton])
        .order_by_asc(CreatedAt)
        .order_by_asc(Id)
        .into_tuple()
        .all(database)
        .await?;
    for (id, keys) in renewed("room", rows, |id| id.0) {
        let row = room::ActiveModel {
            id: Set(id),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            ..Default::default()
        };
        room::Entity::update(row).exec(database).await?;
    }
    Ok(())
}

/// Returns the updates of the rows, oldest first, whose keys change. The first updates free the old keys, so that
/// no update meets a key that a later one would have freed.
fn renewed<Id: Copy>(
    kind: &'static str,
    rows: Vec<Row<Id>>,
    number: impl Fn(Id) -> i64,
) -> Vec<(Id, NameKeys)> {
    let mut taken: [HashSet<String>; 3] = Default::default();
    let (mut freed, mut updates) = (Vec::new(), Vec::new());
    for (id, name, folded, folded_skeleton, typed_skeleton) in rows {
        let old = NameKeys {
            folded,
            folded_skeleton,
            typed_skeleton,
        };
        let number = number(id);
        let mut keys = NameKeys::of(&name);
        if !take(&mut taken, &keys) {
            keys = NameKeys::set_aside(&name);
            let message = "name set aside, as it looks like an older one: use its exact spelling";
            tracing::warn!(kind, id = number, name, message);
            if !take(&mut taken, &keys) {
                keys = NameKeys::set_aside(&format!("{name}\u{1f}{number}"));
                take(&mut taken, &keys);
            }
        }
        if keys != old {
            let free = format!("\u{1f}{number}");
            freed.push((
                id,
                NameKeys {
                    folded: free.clone(),
                    folded_skeleton: free.clone(),
                    typed_skeleton: free,
                },
            ));
            updates.push((id, keys));
        }
    }
    freed.extend(updates);
    freed
}

/// Takes the keys, if none of them is taken.
fn take(taken: &mut [HashSet<String>; 3], keys: &NameKeys) -> bool {
    let [folded, folded_skeletons, typed_skeletons] = taken;
    let is_free = !folded.contains(&keys.folded)
        && !folded_skeletons.contains(&keys.folded_skeleton)
        && !typed_skeletons.contains(&keys.typed_skeleton);
    if is_free {
        folded.insert(keys.folded.clone());
        folded_skeletons.insert(keys.folded_skeleton.clone());
        typed_skeletons.insert(keys.typed_skeleton.clone());
    }
    is_free
}
