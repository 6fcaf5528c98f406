//! Creating rooms, finding rooms, and who may access them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait, Set,
};

use super::{accounts, memberships, name_keys};
use crate::core::{Core, Fault};
use crate::database::count::count_by;
use crate::database::entities::{room, room_member, user};
use crate::database::errors::is_duplicate;
use crate::database::feed::Change;
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::{
    Language, Lifespan, NameKeys, Posting, Requester, Role, RoomId, RoomName, RoomPassword,
    SiteTime, SlowMode, UserId,
};
use crate::live::done_forms::{Made, Turn};
use crate::live::rooms::{ListEntry, Member, PublicName, PublicNames, Room, RoomLabel, RoomLabels};

/// The number of rooms on one page of the list of public rooms.
const LIST_PAGE: usize = 50;

/// A person's access to a room.
#[derive(Debug)]
pub enum Access {
    /// The person is a member.
    Member(Arc<Room>),
    /// The person is not a member, and the room is public: they may see that it exists, and join.
    Outside(Arc<Room>),
    /// The room does not exist, or it is private and the person is not a member.
    Hidden,
}

/// Returns the access of `user` to `room`. Costs no query while the room is in use.
///
/// # Errors
/// When the database fails.
pub async fn access(core: &Core, room: RoomId, user: UserId) -> Result<Access, Fault> {
    let held = core.rooms.held(room);
    let is_held = held.is_some();
    let found = match held {
        None => find(core, room).await?,
        held => held,
    };
    match found {
        Some(room) if room.role_of(user).is_some() => Ok(Access::Member(room)),
        Some(room) if !room.is_private => Ok(Access::Outside(room)),
        _ => {
            if is_held {
                // A room that does not exist is read, so one that is hidden and in memory costs the same
                // queries: the time must not tell the two apart. Boxed because otherwise every waiting poll
                // would reserve memory for this future.
                Box::pin(read(core, RoomId(0))).await?;
            }
            Ok(Access::Hidden)
        }
    }
}

/// Returns the room, without checking who may access it. Costs no query while the room is in use.
pub(super) async fn find(core: &Core, room: RoomId) -> Result<Option<Arc<Room>>, Fault> {
    if let Some(held) = core.rooms.held(room) {
        return Ok(Some(held));
    }
    core.rooms.get(room, async || read(core, room).await).await
}

/// The kind of a new room.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A public room: everybody sees it in the list, and can join with one click.
    Public,
    /// A private room: only members see it in their list, and joining takes this password.
    Private(RoomPassword),
}

/// The outcome of creating a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The room was created. Its creator is its owner and first member.
    Room(RoomId),
    /// Another room has this name, or one that looks like it.
    NameTaken,
    /// The person owns the maximum number of rooms.
    OwnsTooMany,
    /// The site has the maximum number of public rooms.
    TooManyPublic,
}

/// Returns the room that the form of `owner` has created in an earlier `turn`, if the same was sent again.
///
/// A form with another name, kind or password than the room's is for another room.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn created_before(
    core: &Core,
    turn: &Turn,
    owner: UserId,
    name: &RoomName,
    kind: &Kind,
) -> Result<Option<RoomId>, Fault> {
    let Some(Made::Room(room)) = turn.made() else {
        return Ok(None);
    };
    let row = room::Entity::find_by_id(room).one(&core.database).await?;
    let Some(row) = row.filter(|row| row.name == name.as_str()) else {
        return Ok(None);
    };
    let is_same = match (kind, row.password_hash) {
        (Kind::Public, None) => true,
        (Kind::Private(password), Some(hash)) => {
            let requester = Requester::Person(owner);
            let password = password.plain().clone();
            let verified = core.passwords.verify(requester, password, Some(&hash));
            verified.await?.is_right()
        }
        (Kind::Public, Some(_)) | (Kind::Private(_), None) => false,
    };
    Ok(is_same.then_some(room))
}

