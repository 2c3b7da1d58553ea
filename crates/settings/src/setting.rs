//! What the table says of one setting, and how to look in the table.

use std::fmt;

use crate::config::Config;
use crate::error::Rejection;
use crate::field::Access;
use crate::kind::Kind;
use crate::table;
use crate::value::Value;

/// One setting, declared once. Parser, help, manual, conf template and the typed result are views of it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The name in a conf file, Gunicorn's.
    pub name: &'static str,
    /// Under which heading it stands.
    pub section: Section,
    /// Every spelling on the command line; none for what only a conf file can hold.
    pub flags: &'static [&'static str],
    /// What the help calls the option's value.
    pub metavar: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its value if no source gives one.
    pub default: Literal,
    /// The option's value when it is given without one, where that is not `True`.
    pub bare: Literal,
    /// The environment variable that can give it a value.
    pub variable: Option<Variable>,
    /// What a reload (HUP) makes of a changed value.
    pub reload: Reload,
    /// Whether this version implements it.
    pub status: Status,
    /// Whether it is Oxicorn's own, which Gunicorn does not have.
    pub own: bool,
    /// What the option does, in one sentence, for `--help`.
    pub summary: &'static str,
    /// What the setting is, for the manual and the conf file, where the option turns it off. Empty where the summary
    /// says that.
    pub meaning: &'static str,
    /// What else there is to know, for the manual. Markdown.
    pub details: &'static str,
    /// Where it differs from Gunicorn on purpose, for the manual. Empty where it does not.
    pub difference: &'static str,
    /// The way to its field in [`Config`]; none while it is not implemented, and for hooks.
    pub(crate) access: Option<Access>,
}

impl Setting {
    /// What a row of the table need not say.
    pub(crate) const ROW: Self = Self {
        name: "",
        section: Section::ServerMechanics,
        flags: &[],
        metavar: "",
        kind: Kind::Text,
        default: Literal::None,
        bare: Literal::None,
        variable: None,
        reload: Reload::Applied,
        status: Status::Here,
        own: false,
        summary: "",
        meaning: "",
        details: "",
        difference: "",
        access: None,
    };

    /// Whether it is a function that the server calls, not a value.
    pub fn is_hook(&self) -> bool {
        matches!(self.kind, Kind::Hook { .. })
    }

    /// Whether Gunicorn does not have it.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// What the setting is, in one sentence.
    pub fn sentence(&self) -> &'static str {
        match self.meaning {
            "" => self.summary,
            meaning => meaning,
        }
    }

    /// The spelling that messages use: the first long flag, else the name.
    pub fn option(&self) -> &'static str {
        self.flags
            .iter()
            .find(|flag| flag.starts_with("--"))
            .unwrap_or(&self.name)
    }

    /// How a hook is called, `pre_fork(server, worker)`, which ends its summary.
    pub fn signature(&self) -> Option<&'static str> {
        let (_, signature) = self.summary.rsplit_once(": ")?;
        self.is_hook().then(|| signature.trim_end_matches('.'))
    }

    /// What the option means when it stands without a value.
    pub fn bare_value(&self) -> Value {
        match self.bare {
            Literal::None => Value::Bool(true),
            bare => bare.value(),
        }
    }

    /// The value that `config` has for it.
    pub(crate) fn value_in(&self, config: &Config) -> Value {
        match &self.access {
            Some(access) => (access.read)(config),
            None => self.normal_default(),
        }
    }

    /// The default as it is after checking: `SCRIPT_NAME,PATH_INFO` has become a list.
    pub(crate) fn normal_default(&self) -> Value {
        let plain = self.default.value();
        self.kind.check(&plain).unwrap_or(plain)
    }

    /// The value that counts where a conf file gives `value`: `None` is the default of a word out of few, and no text
    /// of a text that is empty by default.
    pub(crate) fn or_default(&self, value: &Value) -> Value {
        match (self.kind, self.default, value) {
            (Kind::Choice(_), _, Value::None) | (Kind::Text, Literal::Str(""), Value::None) => {
                self.default.value()
            }
            _ => value.clone(),
        }
    }

    /// Puts a checked value in its field.
    pub(crate) fn write(&self, config: &mut Config, value: &Value) -> Result<(), Rejection> {
        match &self.access {
            Some(access) => (access.write)(config, value),
            None => Ok(()),
        }
    }
}

/// The headings of the manual, Gunicorn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// Where the settings come from.
    ConfigFile,
    /// Listening.
    ServerSocket,
    /// Workers, their number and their life.
    WorkerProcesses,
    /// Limits on what a client may send, and how slowly.
    Security,
    /// Help while developing.
    Debugging,
    /// Processes, files, users, proxies, protocols.
    ServerMechanics,
    /// Files that the server answers with itself.
    StaticFiles,
    /// Access log, error log, metrics.
    Logging,
    /// Names in process lists.
    ProcessNaming,
    /// TLS.
    Ssl,
    /// HTTP/2.
    Http2,
    /// Functions that the server calls.
    ServerHooks,
    /// Workers beside the web workers.
    DirtyArbiters,
    /// Functions that the dirty arbiter calls.
    DirtyArbiterHooks,
    /// The control socket.
    Control,
}

impl Section {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::ConfigFile => "Config File",
            Self::ServerSocket => "Server Socket",
            Self::WorkerProcesses => "Worker Processes",
            Self::Security => "Security",
            Self::Debugging => "Debugging",
            Self::ServerMechanics => "Server Mechanics",
            Self::StaticFiles => "Static Files",
            Self::Logging => "Logging",
            Self::ProcessNaming => "Process Naming",
            Self::Ssl => "SSL",
            Self::Http2 => "HTTP/2",
            Self::ServerHooks => "Server Hooks",
            Self::DirtyArbiters => "Dirty Arbiters",
            Self::DirtyArbiterHooks => "Dirty Arbiter Hooks",
            Self::Control => "Control",
        }
    }
}

/// What a reload makes of a changed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is in force.
    Applied,
    /// A part of it is.
    Partly,
    /// It waits for the next start.
    StartOnly,
    /// The setting has no effect at any time.
    NoEffect,
}

/// Whether this version implements a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what the manual says.
    Here,
    /// It is accepted and nothing comes of it: why.
    Inert(&'static str),
    /// It is refused unless it is at its default: what is missing.
    Later(&'static str),
}

/// An environment variable that stands for one setting.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What the setting becomes, for the manual.
    pub meaning: &'static str,
    /// The setting's value; `None` where the variable's says nothing.
    pub(crate) value: fn(&str) -> Result<Option<Value>, Rejection>,
}

/// A value that can stand in a static table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string.
    Str(&'static str),
    /// A list of strings.
    List(&'static [&'static str]),
    /// A dictionary of strings.
    Map(&'static [(&'static str, &'static str)]),
    /// A function, by the qualified name under which Gunicorn prints it.
    Function(&'static str),
}

impl Literal {
    /// The same as a value.
    pub fn value(self) -> Value {
        match self {
            Self::None => Value::None,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Str(text) => Value::from(text),
            Self::List(items) => Value::List(items.iter().copied().map(Value::from).collect()),
            Self::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
                    .collect(),
            ),
            Self::Function(name) => Value::Other(format!("{name}()")),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(out)
    }
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    table::table().iter().find(|setting| setting.name == name)
}

/// The hooks, in the order of the table.
pub fn hooks() -> impl Iterator<Item = &'static Setting> {
    table::table().iter().filter(|setting| setting.is_hook())
}
