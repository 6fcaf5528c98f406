//! Ignoring people: their messages are not shown or counted, in any room. They are not told.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Set,
};

use crate::core::{Core, Fault};
use crate::database::entities::{ignored_person, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::UserId;

/// Makes `user` ignore `person`. Does nothing if they already do, or if they are the same person.
///
/// # Errors
/// When the database fails.
pub async fn ignore(core: &Arc<Core>, user: UserId, person: UserId) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let account = user::Entity::find_by_id(person).one(transaction).await?;
        if account.is_none() || person == user {
            return Ok(RollBack(()));
        }
        let row = ignored_person::ActiveModel {
            user_id: Set(user),
            ignored_id: Set(person),
        };
        ignored_person::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(transaction)
            .await?;
        Ok(Commit((), vec![Change::AccountChanged(user)]))
    })
    .await
}

/// Makes `user` no longer ignore `person`.
///
/// # Errors
/// When the database fails.
pub async fn stop_ignoring(core: &Arc<Core>, user: UserId, person: UserId) -> Result<(), Fault> {
    core.change(async move |transaction| {
        ignored_person::Entity::delete_by_id((user, person))
            .exec(transaction)
            .await?;
        Ok(Commit((), vec![Change::AccountChanged(user)]))
    })
    .await
}

/// A person who is ignored.
#[derive(Debug)]
pub struct IgnoredPerson {
    /// The person's id.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
}

/// Returns the people whom `user` ignores, sorted by name.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, user: UserId) -> Result<Vec<IgnoredPerson>, Fault> {
    let rows: Vec<(UserId, String)> = ignored_person::Entity::find()
        .select_only()
        .column(ignored_person::Column::IgnoredId)
        .column(user::Column::Name)
        .join(JoinType::InnerJoin, ignored_person::Relation::User.def())
        .filter(ignored_person::Column::UserId.eq(user))
        .order_by_asc(user::Column::FoldedName)
        .into_tuple()
        .all(&core.database)
        .await?;
    let person = |(user_id, name)| IgnoredPerson { user_id, name };
    Ok(rows.into_iter().map(person).collect())
}