/// Creates a room with `owner` as its owner and first member. Callers check that the form was not done in an earlier
/// `turn`.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn create(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    owner: UserId,
    name: RoomName,
    kind: Kind,
) -> Result<Created, Fault> {
    let password_hash = match &kind {
        Kind::Public => None,
        Kind::Private(password) => {
            let requester = Requester::Person(owner);
            let hash = core.passwords.hash(requester, password.plain().clone());
            Some(hash.await?)
        }
    };
    let now = core.clock.now();
    let rooms_max = core.config.rooms_per_person;
    let public_max = core.config.public_rooms;
    let made = |outcome: &Created| match outcome {
        Created::Room(room) => Some(Made::Room(*room)),
        Created::NameTaken | Created::OwnsTooMany | Created::TooManyPublic => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        let is_private = password_hash.is_some();
        if count_owned_by(transaction, owner).await? >= rooms_max {
            return Ok(RollBack(Created::OwnsTooMany));
        }
        if !is_private && is_public_limit_reached(transaction, public_max).await? {
            return Ok(RollBack(Created::TooManyPublic));
        }
        let keys = name.keys();
        if name_keys::is_room_set_aside(transaction, &keys, None).await? {
            return Ok(RollBack(Created::NameTaken));
        }
        let row = room::ActiveModel {
            name: Set(name.as_str().to_owned()),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            is_private: Set(is_private),
            password_hash: Set(password_hash.clone()),
            owner_id: Set(owner),
            message_lifespan: Set(None),
            description: Set(String::new()),
            slow_mode: Set(0),
            language: Set(String::new()),
            posting: Set(Posting::Everyone),
            version: Set(0),
            created_at: Set(now),
            ..Default::default()
        };
        let room = match room::Entity::insert(row).exec(transaction).await {
            Ok(inserted) => inserted.last_insert_id,
            Err(error) if is_duplicate(&error) => return Ok(RollBack(Created::NameTaken)),
            Err(error) => return Err(error.into()),
        };
        memberships::insert(transaction, room, owner, now).await?;
        let changes = vec![Change::RoomCreated(room), Change::AccountChanged(owner)];
        Ok(Commit(Created::Room(room), changes))
    })
    .await
}

/// A room in the list of public rooms.
#[derive(Debug)]
pub struct ListedRoom {
    /// The room.
    pub room: Arc<Room>,
    /// The number of people who have the room open.
    pub here: usize,
    /// Whether the person who views the list is a member.
    pub is_member: bool,
}

/// One page of the list of public rooms.
#[derive(Debug, Default)]
pub struct RoomList {
    /// The rooms: first those with messages, by their latest message, newest first; then the others, sorted
    /// by name.
    pub rooms: Vec<ListedRoom>,
    /// The number of this page, from 1.
    pub page: usize,
    /// The number of pages, at least 1.
    pub pages: usize,
}

/// Returns one page of the public rooms whose names contain `search`, ignoring letter case, as `user` sees
/// them.
///
/// A page number after the last page gives the last page. Costs no query while the rooms are in use.
///
/// # Errors
/// When the database fails.
pub async fn public_list(
    core: &Core,
    user: UserId,
    search: &str,
    page: usize,
) -> Result<RoomList, Fault> {
    let now = core.clock.site_time();
    let searched = match search {
        "" => String::new(),
        search => NameKeys::searched(search),
    };
    let public = core
        .public_rooms
        .get((), async || Ok::<_, Fault>(Some(read_public(core).await?)));
    let Some(public) = public.await? else {
        return Ok(RoomList::default());
    };
    // Few rooms have messages, and they are known without visiting the others.
    let matches_search = |room: &PublicName| {
        // Comparing the lengths first avoids the setup of the search for a long needle.
        room.folded_name.len() >= searched.len() && room.folded_name.contains(&searched)
    };
    let matching = public.by_name.iter().filter(|room| matches_search(room));
    let count = if searched.is_empty() {
        public.by_name.len()
    } else {
        matching.clone().count()
    };
    let pages = count.div_ceil(LIST_PAGE).max(1);
    let page = page.clamp(1, pages);
    let on_page = core.messages.activity(now, |activity| {
        let active = activity.newest_first();
        let active = active
            .filter_map(|(room, _)| public.by_name.get(*public.positions.get(&room)?))
            .filter(|room| matches_search(room));
        let others = matching.filter(|room| !activity.has(room.id));
        let ordered = active.chain(others).map(|room| room.id);
        let mut on_page = Vec::with_capacity(LIST_PAGE);
        on_page.extend(ordered.skip((page - 1) * LIST_PAGE).take(LIST_PAGE));
        on_page
    });
    let mut rooms = Vec::with_capacity(LIST_PAGE);
    for room in on_page.await? {
        // The room may have been deleted or made private since the list was read.
        if let Some(room) = find(core, room).await?.filter(|room| !room.is_private) {
            rooms.push(room);
        }
    }
    let here = core.presence.counts(&rooms, now).await?;
    let listed = |(room, here): (Arc<Room>, usize)| ListedRoom {
        here,
        is_member: room.role_of(user).is_some(),
        room,
    };
    let rooms = rooms.into_iter().zip(here).map(listed).collect();
    Ok(RoomList { rooms, page, pages })
}

