//! What passes from one master to the next (USR2), and from a service manager to the first: listening sockets by
//! number, announced in the environment.

use std::os::fd::AsRawFd;

use crate::failure::Failure;
use crate::listeners::Listener;

/// The master that started this one. Gunicorn's name, so that its operators' scripts go on working.
const MASTER: &str = "GUNICORN_PID";
/// The listeners that it passes on, as `3,4,…`.
const SOCKETS: &str = "GUNICORN_FD";
/// Ours: set if the listeners that pass are a service manager's, whose names this server must not remove.
const MANAGED: &str = "OXICORN_FD_MANAGED";
/// sd_listen_fds(3): how many sockets there are, from number 3 on, and whom they are for.
const LISTEN_FDS: &str = "LISTEN_FDS";
const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDS_START: i32 = 3;
/// More sockets than anybody passes; the count comes from outside.
const LISTEN_FDS_MAX: i32 = 1024;

/// Sockets that were open before this process began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inherited {
    /// None: everything is to be bound.
    Nothing,
    /// A service manager's. They are used as they are; `bind` is ignored.
    FromManager(Vec<i32>),
    /// Another master's.
    FromMaster(Vec<i32>),
}

/// Whether a master that may still run has started this one beside itself (USR2).
#[must_use]
pub fn is_upgrade() -> bool {
    std::env::var_os(MASTER).is_some()
}

/// What the environment says about how this process came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ancestry {
    /// The master that started this one beside itself.
    pub(crate) parent: Option<i32>,
    pub(crate) inherited: Inherited,
}

impl Ancestry {
    /// Reads the environment of process `pid`.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
        pid: i32,
    ) -> Result<Self, Failure> {
        let parent = variable(MASTER)
            .map(|value| number(MASTER, &value))
            .transpose()?;
        let sockets = variable(SOCKETS).filter(|_| parent.is_some());
        let inherited = if let Some(count) = managed(&variable, pid)? {
            Inherited::FromManager((LISTEN_FDS_START..LISTEN_FDS_START + count).collect())
        } else if let Some(value) = sockets {
            let numbers = value
                .split(',')
                .map(|one| number(SOCKETS, one))
                .collect::<Result<_, _>>()?;
            match variable(MANAGED) {
                Some(_) => Inherited::FromManager(numbers),
                None => Inherited::FromMaster(numbers),
            }
        } else {
            Inherited::Nothing
        };
        Ok(Self { parent, inherited })
    }
}

/// How many sockets a service manager has passed to this very process.
fn managed(variable: impl Fn(&str) -> Option<String>, pid: i32) -> Result<Option<i32>, Failure> {
    let (Some(whom), Some(count)) = (variable(LISTEN_PID), variable(LISTEN_FDS)) else {
        return Ok(None);
    };
    if number(LISTEN_PID, &whom)? != pid {
        return Ok(None);
    }
    let count = number(LISTEN_FDS, &count)?;
    if count > LISTEN_FDS_MAX {
        return Err(Failure::new(format!(
            "{LISTEN_FDS}={count} is more sockets than {LISTEN_FDS_MAX}"
        )));
    }
    Ok((count > 0).then_some(count))
}

fn number(name: &str, value: &str) -> Result<i32, Failure> {
    match value.trim().parse() {
        Ok(number) if number >= 0 => Ok(number),
        _ => Err(Failure::new(format!(
            "the environment variable {name} has '{value}' where a number belongs"
        ))
        .with_hint(
            "it is set by a master that starts its successor, or by systemd; unset it otherwise",
        )),
    }
}

/// What a new master has to find in its environment.
pub(crate) fn environment(listeners: &[Listener], pid: i32) -> Vec<(String, String)> {
    let numbers: Vec<_> = listeners
        .iter()
        .map(|listener| listener.socket().as_raw_fd().to_string())
        .collect();
    let mut environment = vec![
        (MASTER.to_owned(), pid.to_string()),
        (SOCKETS.to_owned(), numbers.join(",")),
    ];
    if listeners.iter().any(Listener::is_managed) {
        environment.push((MANAGED.to_owned(), "1".to_owned()));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], parent: Option<i32>, inherited: Inherited) {
        assert_eq!(
            read(variables).expect("an origin"),
            Ancestry { parent, inherited },
            "{variables:?}"
        );
    }

    fn read(variables: &[(&str, &str)]) -> Result<Ancestry, Failure> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Ancestry::read(find, 42)
    }

    #[test]
    fn sockets_come_from_a_master_a_manager_or_nobody() {
        check(&[], None, Inherited::Nothing);
        check(
            &[(MASTER, "7"), (SOCKETS, "3,4")],
            Some(7),
            Inherited::FromMaster(vec![3, 4]),
        );
        check(
            &[(MASTER, "7"), (SOCKETS, "3"), (MANAGED, "1")],
            Some(7),
            Inherited::FromManager(vec![3]),
        );
        check(
            &[(LISTEN_PID, "42"), (LISTEN_FDS, "2")],
            None,
            Inherited::FromManager(vec![3, 4]),
        );
    }

    #[test]
    fn what_was_meant_for_another_process_is_left_alone() {
        check(
            &[(LISTEN_PID, "41"), (LISTEN_FDS, "2")],
            None,
            Inherited::Nothing,
        );
        check(
            &[(LISTEN_PID, "42"), (LISTEN_FDS, "0")],
            None,
            Inherited::Nothing,
        );
        check(&[(SOCKETS, "3")], None, Inherited::Nothing);
    }

    #[test]
    fn nonsense_is_named() {
        for variables in [
            &[(MASTER, "x")][..],
            &[(MASTER, "7"), (SOCKETS, "3,,4")],
            &[(MASTER, "7"), (SOCKETS, "-1")],
            &[(LISTEN_PID, "42"), (LISTEN_FDS, "99999")],
        ] {
            let failure = read(variables).expect_err("refused");
            assert!(
                failure
                    .sentence()
                    .contains(variables[variables.len() - 1].0),
                "{failure}"
            );
        }
    }
}
