//! The start of a server, in the order that Gunicorn's hooks expect, except that the sockets are bound before anything
//! of the application is imported: a port that is taken is told at once.

use std::io;
use std::os::fd::AsFd;

use settings::Config;
use sys::forks::Private;
use sys::process::{Fork, Streams};
use sys::signals::{Signal, SignalPipe};

use crate::failure::Failure;
use crate::generation::Generation;
use crate::host::{Boot, Host, Moment, Outcome};
use crate::pidfile::Pidfile;
use crate::upgrade::{Ancestry, Inherited};
use crate::{EXIT_APP_LOAD, EXIT_START, EXIT_WORKER_BOOT, listeners, owner};

/// What an arbiter is sent. Gunicorn's list.
const SIGNALS: [Signal; 10] = [
    Signal::HUP,
    Signal::QUIT,
    Signal::INT,
    Signal::TERM,
    Signal::TTIN,
    Signal::TTOU,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::CHLD,
];

/// A server that is ready to fork its first worker.
pub(crate) struct Started {
    pub(crate) signals: SignalPipe,
    pub(crate) pidfile: Option<Pidfile>,
    pub(crate) generation: Generation,
    pub(crate) parent: Option<i32>,
    /// The process that waits for how the start turns out.
    pub(crate) launcher: Option<Launcher>,
}

/// Why a server must not start, and the code to exit with.
struct StartRefusal {
    failure: Failure,
    code: i32,
}

impl From<Failure> for StartRefusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            code: EXIT_START,
        }
    }
}

/// Does everything up to the first fork of a worker. The error is how this process ends instead; the operator has been
/// told why.
pub(crate) fn start(config: Config, host: &mut dyn Host) -> Result<Started, Outcome> {
    let errorlog = config.errorlog.clone();
    let refuse = |refusal: StartRefusal| {
        refusal.failure.report(&errorlog);
        refusal.code
    };
    let origin = read_origin(&config, host).map_err(|refusal| Outcome::Exit(refuse(refusal)))?;
    let is_upgrade = origin.parent.is_some();
    let launcher = match (config.daemon && !is_upgrade).then(|| detach(&config, host)) {
        None => None,
        Some(Ok(Detached::Background(launcher))) => Some(launcher),
        Some(Ok(Detached::Launcher(code))) => return Err(Outcome::Exit(code)),
        Some(Err(failure)) => return Err(Outcome::Exit(refuse(failure.into()))),
    };
    let result = prepare(config, host, origin).map_err(refuse);
    match (result, launcher) {
        (Err(code), launcher) => {
            if let Some(launcher) = launcher {
                launcher.tell(code);
            }
            Err(Outcome::Exit(code))
        }
        (Ok(mut started), launcher) => {
            if let Some(launcher) = &launcher {
                launcher.leave_terminal();
            }
            started.launcher = launcher;
            Ok(started)
        }
    }
}

fn read_origin(config: &Config, host: &mut dyn Host) -> Result<Ancestry, StartRefusal> {
    tell(
        host,
        Moment::NworkersChanged {
            new: config.workers,
            old: None,
        },
    )?;
    Ok(Ancestry::read(
        |name| std::env::var(name).ok(),
        sys::process::pid(),
    )?)
}

fn prepare(config: Config, host: &mut dyn Host, origin: Ancestry) -> Result<Started, StartRefusal> {
    log::info!("Starting oxicorn {}", env!("CARGO_PKG_VERSION"));
    // From here on a signal waits until it can be acted on, so that nothing ends the process without its cleaning up.
    let signals = SignalPipe::install(&SIGNALS).map_err(no_signals)?;
    let pidfile = write_pidfile(&config, origin.parent)?;
    tell(host, Moment::OnStarting)?;
    let listeners = listeners::open(&config, &origin.inherited)?;
    note_ignored_bind(&config, &origin.inherited);
    host.listening(&listeners);
    let generation = Generation::new(config, listeners);
    if generation.config.preload_app {
        host.preload().map_err(refusal)?;
    }
    // Applications and hooks that handle TERM for themselves do so in the workers; the arbiter would be deaf.
    signals.renew().map_err(no_signals)?;
    log::debug!("Arbiter booted");
    log::info!(
        "Listening at: {} ({})",
        generation.addresses(),
        sys::process::pid()
    );
    log::info!("Using worker: {}", host.workers(&generation.config));
    tell(host, Moment::WhenReady)?;
    Ok(Started {
        signals,
        pidfile,
        generation,
        parent: origin.parent,
        launcher: None,
    })
}