async fn read_public(core: &Core) -> Result<PublicNames, Fault> {
    let rows: Vec<(RoomId, String)> = room::Entity::find()
        .select_only()
        .column(room::Column::Id)
        .column(room::Column::FoldedName)
        .filter(room::Column::IsPrivate.eq(false))
        .order_by_asc(room::Column::FoldedName)
        .into_tuple()
        .all(&core.database)
        .await?;
    let ids = rows.iter().enumerate();
    Ok(PublicNames {
        positions: ids.map(|(position, (id, _))| (*id, position)).collect(),
        by_name: rows
            .into_iter()
            .map(|(id, folded_name)| PublicName { id, folded_name })
            .collect(),
    })
}

/// A room in a person's list of their own rooms.
#[derive(Debug)]
pub struct OwnRoom {
    /// The room's id.
    pub id: RoomId,
    /// The room's name.
    pub name: String,
    /// Whether the room is private.
    pub is_private: bool,
    /// The description; may be empty.
    pub description: String,
    /// The main language, if the owner has chosen one.
    pub language: Option<Language>,
    /// The number of members.
    pub members: u64,
    /// The number of messages of other people that this person has not read.
    pub new: usize,
}

/// Returns the rooms that `user` is a member of, those with new messages first, sorted by name.
///
/// # Errors
/// When the database fails.
pub async fn own_list(core: &Core, user: UserId) -> Result<Vec<OwnRoom>, Fault> {
    let rows = room::Entity::find()
        .join(JoinType::InnerJoin, room_member::Relation::Room.def().rev())
        .filter(room_member::Column::UserId.eq(user))
        .order_by_asc(room::Column::FoldedName)
        .all(&core.database)
        .await?;
    let ids = rows.iter().map(|room| room.id);
    let memberships = room_member::Entity::find().filter(room_member::Column::RoomId.is_in(ids));
    let counts: HashMap<RoomId, u64> =
        count_by(&core.database, memberships, room_member::Column::RoomId).await?;
    let settings = accounts::settings(core, user).await?;
    let ignored = &settings.ignored;
    let now = core.clock.site_time();
    core.read_marks.refresh(user, now).await?;
    let seen = core.read_marks.all_of(user);
    let mut own = Vec::with_capacity(rows.len());
    for room in rows {
        let seen = seen.get(&room.id).copied();
        own.push(OwnRoom {
            new: core
                .messages
                .new_for(room.id, user, ignored, seen, now)
                .await?,
            members: counts.get(&room.id).copied().unwrap_or(0),
            language: Language::parse(&room.language),
            id: room.id,
            name: room.name,
            description: room.description,
            is_private: room.is_private,
        });
    }
    own.sort_by_key(|room| room.new == 0);
    Ok(own)
}

/// The number of rooms that the list beside a conversation shows.
const BESIDE: usize = 12;

/// The rooms of a person to list beside a conversation.
#[derive(Debug)]
pub struct Beside {
    /// At most 12 rooms, sorted by name.
    pub shown: Vec<RoomBeside>,
    /// The other rooms with new messages, and how many each has.
    pub others: Vec<(RoomId, usize)>,
}

/// A room in the list beside a conversation.
#[derive(Debug)]
pub struct RoomBeside {
    /// The room's id.
    pub id: RoomId,
    /// The room's name.
    pub name: Arc<str>,
    /// The number of messages of other people that this person has not read.
    pub new: usize,
}

