//! Whom the server's files belong to: where root starts the server, the user and the group of the workers.

use settings::Config;
use sys::rights::Owner;
use sys::users::User;

use crate::failure::Failure;

/// The owner and the group that a new file gets; `None` leaves what it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewOwner {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// Whom a new socket is given to. `None` where this process cannot give anything away, or the workers have its user.
pub(crate) fn of_sockets(config: &Config) -> Result<Option<NewOwner>, Failure> {
    let is_root = sys::users::effective_uid() == 0;
    if !is_root || (config.user.is_none() && config.group.is_none()) {
        return Ok(None);
    }
    let uid = config.user.as_deref().map(uid_of).transpose()?;
    let gid = config.group.as_deref().map(gid_of).transpose()?;
    Ok(Some(NewOwner { uid, gid }))
}

/// The user whose rights are enough for files in directories that others than root can change. `None` where the workers
/// have this process's own rights.
pub(crate) fn with_fewer_rights(config: &Config) -> Result<Option<Owner>, Failure> {
    let Some(name) = config
        .user
        .as_deref()
        .filter(|_| sys::users::effective_uid() == 0)
    else {
        return Ok(None);
    };
    let uid = uid_of(name)?;
    let gid = match config.group.as_deref() {
        Some(group) => gid_of(group)?,
        None => user(name)?.map_or_else(sys::users::effective_gid, |user| user.gid),
    };
    Ok((uid != 0).then_some(Owner { uid, gid }))
}

fn user(name: &str) -> Result<Option<User>, Failure> {
    sys::users::user(name).map_err(|error| unknown("user", name, &error.to_string()))
}

fn uid_of(name: &str) -> Result<u32, Failure> {
    // A number needs no entry in the database.
    user(name)?
        .map(|user| user.uid)
        .or_else(|| name.parse().ok())
        .ok_or_else(|| unknown("user", name, "there is none"))
}

fn gid_of(group: &str) -> Result<u32, Failure> {
    let known =
        sys::users::group(group).map_err(|error| unknown("group", group, &error.to_string()))?;
    known.ok_or_else(|| unknown("group", group, "there is none"))
}

fn unknown(what: &str, name: &str, why: &str) -> Failure {
    Failure::new(format!("the {what} '{name}' cannot be found: {why}"))
}
