//! The arbiter without Python: a host whose workers answer one-line commands. It shows what a [`Host`] has to do, and
//! the tests in `tests/` drive it from outside.
//!
//! `plain_fork BEHAVIOUR [Gunicorn's options]`, where BEHAVIOUR is a file that every worker reads when it boots:
//! `serve`, `exit CODE` or `hang`. More options may stand in `BEHAVIOUR.args`, which HUP reads again. A worker answers
//! `pid`, `age`, `hang`, `exit CODE` and `recycle`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use arbiter::{Boot, Fork, Host, Moment, Outcome, WorkerSeat};
use settings::{Config, Layers, Parsed, parse_command_line};
use socket2::Socket;
use sys::scoreboard::State;
use sys::signals::{Signal, SignalPipe};

fn main() -> ExitCode {
    let _ = log::set_logger(&StandardError);
    log::set_max_level(log::LevelFilter::Debug);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    sys::fds::note_inherited();
    let outcome = match load(&arguments) {
        Ok(config) => arbiter::run(config, &mut PlainFork { arguments }),
        Err(error) => {
            log::error!("{error}");
            Outcome::Exit(arbiter::EXIT_START)
        }
    };
    let (Outcome::Exit(code) | Outcome::Worker(code)) = outcome;
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Gunicorn's shape of a line, without the time.
struct StandardError;

impl log::Log for StandardError {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = if record.target() == "critical" {
            "CRITICAL"
        } else {
            record.level().as_str()
        };
        let line = format!("[{}] [{level}] {}\n", sys::process::pid(), record.args());
        // One write, so that lines of several processes do not mix.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn load(arguments: &[String]) -> Result<Config, String> {
    let mut arguments = arguments.to_vec();
    if let Some(more) = arguments
        .first()
        .map(|behaviour| format!("{behaviour}.args"))
    {
        let more = std::fs::read_to_string(more).unwrap_or_default();
        arguments.extend(more.split_whitespace().map(str::to_owned));
    }
    match parse_command_line(&arguments) {
        Parsed::Run(command_line) => Layers::new()
            .command_line(&command_line)
            .resolve()
            .map_err(|error| error.to_string()),
        _ => Err("the options are not understood".to_owned()),
    }
}

struct PlainFork {
    arguments: Vec<String>,
}

impl Host for PlainFork {
    fn load_config(&mut self) -> Result<Config, String> {
        load(&self.arguments)
    }

    fn preload(&mut self) -> Result<(), Boot> {
        match behaviour(&self.arguments).as_deref() {
            Some("serve") => Ok(()),
            Some("exit 4") => Err(Boot::NotFound("there is no such application".to_owned())),
            _ => Err(Boot::Raised("the application raised".to_owned())),
        }
    }

    fn fork(&mut self) -> io::Result<Fork> {
        sys::process::fork()
    }

    fn work(&mut self, seat: WorkerSeat) -> i32 {
        match boot(behaviour(&self.arguments).as_deref()) {
            Some(code) => code,
            None => serve(&seat).unwrap_or_else(|error| {
                log::error!("{error}");
                1
            }),
        }
    }

    fn hook(&mut self, moment: Moment) -> Result<(), String> {
        log::debug!("{moment:?}");
        Ok(())
    }

    fn exec(&mut self, environment: Vec<(String, String)>) -> io::Error {
        match std::env::current_exe() {
            Ok(program) => Command::new(program)
                .args(&self.arguments)
                .envs(environment)
                .exec(),
            Err(error) => error,
        }
    }

    fn reopen_logs(&mut self) {
        log::debug!("logs reopened");
    }
}

fn behaviour(arguments: &[String]) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(arguments.first()?)).ok()?;
    Some(text.trim().to_owned())
}

/// The exit code of a worker that does not get to serve.
fn boot(behaviour: Option<&str>) -> Option<i32> {
    match behaviour {
        Some("serve") => None,
        Some("hang") => sleep_for_ever(),
        Some(other) => Some(
            other
                .strip_prefix("exit ")
                .and_then(|code| code.parse().ok())
                .unwrap_or(3),
        ),
        None => Some(arbiter::EXIT_APP_LOAD),
    }
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Serves one connection after the other until it is told to stop; clients that wait by then are served first.
fn serve(seat: &WorkerSeat) -> io::Result<i32> {
    let mut signals = SignalPipe::install(&[Signal::TERM, Signal::INT, Signal::QUIT])?;
    let sockets: Vec<Socket> = seat
        .listeners
        .iter()
        .map(|listener| listener.duplicate().map(Socket::from))
        .collect::<Result<_, _>>()?;
    let Some(first) = sockets.first() else {
        return Ok(0);
    };
    seat.slot.set_busy_since_ms(0);
    seat.slot.set_state(State::Ready);
    seat.notifier.notify();
    loop {
        let sources = [signals.as_fd(), seat.lifeline.as_fd(), first.as_fd()];
        let [_, is_orphaned, _] = sys::poll::readable(sources, Some(Duration::from_millis(50)))?;
        let is_told = !signals.take().is_empty();
        for socket in &sockets {
            while let Ok((connection, _)) = socket.accept() {
                if let Err(error) = answer(connection, seat) {
                    log::debug!("a client is gone: {error}");
                }
            }
        }
        if is_told || is_orphaned {
            return Ok(0);
        }
    }
}

fn answer(connection: Socket, seat: &WorkerSeat) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    seat.slot.add_request();
    match line.trim() {
        "pid" => writeln!(&connection, "{}", sys::process::pid())?,
        "age" => writeln!(&connection, "{}", seat.age)?,
        "hang" => {
            writeln!(&connection, "hanging")?;
            seat.slot.set_busy_since_ms(sys::clock::monotonic_ms());
            sleep_for_ever();
        }
        "recycle" => {
            seat.slot.set_state(State::Recycling);
            seat.notifier.notify();
        }
        other => {
            let code = other
                .strip_prefix("exit ")
                .and_then(|code| code.parse().ok());
            sys::process::exit_at_once(code.unwrap_or(1));
        }
    }
    connection.shutdown(Shutdown::Write)
}