/// Returns the rooms of `user` to list beside the conversation in `current`.
///
/// Rooms with new messages are preferred, and `current` is always among those shown. `current` has no new messages,
/// because the person is reading them. Costs no query while the list is held.
///
/// # Errors
/// When the database fails.
pub async fn beside(core: &Core, user: UserId, current: RoomId) -> Result<Beside, Fault> {
    let own = own_rooms(core, user).await?;
    let settings = accounts::settings(core, user).await?;
    let now = core.clock.site_time();
    core.read_marks.load(user, now).await?;
    let seen = core.read_marks.all_of(user);
    let mut counted = Vec::with_capacity(own.by_name().len());
    for room in own.by_name() {
        let new = if room.id == current {
            0
        } else {
            let seen = seen.get(&room.id).copied();
            core.messages
                .new_for(room.id, user, &settings.ignored, seen, now)
                .await?
        };
        counted.push((room, new));
    }
    let is_current = |room: &RoomLabel| room.id == current;
    let with_news = counted.iter().filter(|(_, new)| *new > 0).count();
    // How many rooms without news there is space for, besides the current room.
    let mut space = BESIDE.saturating_sub(1 + with_news);
    let mut space_for_news = BESIDE - 1;
    let mut beside = Beside {
        shown: Vec::with_capacity(BESIDE),
        others: Vec::new(),
    };
    for (room, new) in counted {
        let space = if new > 0 {
            &mut space_for_news
        } else {
            &mut space
        };
        if is_current(room) || *space > 0 {
            if !is_current(room) {
                *space -= 1;
            }
            beside.shown.push(RoomBeside {
                id: room.id,
                name: Arc::clone(&room.name),
                new,
            });
        } else if new > 0 {
            beside.others.push((room.id, new));
        }
    }
    Ok(beside)
}

/// How many rooms one answer tells of: proxies refuse answers with long headers.
const TOLD_AT_ONCE: usize = 100;

/// The most rooms of a person whose pulses are looked at one by one. Who is in more is told of the site's latest changes
/// that are in their rooms.
const LOOKED_AT: usize = 32;

/// A change becomes visible a moment after its time. Rooms that changed within this many milliseconds before the last
/// answer are told again, which does no harm.
const TOLD_AGAIN: i64 = 1_000;

/// Returns the number of new messages in each room of `user` except `current` where that number may have changed
/// between `since`, or ever, and `now`. At most 100 rooms. Costs no query while the list of rooms is held.
///
/// # Errors
/// When the database fails.
pub(super) async fn changed_elsewhere(
    core: &Core,
    user: UserId,
    current: RoomId,
    since: Option<SiteTime>,
    now: SiteTime,
) -> Result<Vec<(RoomId, usize)>, Fault> {
    let own = own_rooms(core, user).await?;
    let since = SiteTime(since.map_or(i64::MIN, |since| since.0.saturating_sub(TOLD_AGAIN)));
    core.read_marks.load(user, now).await?;
    let read = core.read_marks.moved_since(user, since);
    let mut changed = changed(core, &own, read, since, now);
    changed.retain(|room| room.id != current);
    changed.truncate(TOLD_AT_ONCE);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let settings = accounts::settings(core, user).await?;
    let mut counts = Vec::new();
    for room in changed {
        let seen = core.read_marks.find(user, room.id);
        let new = core
            .messages
            .new_for(room.id, user, &settings.ignored, seen, now);
        counts.push((room.id, new.await?));
    }
    Ok(counts)
}

/// Returns the rooms of `own` whose messages may have changed between `since` and `now`, and those in `read`.
fn changed<'a>(
    core: &Core,
    own: &'a RoomLabels,
    read: Vec<RoomId>,
    since: SiteTime,
    now: SiteTime,
) -> Vec<&'a RoomLabel> {
    let rooms = own.by_name();
    if rooms.len() > LOOKED_AT
        && let Some(mut changed) = core.messages.changed(since, now, rooms.len())
    {
        changed.extend(read);
        changed.sort_unstable();
        changed.dedup();
        return changed.iter().filter_map(|room| own.find(*room)).collect();
    }
    let has_changed =
        |room: &&RoomLabel| room.pulse.has_changed(since, now) || read.contains(&room.id);
    rooms.iter().filter(has_changed).collect()
}

/// Makes sure that the list of the rooms of `user` is held.
///
/// # Errors
/// When the database fails.
pub(super) async fn hold_own(core: &Core, user: UserId) -> Result<(), Fault> {
    own_rooms(core, user).await.map(drop)
}

/// Returns the rooms of `user`, sorted by name. Costs no query while the list is held.
async fn own_rooms(core: &Core, user: UserId) -> Result<Arc<RoomLabels>, Fault> {
    let held = core.own_rooms.get(user, async || {
        Ok::<_, Fault>(Some(read_own(core, user).await?))
    });
    Ok(held.await?.unwrap_or_default())
}

