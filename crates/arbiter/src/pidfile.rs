//! The file that holds the arbiter's pid. It appears whole, and the process that wrote it removes it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sys::rights::{Owner, with_rights_at};

use crate::failure::Failure;

/// Every user may read it, regardless of the umask.
const MODE: u32 = 0o644;

/// So many bytes of a file are read for its pid.
const LONGEST: u64 = 64;

/// A pidfile of this process. Dropping it removes the file, in the process that wrote it and if it is still its own.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    owner: i32,
    /// With whose rights the file is written, where others than root can change its directory.
    rights: Option<Owner>,
}

impl Pidfile {
    /// Writes this process's pid to `path`, unless another one that is alive stands there.
    pub(crate) fn create(path: &Path, rights: Option<Owner>) -> Result<Self, Failure> {
        // A process that changes its directory still has to find the file.
        let path = std::path::absolute(path).map_err(|error| cannot_write(path, &error))?;
        let owner = sys::process::pid();
        refuse_the_living(&path, owner, rights)?;
        with_rights_at(&path, rights, || write(&path, owner))
            .map_err(|error| cannot_write(&path, &error))?;
        Ok(Self {
            path,
            owner,
            rights,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file another name.
    pub(crate) fn rename(&mut self, path: &Path) -> Result<(), Failure> {
        let path = std::path::absolute(path).map_err(|error| cannot_write(path, &error))?;
        refuse_the_living(&path, self.owner, self.rights)?;
        // Both names are in directories of the operator's choice; the old one has this process's own file.
        with_rights_at(&path, self.rights, || fs::rename(&self.path, &path))
            .map_err(|error| cannot_write(&path, &error))?;
        self.path = path;
        Ok(())
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // A worker, which has a copy of this value, is another process.
        if self.owner == sys::process::pid() {
            // A file that cannot be removed is found stale by the next server.
            let _ = with_rights_at(&self.path, self.rights, || {
                match pid_in(&self.path)? == Some(self.owner) {
                    true => fs::remove_file(&self.path),
                    false => Ok(()),
                }
            });
        }
    }
}

/// The pid in a file; `None` where there is no file, or something else in it.
fn pid_in(path: &Path) -> io::Result<Option<i32>> {
    let opened = fs::OpenOptions::new()
        .read(true)
        // A pipe in its place would be waited for.
        .custom_flags(sys::files::NONBLOCK)
        .open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    Ok(read.ok().and_then(|_| text.trim().parse().ok()))
}

fn refuse_the_living(path: &Path, ourselves: i32, rights: Option<Owner>) -> Result<(), Failure> {
    // One that cannot be read is told of when it is written.
    let pid = with_rights_at(path, rights, || pid_in(path)).ok().flatten();
    match pid {
        Some(pid) if pid != ourselves && sys::process::is_alive(pid) => {
            let path = path.display();
            Err(Failure::new(format!(
                "Already running on PID {pid} (or pid file '{path}' is stale)"
            )))
        }
        _ => Ok(()),
    }
}

/// A reader sees the file with its whole contents or not at all.
fn write(path: &Path, pid: i32) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_os_string();
    name.push(format!(".{pid}.new"));
    let unfinished = path.with_file_name(name);
    // Left over from a process with our pid that was killed here.
    let _ = fs::remove_file(&unfinished);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)?;
    let result = file
        .set_permissions(fs::Permissions::from_mode(MODE))
        .and_then(|()| writeln!(file, "{pid}"))
        .and_then(|()| fs::rename(&unfinished, path));
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let reason = sys::files::reason(path, error);
    let path = path.display();
    Failure::new(format!("the pid file {path} cannot be written: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect()
    }

    #[test]
    fn it_holds_the_pid_is_readable_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.pid");
        let file = Pidfile::create(&path, None).expect("a pidfile");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            format!("{}\n", std::process::id())
        );
        assert_eq!(
            fs::metadata(&path).expect("stat").permissions().mode() & 0o777,
            MODE
        );
        assert_eq!(names(directory.path()), ["app.pid"]);
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn another_process_that_is_alive_is_not_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.pid");
        fs::write(&path, "1\n").expect("write");
        let failure = Pidfile::create(&path, None).expect_err("refused");
        let expected = format!(
            "Already running on PID 1 (or pid file '{}' is stale)",
            path.display()
        );
        assert_eq!(failure.sentence(), expected);
        assert_eq!(fs::read_to_string(&path).expect("read"), "1\n");
    }

    #[test]
    fn a_zombie_does_not_keep_its_pidfile() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = i32::try_from(child.id()).expect("pid");
        while sys::process::is_alive(pid) {
            std::thread::yield_now();
        }
        assert!(sys::process::exists(pid), "nobody has asked for its end");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.pid");
        fs::write(&path, format!("{pid}\n")).expect("write");
        let _file = Pidfile::create(&path, None).expect("taken over");
        child.wait().expect("wait");
    }

    #[test]
    fn what_is_stale_or_nonsense_is_overwritten() {
        for contents in ["999999999\n", "nonsense", "", "-1", "0"] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("app.pid");
            fs::write(&path, contents).expect("write");
            let _file = Pidfile::create(&path, None).expect(contents);
            assert_eq!(
                pid_in(&path).expect("read"),
                Some(sys::process::pid()),
                "{contents:?}"
            );
        }
    }

    #[test]
    fn a_file_that_another_process_took_over_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.pid");
        let file = Pidfile::create(&path, None).expect("a pidfile");
        fs::write(&path, "1\n").expect("write");
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn it_is_renamed_over_a_stale_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let (second, first) = (
            directory.path().join("app.pid.2"),
            directory.path().join("app.pid"),
        );
        fs::write(&first, "999999999\n").expect("write");
        let mut file = Pidfile::create(&second, None).expect("a pidfile");
        file.rename(&first).expect("renamed");
        assert_eq!(names(directory.path()), ["app.pid"]);
        assert_eq!(pid_in(&first).expect("read"), Some(sys::process::pid()));
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let failure =
            Pidfile::create(&directory.path().join("none/app.pid"), None).expect_err("refused");
        assert!(
            failure.to_string().contains("no such directory"),
            "{failure}"
        );
    }
}
