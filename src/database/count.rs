//! Counting rows by the values of a column.

use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QuerySelect, Select, TryGetable};

/// Returns how many of `rows` have each value of `column`. A value that no row has is absent.
///
/// # Errors
/// When the database fails.
pub async fn count_by<E, V>(
    database: &impl ConnectionTrait,
    rows: Select<E>,
    column: E::Column,
) -> Result<HashMap<V, u64>, DbErr>
where
    E: EntityTrait,
    V: TryGetable + Eq + Hash,
{
    let counts: Vec<(V, i64)> = rows
        .select_only()
        .column(column)
        .column_as(column.count(), "rows")
        .group_by(column)
        .into_tuple()
        .all(database)
        .await?;
    let counts = counts.into_iter();
    Ok(counts
        .map(|(value, count)| (value, u64::try_from(count).unwrap_or(0)))
        .collect())
}