async fn read_own(core: &Core, user: UserId) -> Result<RoomLabels, Fault> {
    let rows: Vec<(RoomId, String)> = room::Entity::find()
        .select_only()
        .column(room::Column::Id)
        .column(room::Column::Name)
        .join(JoinType::InnerJoin, room_member::Relation::Room.def().rev())
        .filter(room_member::Column::UserId.eq(user))
        .order_by_asc(room::Column::FoldedName)
        .into_tuple()
        .all(&core.database)
        .await?;
    let now = core.clock.site_time();
    let label = |(id, name): (RoomId, String)| RoomLabel {
        pulse: core.messages.pulse(id, now),
        id,
        name: name.into(),
    };
    Ok(RoomLabels::new(rows.into_iter().map(label).collect()))
}

/// Returns whether `user` is a member of any room.
///
/// # Errors
/// When the database fails.
pub async fn is_in_any(core: &Core, user: UserId) -> Result<bool, Fault> {
    let membership = room_member::Entity::find().filter(room_member::Column::UserId.eq(user));
    Ok(membership.one(&core.database).await?.is_some())
}

/// Returns the room with this name, without checking who may access it. An invalid name (`None`) is looked up
/// too, so that it takes as long as a valid one.
pub(super) async fn by_name(
    core: &Core,
    name: Option<&RoomName>,
) -> Result<Option<room::Model>, Fault> {
    let keys = name.map(RoomName::lookup_keys).unwrap_or_default();
    let named = name_keys::room_by(keys);
    Ok(named.one(&core.database).await?)
}

/// Reads a room from the database. The members are read after the version, so they are at least as recent as
/// the version.
async fn read(core: &Core, id: RoomId) -> Result<Option<Room>, Fault> {
    // The log is opened before the database is read, so that it cannot forget a newer version in between.
    let log = core.messages.open(id).await?;
    let room = room::Entity::find_by_id(id).one(&core.database).await?;
    if let Some(room) = &room {
        log.raise_version(room.version).await?;
    }
    // This query also runs without a room, so that a hidden room costs as many as one that does not exist.
    let rows: Vec<(UserId, String, Role)> = room_member::Entity::find()
        .select_only()
        .column(room_member::Column::UserId)
        .column(user::Column::Name)
        .column(room_member::Column::Role)
        .join(JoinType::InnerJoin, room_member::Relation::User.def())
        .filter(room_member::Column::RoomId.eq(id))
        .order_by_asc(room_member::Column::JoinedAt)
        .order_by_asc(room_member::Column::UserId)
        .into_tuple()
        .all(&core.database)
        .await?;
    let Some(room) = room else {
        return Ok(None);
    };
    let members: Vec<Member> = rows
        .into_iter()
        .map(|(user_id, name, role)| Member {
            user_id,
            name,
            role: memberships::role_in(&room, user_id, role),
        })
        .collect();
    Ok(Some(Room {
        roles: members.iter().map(|m| (m.user_id, m.role)).collect(),
        lifespan: lifespan(core, &room),
        slow_mode: SlowMode(millis(room.slow_mode)),
        language: Language::parse(&room.language),
        posting: room.posting,
        id,
        version: room.version,
        name: room.name,
        description: room.description,
        is_private: room.is_private,
        created_at: room.created_at,
        owner: room.owner_id,
        members,
        entry: ListEntry::default(),
    }))
}

/// Returns the number of rooms that `user` owns.
pub(super) async fn count_owned_by(
    database: &impl ConnectionTrait,
    user: UserId,
) -> Result<u64, Fault> {
    let owned = room::Entity::find().filter(room::Column::OwnerId.eq(user));
    Ok(owned.count(database).await?)
}

/// Returns whether there are `public_max` public rooms or more; `None` is unlimited.
pub(super) async fn is_public_limit_reached(
    database: &impl ConnectionTrait,
    public_max: Option<u64>,
) -> Result<bool, Fault> {
    let Some(most) = public_max else {
        return Ok(false);
    };
    let public = room::Entity::find().filter(room::Column::IsPrivate.eq(false));
    Ok(public.count(database).await? >= most)
}

/// Returns how long messages live in `room`: the owner's choice, but at most the server's maximum.
fn lifespan(core: &Core, room: &room::Model) -> Lifespan {
    let most = core.config.message_lifespan;
    let chosen = room.message_lifespan.map(millis);
    Lifespan(chosen.map_or(most, |chosen| chosen.min(most)))
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
