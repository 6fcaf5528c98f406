//! What the command line says to an operator, and asks of them. What is done is the business of
//! [`crate::services::operators`].

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use sea_orm::DatabaseConnection;

use crate::clock::Clock;
use crate::config::{Address, Deleting, Operation, RoomCommand, Storage, UserCommand};
use crate::core::Fault;
use crate::database::backup::{self, CopyError};
use crate::database::connection::{self, OpenError};
use crate::services::operators::{self, ListedPerson, ListedRoom};
use crate::urls::{register_url, reset_url};

/// Why a command has done nothing: a sentence for who gave it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The command must be given otherwise.
    #[error("{0}")]
    Usage(&'static str),
    /// There is nobody, or nothing, of that name.
    #[error("there is no {what} of the name {name}")]
    Unknown {
        /// A person or a room.
        what: &'static str,
        /// The name as it was typed.
        name: String,
    },
    /// The question was not answered with yes.
    #[error("nothing was deleted")]
    SaidNo,
    /// The database cannot be opened.
    #[error(transparent)]
    NoDatabase(#[from] OpenError),
    /// The database failed.
    #[error("{}", causes(.0))]
    Failed(#[from] Fault),
    /// The copy of the database cannot be made.
    #[error("cannot copy the database to {}: {error}", file.display())]
    NoCopy {
        /// The file that was to be made.
        file: PathBuf,
        /// What the operating system or the database says.
        error: CopyError,
    },
    /// The terminal failed.
    #[error("cannot read the answer: {0}")]
    NoAnswer(#[from] io::Error),
}

/// A fault with what it comes from, in one line.
fn causes(fault: &Fault) -> String {
    let chain = std::iter::successors(Some::<&dyn std::error::Error>(fault), |error| {
        error.source()
    });
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Does what the operator wants, and gives what to print.
///
/// # Errors
/// When it was not done; then nothing was.
pub async fn run(operation: &Operation, clock: &dyn Clock) -> Result<String, Refused> {
    check(operation)?;
    if let Operation::Backup { file, storage } = operation {
        return back_up(storage, file).await;
    }
    let database = connection::open_existing(storage(operation)).await?;
    let said = carry_out(operation, &database, clock).await;
    // What was committed lasts; closing only tidies up the database's files.
    drop(database.close().await);
    said
}

fn storage(operation: &Operation) -> &Storage {
    match operation {
        Operation::User(
            UserCommand::List { storage }
            | UserCommand::ResetPassword { storage, .. }
            | UserCommand::Delete { storage, .. },
        )
        | Operation::Room(RoomCommand::List { storage } | RoomCommand::Delete { storage, .. })
        | Operation::Backup { storage, .. }
        | Operation::SignupLink { storage, .. } => storage,
    }
}

/// Refuses what cannot be done whatever the database holds.
fn check(operation: &Operation) -> Result<(), Refused> {
    match operation {
        Operation::User(UserCommand::ResetPassword { address, .. })
        | Operation::SignupLink { address, .. }
            if address.public_url.is_none() && address.bind.port() == 0 =>
        {
            Err(Refused::Usage(
                "a link needs the address people reach the server by: set --public-url or --bind",
            ))
        }
        Operation::User(UserCommand::Delete { deleting, .. })
        | Operation::Room(RoomCommand::Delete { deleting, .. })
            if !deleting.yes && !io::stdin().is_terminal() =>
        {
            Err(Refused::Usage(
                "there is no terminal to ask on whether to delete: give --yes to say so",
            ))
        }
        _ => Ok(()),
    }
}

async fn back_up(storage: &Storage, file: &Path) -> Result<String, Refused> {
    let database = connection::open_read_only(storage).await?;
    let copied = backup::copy_to(&database, file).await;
    drop(database.close().await);
    copied.map_err(|error| Refused::NoCopy {
        file: file.to_owned(),
        error,
    })?;
    Ok(format!("Copied the database to {}.\n", file.display()))
}

async fn carry_out(
    operation: &Operation,
    database: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<String, Refused> {
    match operation {
        Operation::User(UserCommand::List { .. }) => {
            let people = operators::people(database, clock.now()).await?;
            Ok(people.iter().map(line_of_person).collect())
        }
        Operation::User(UserCommand::ResetPassword { name, address, .. }) => {
            let link = operators::reset_link(database, name, clock.now()).await?;
            let link = link.ok_or_else(|| nobody(name))?;
            Ok(line_of_link(address, &reset_url(link.as_str())))
        }
        Operation::User(UserCommand::Delete { name, deleting, .. }) => {
            let found = operators::name_of_person(database, name).await?;
            let found = found.ok_or_else(|| nobody(name))?;
            ask(deleting, &format!("Delete {found} and all they have said?"))?;
            let deleted = operators::delete_person(database, name, clock.now()).await?;
            let deleted = deleted.ok_or_else(|| nobody(name))?;
            Ok(format!("Deleted {deleted}.\n"))
        }
        Operation::Room(RoomCommand::List { .. }) => {
            let rooms = operators::rooms(database).await?;
            Ok(rooms.iter().map(line_of_room).collect())
        }
        Operation::Room(RoomCommand::Delete { name, deleting, .. }) => {
            let found = operators::name_of_room(database, name).await?;
            let found = found.ok_or_else(|| no_room(name))?;
            let question = format!("Delete the room {found} and all that was said in it?");
            ask(deleting, &question)?;
            let deleted = operators::delete_room(database, name, clock.now()).await?;
            let deleted = deleted.ok_or_else(|| no_room(name))?;
            Ok(format!("Deleted the room {deleted}.\n"))
        }
        Operation::Backup { file, storage } => back_up(storage, file).await,
        Operation::SignupLink { address, .. } => {
            let link = operators::sign_up_link(database, clock.now()).await?;
            Ok(line_of_link(address, &register_url(Some(link.as_str()))))
        }
    }
}

fn nobody(name: &str) -> Refused {
    Refused::Unknown {
        what: "person",
        name: name.to_owned(),
    }
}

fn no_room(name: &str) -> Refused {
    Refused::Unknown {
        what: "room",
        name: name.to_owned(),
    }
}

fn line_of_person(person: &ListedPerson) -> String {
    let (name, made_at) = (&person.name, person.created_at.to_rfc3339());
    format!("{name}\t{made_at}\t{}\t{}\n", person.rooms, person.sessions)
}

fn line_of_room(room: &ListedRoom) -> String {
    let kind = if room.is_private { "private" } else { "public" };
    let (name, owner) = (&room.name, &room.owner);
    format!("{name}\t{kind}\t{owner}\t{}\n", room.members)
}

fn line_of_link(address: &Address, path: &str) -> String {
    format!("{}\n", address.url(path))
}

/// Asks on the terminal, unless the command says yes by itself.
fn ask(deleting: &Deleting, question: &str) -> Result<(), Refused> {
    if deleting.yes {
        return Ok(());
    }
    eprint!("{question} It cannot be undone. Type yes to go on: ");
    if says_yes(&mut io::stdin().lock())? {
        Ok(())
    } else {
        Err(Refused::SaidNo)
    }
}

fn says_yes(input: &mut impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, is_yes) in [
            ("yes\n", true),
            (" Yes \n", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("no\nyes\n", false),
        ] {
            assert_eq!(
                says_yes(&mut answer.as_bytes()).unwrap(),
                is_yes,
                "{answer:?}"
            );
        }
    }
}
