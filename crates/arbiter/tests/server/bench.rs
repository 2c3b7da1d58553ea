//! A server in a directory of its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use sys::signals::Signal;
use tempfile::TempDir;

/// After this a test has failed. Far beyond what anything takes, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: Child,
    directory: TempDir,
    /// Other processes to end with the test: new masters, daemons.
    others: Vec<i32>,
}

/// Waits until `probe` has something.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn plain_fork() -> PathBuf {
    let test = std::env::current_exe().expect("this binary");
    let target = test
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps/this");
    let program = target.join("examples/plain_fork");
    assert!(program.exists(), "cargo build --examples");
    program
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A server's command in `directory`, with its log in `log` there.
pub(crate) fn command(directory: &Path, behaviour: &str, options: &str) -> Command {
    fs::write(directory.join("behaviour"), behaviour).expect("write");
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .expect("a log");
    let mut command = Command::new(plain_fork());
    command
        .arg("behaviour")
        .args(options.split_whitespace())
        .current_dir(directory)
        .stderr(log);
    for name in ["GUNICORN_PID", "GUNICORN_FD", "LISTEN_PID", "LISTEN_FDS"] {
        command.env_remove(name);
    }
    command
}

impl Server {
    /// Starts a server and waits until `workers` of them serve.
    pub(crate) fn serving(workers: usize, options: &str) -> Self {
        let server = Self::start(
            "serve",
            &format!("-w {workers} --bind 127.0.0.1:0 {options}"),
        );
        server.wait_for_log("Serving");
        server
    }

    pub(crate) fn start(behaviour: &str, options: &str) -> Self {
        Self::start_in(directory(), behaviour, options)
    }

    /// Starts a server with options that a reload reads again.
    pub(crate) fn start_with_file(behaviour: &str, options: &str) -> Self {
        let directory = directory();
        fs::write(directory.path().join("behaviour.args"), options).expect("write");
        Self::start_in(directory, behaviour, "")
    }

    fn start_in(directory: TempDir, behaviour: &str, options: &str) -> Self {
        let child = command(directory.path(), behaviour, options)
            .spawn()
            .expect("the server");
        Self {
            child,
            directory,
            others: Vec::new(),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text} in\n{}", self.log()), || {
            self.log().contains(text).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        sys::process::kill(self.pid(), signal).expect("the master");
    }

    /// The port of the first address that it said it listens at.
    pub(crate) fn port(&self) -> u16 {
        let start = "Listening at: http://127.0.0.1:";
        eventually("an address", || {
            let log = self.log();
            let (_, rest) = log.split_once(start)?;
            rest.split(|byte: char| !byte.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
    }

    pub(crate) fn ask(&self, command: &str) -> io::Result<String> {
        ask(TcpStream::connect(("127.0.0.1", self.port()))?, command)
    }

    pub(crate) fn ask_pid(&self) -> i32 {
        self.ask("pid").expect("an answer").parse().expect("a pid")
    }

    /// The pids that were said to be booted, in order.
    pub(crate) fn booted(&self) -> Vec<i32> {
        let log = self.log();
        let pids = log
            .lines()
            .filter_map(|line| line.split_once("Booting worker with pid: "));
        pids.map(|(_, pid)| pid.parse().expect("a pid")).collect()
    }

    pub(crate) fn live_workers(&self) -> Vec<i32> {
        self.booted()
            .into_iter()
            .filter(|pid| is_alive(*pid))
            .collect()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the end of the server", || child.try_wait().expect("wait"))
    }

    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(crate) fn also_end(&mut self, pid: i32) {
        self.others.push(pid);
    }

    /// The names in its directory beside those that the test has made.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        let names = entries.map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        });
        let ours = ["log", "behaviour", "behaviour.args"];
        names
            .filter(|name| !ours.contains(&name.as_str()))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Workers see the end of their lifeline; these do not.
        for pid in &self.others {
            let _ = sys::process::kill(*pid, Signal::KILL);
        }
        if std::thread::panicking() {
            let _ = writeln!(
                io::stderr(),
                "{}",
                fs::read_to_string(self.path("log")).unwrap_or_default()
            );
        }
    }
}

/// A process that is there and not only waiting to be collected.
pub(crate) fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// Sends a command and returns the answer.
pub(crate) fn ask(mut connection: impl io::Read + io::Write, command: &str) -> io::Result<String> {
    writeln!(connection, "{command}")?;
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}
