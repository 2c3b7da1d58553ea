//! As whom workers run: the user and the group that the settings name, and what this process may make of itself.

use std::io;
use std::path::Path;

use settings::Config;
use sys::rights::{self, Owner};
use sys::users::{Groups, Identity, Ids, User};

use crate::failure::{self, Failure};

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

    /// The user's number; this process's own where the settings name none.
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
        let rule = "only root can start workers as another user";
        return Err(Failure::from(config.unusable(setting, rule)));
    }
    for (setting, id, of) in [("user", uid, Ids::Users), ("group", gid, Ids::Groups)] {
        if let Some(id) = id.filter(|id| !sys::users::is_mapped(*id, of)) {
            let setting = match of {
                Ids::Groups if !config.origins.is_given("group") => "user",
                _ => setting,
            };
            let kind = if of == Ids::Users { "uid" } else { "gid" };
            let rule = format!("the user namespace of this process does not have the {kind} {id}");
            return Err(Failure::from(config.unusable(setting, rule)));
        }
    }
    let groups = match user {
        Some(user) if config.initgroups => Groups::OfUser(user.name),
        Some(_) if uid.is_some() => Groups::None,
        _ => Groups::Keep,
    };
    Ok(Identity { uid, gid, groups })
}

/// Takes on the workers' rights, for good.
///
/// # Errors
///
/// This process may not, or not in its container.
pub(crate) fn become_worker(workers: &Identity) -> Result<(), Failure> {
    sys::users::become_user(workers).map_err(|error| Failure {
        report: format!(
            "the worker cannot take on the rights of its user: {}; root needs CAP_SETUID and CAP_SETGID for that",
            sys::files::sentence(&error)
        ),
        code: failure::BOOT,
    })
}

/// What an operator should know who has root run code that others can change, a sentence each.
pub(crate) fn cautions(config: &Config, conf_file: Option<&Path>) -> Vec<String> {
    let Some(workers) = workers(config) else {
        return Vec::new();
    };
    let mut cautions = Vec::new();
    let is_roots = |path: &Path| !matches!(rights::changed_by_others(path, workers), Ok(Some(_)));
    if let Some(path) = conf_file.filter(|path| !is_roots(path)) {
        let path = path.display();
        cautions.push(format!(
            "root runs the conf file {path}, which other users can change: they can become root"
        ));
    }
    if config.preload_app {
        let paths = config
            .pythonpath
            .iter()
            .map(|entry| config.chdir.join(entry));
        let directories = std::iter::once(config.chdir.clone()).chain(paths);
        for directory in directories.filter(|directory| !is_roots(directory)) {
            let directory = directory.display();
            cautions.push(format!(
                "preload_app: root imports the application from {directory}, which other users can change: they can become root"
            ));
        }
    }
    cautions
}

/// The workers' user, where root starts the server and the workers give up its rights.
fn workers(config: &Config) -> Option<Owner> {
    // A mistake in the user's name is told elsewhere.
    let Identity { uid, gid, .. } = identity(config).ok()?;
    let gid = gid.unwrap_or_else(sys::users::effective_gid);
    Some(Owner { uid: uid?, gid })
}

/// Reads a file that the settings name for all workers to know. Where others than root can change its directory, root
/// reads what the workers' user, or the owner of the directory, could read as well; or a file of root's own under its
/// only name.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn read_for_workers(config: &Config, path: &Path) -> io::Result<String> {
    let owner = workers(config);
    let read = rights::with_rights_at(path, owner, || std::fs::read_to_string(path));
    match read {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && owner.is_some() => {
            sys::files::read_own(path).map_err(|_| error)
        }
        read => read,
    }
}