fn no_signals(error: io::Error) -> Failure {
    Failure::new(format!("no signals can be received: {error}"))
}

fn tell(host: &mut dyn Host, moment: Moment) -> Result<(), Failure> {
    host.hook(moment).map_err(Failure::new)
}

/// While another master has the name, this one takes a second.
fn write_pidfile(config: &Config, parent: Option<i32>) -> Result<Option<Pidfile>, Failure> {
    let Some(path) = &config.pidfile else {
        return Ok(None);
    };
    let mut name = path.clone().into_os_string();
    if parent.is_some() {
        name.push(".2");
    }
    Pidfile::create(name.as_ref(), owner::with_fewer_rights(config)?).map(Some)
}

fn note_ignored_bind(config: &Config, inherited: &Inherited) {
    if matches!(inherited, Inherited::FromManager(_)) && config.origins.is_given("bind") {
        log::warn!("bind is not used: the service manager has passed the sockets");
    }
}

/// The failure and the exit code of an application that cannot be imported.
fn refusal(boot: Boot) -> StartRefusal {
    match boot {
        Boot::Raised(reason) => StartRefusal {
            failure: Failure::new(reason),
            code: EXIT_WORKER_BOOT,
        },
        Boot::NotFound(reason) => StartRefusal {
            failure: Failure::new(reason),
            code: EXIT_APP_LOAD,
        },
    }
}

/// Which of the processes this is after the server has gone into the background.
enum Detached {
    /// The process that the operator has started, with the code to exit with.
    Launcher(i32),
    /// The server.
    Background(Launcher),
}

/// The way back to the process that the operator has started, which waits for how the start turns out. Gunicorn's exits
/// at once with 0, which hides a port that is taken.
#[derive(Debug)]
pub(crate) struct Launcher {
    answer: Private,
    leaves: Streams,
}

/// Goes into the background: a session of its own without a terminal, whose leader has ended so that it never gets one.
fn detach(config: &Config, host: &mut dyn Host) -> Result<Detached, Failure> {
    let failed =
        |what: &str, error: io::Error| Failure::new(format!("cannot detach: {what}: {error}"));
    let pipe = sys::pipe::pipe().map_err(|error| failed("pipe", error))?;
    if let Fork::Parent(_) = host.fork().map_err(|error| failed("fork", error))? {
        drop(pipe.write);
        let code = answer(&pipe.read);
        if matches!(code, EXIT_WORKER_BOOT | EXIT_APP_LOAD) && !config.preload_app {
            no_worker_boots(config).report("-");
        }
        return Ok(Detached::Launcher(code));
    }
    sys::process::new_session().map_err(|error| failed("setsid", error))?;
    if let Fork::Parent(_) = host.fork().map_err(|error| failed("fork", error))? {
        sys::process::exit_at_once(0);
    }
    sys::process::set_umask(0o022);
    let streams = match config.enable_stdio_inheritance {
        true => Streams::OnTerminals,
        false => Streams::All,
    };
    Ok(Detached::Background(Launcher {
        answer: pipe.write,
        leaves: streams,
    }))
}

/// What the launcher says where the workers, which have no terminal, could not tell why they do not boot.
fn no_worker_boots(config: &Config) -> Failure {
    let failure = Failure::new("the server has ended: no worker could boot");
    match config.errorlog.as_str() {
        "-" => failure.with_hint(
            "--error-logfile FILE keeps what workers say; so does a start without --daemon",
        ),
        log => failure.with_hint(format!("{log} says why")),
    }
}

/// Waits for the exit code that the process in the background sends. One that ends without a word has failed.
fn answer(pipe: &Private) -> i32 {
    loop {
        match sys::poll::readable([pipe.as_fd()], None) {
            Ok([true]) => return sys::pipe::read_byte(pipe.as_fd()).map_or(EXIT_START, i32::from),
            Ok([false]) => {}
            Err(_) => return EXIT_START,
        }
    }
}

impl Launcher {
    /// Everything is bound and loaded, and workers must not keep the terminal: what they say is in the log.
    fn leave_terminal(&self) {
        if let Err(error) = sys::process::leave_standard_streams(self.leaves) {
            log::error!("The terminal cannot be left: {error}");
        }
    }

    /// Ends the wait: workers serve, or the server ends with this code.
    pub(crate) fn tell(self, code: i32) {
        sys::pipe::write_byte(self.answer.as_fd(), u8::try_from(code).unwrap_or(u8::MAX));
    }
}
