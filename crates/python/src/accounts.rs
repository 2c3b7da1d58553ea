//! As whom workers run: the user and the group that the settings name, and what this process may make of itself.

use settings::Config;
use sys::users::{Groups, Identity, User};

use crate::failure::Failure;

/// The user and the group that the settings name, found in the user database.
pub(crate) struct Accounts {
    user: Option<User>,
    group: Option<u32>,
}

impl Accounts {
    /// # Errors
    ///
    /// There is no such user or group.
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        let unknown = |setting: &str| {
            Failure::from(config.unusable(setting, format!("there is no such {setting}")))
        };
        let failed = |error: std::io::Error| {
            Failure::configuration(format!("user: the user database failed: {error}"))
        };
        let user = match &config.user {
            Some(name) => Some(
                sys::users::user(name)
                    .map_err(failed)?
                    .ok_or_else(|| unknown("user"))?,
            ),
            None => None,
        };
        let group = match &config.group {
            Some(name) => Some(
                sys::users::group(name)
                    .map_err(failed)?
                    .ok_or_else(|| unknown("group"))?,
            ),
            None => None,
        };
        Ok(Self { user, group })
    }

    /// The user's number; this process's own where the settings name nobody.
    pub(crate) fn uid(&self) -> u32 {
        let user = self.user.as_ref();
        user.map_or_else(sys::users::effective_uid, |user| user.uid)
    }

    /// The group's number, likewise.
    pub(crate) fn gid(&self) -> u32 {
        self.group.unwrap_or_else(sys::users::effective_gid)
    }
}

/// Whom workers become. What they are already needs no right and no change.
///
/// # Errors
///
/// There is no such user or group, or only root could become them.
pub(crate) fn identity(config: &Config) -> Result<Identity, Failure> {
    let Accounts { user, group } = Accounts::of(config)?;
    let uid = user
        .as_ref()
        .map(|user| user.uid)
        .filter(|uid| *uid != sys::users::effective_uid());
    // Without a group of its own choice the process follows its user: to keep root's group is to keep much of root.
    let main_group = user.as_ref().filter(|_| uid.is_some()).map(|user| user.gid);
    let gid = group
        .or(main_group)
        .filter(|gid| config.initgroups || *gid != sys::users::effective_gid());
    if (uid.is_some() || gid.is_some()) && sys::users::effective_uid() != 0 {
        let setting = if uid.is_some() { "user" } else { "group" };
        let rule = "only root can start workers as somebody else";
        return Err(Failure::from(config.unusable(setting, rule)));
    }
    let groups = match user {
        Some(user) if config.initgroups => Groups::OfUser(user.name),
        Some(_) if uid.is_some() => Groups::None,
        _ => Groups::Keep,
    };
    Ok(Identity { uid, gid, groups })
}
