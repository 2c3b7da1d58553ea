//! Processes, directories, files and users.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Reload, Setting, Status};

const ROW: Setting = Setting::ROW;

/// An option without a value.
const SWITCH: Setting = Setting {
    kind: Kind::Flag,
    default: Literal::Bool(false),
    ..ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "preload_app",
        flags: &["--preload"],
        reload: Reload::Partly,
        access: field!(preload_app),
        summary: "Import the application once, before the workers are forked.",
        details: "Workers then share its memory and start at once; in return a reload does not see changed code, and \
                  connections or threads that the application opens while it is imported are shared or lost.",
        ..SWITCH
    },
    Setting {
        name: "as_gunicorn",
        flags: &["--as-gunicorn"],
        own: true,
        reload: Reload::StartOnly,
        access: field!(as_gunicorn),
        summary: "Look like Gunicorn to applications that ask which server runs them.",
        details: "`gunicorn` is in `sys.modules`, `SERVER_SOFTWARE` is `gunicorn/27.0.1` in the environ and the environment, \
                  the Server field is `gunicorn`, `sys.argv[0]` ends with `gunicorn`, and process titles begin with it. Some \
                  applications choose their logging, their threads or their database pool by these.",
        ..SWITCH
    },
    Setting {
        name: "sendfile",
        flags: &["--no-sendfile"],
        kind: Kind::Flag,
        bare: Literal::Bool(false),
        variable: Some(custom::SENDFILE_VARIABLE),
        access: Some(custom::SENDFILE),
        summary: "Do not let the kernel send files.",
        meaning: "Whether the kernel sends files.",
        details: "Without it, `wsgi.file_wrapper` over a real file is sent by sendfile(2). In a conf file `False` turns \
                  that off, `True` and `None` leave it on.",
        difference: "`sendfile = True` in a conf file means what it says; in Gunicorn it turns sendfile off.",
        ..ROW
    },
    Setting {
        name: "reuse_port",
        flags: &["--reuse-port"],
        reload: Reload::StartOnly,
        access: field!(reuse_port),
        summary: "Open as many sockets on the same port as there are workers.",
        details: "The kernel then spreads new connections over as many queues. It is of use on machines with many CPUs \
                  where very many connections are opened. Another server of the same user that says so as well may \
                  share the port.",
        difference: "All sockets are the arbiter's, and every worker accepts from every one of them: neither the end of \
                     a worker nor a reload resets a client, and no client waits for a busy worker.",
        ..SWITCH
    },
    Setting {
        name: "chdir",
        flags: &["--chdir"],
        metavar: "DIR",
        kind: Kind::Text,
        default: Literal::Str(""),
        access: field!(chdir),
        summary: "The directory to change to before the application is loaded.",
        details: "It stands first in `sys.path`. A relative path starts at the directory in which the server was \
                  started, which is the default.",
        ..ROW
    },
    Setting {
        name: "daemon",
        flags: &["-D", "--daemon"],
        reload: Reload::StartOnly,
        access: field!(daemon),
        summary: "Detach from the terminal and run in the background.",
        details: "A service manager such as systemd, and a container, want the server in the foreground.",
        ..SWITCH
    },
    Setting {
        name: "raw_env",
        flags: &["-e", "--env"],
        metavar: "ENV",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: Some(custom::RAW_ENV),
        summary: "A variable for the environment, as NAME=VALUE; the option can be repeated.",
        details: "It is set before the application is loaded, in the arbiter and in the workers.",
        ..ROW
    },
    Setting {
        name: "pidfile",
        flags: &["-p", "--pid"],
        metavar: "FILE",
        kind: Kind::Text,
        access: field!(pidfile),
        summary: "The file that holds the arbiter's process id.",
        difference: "No way of exiting leaves the file behind.",
        ..ROW
    },
    Setting {
        name: "worker_tmp_dir",
        flags: &["--worker-tmp-dir"],
        metavar: "DIR",
        kind: Kind::Text,
        status: Status::Inert("workers report through shared memory, not through files"),
        access: field!(worker_tmp_dir),
        summary: "Accepted, without effect: workers write no heartbeat files.",
        ..ROW
    },
    Setting {
        name: "user",
        flags: &["-u", "--user"],
        metavar: "USER",
        kind: Kind::Account,
        access: field!(user),
        summary: "The user, by name or number, whose rights workers run with.",
        details: "Only a server that is started by root can change it. The default is the user that starts it.",
        ..ROW
    },
    Setting {
        name: "group",
        flags: &["-g", "--group"],
        metavar: "GROUP",
        kind: Kind::Account,
        access: field!(group),
        summary: "The group, by name or number, whose rights workers run with.",
        details: "Only a server that is started by root can change it. The default is the group of the user that starts \
                  it.",
        ..ROW
    },
    Setting {
        name: "umask",
        flags: &["-m", "--umask"],
        metavar: "INT",
        kind: Kind::Mode,
        default: Literal::Int(0),
        reload: Reload::Partly,
        access: field!(umask),
        summary: "The file mode mask of the server, which decides who may use its unix sockets.",
        details: "A number as Python writes it, or octal with a leading 0: `0o027`, `027`, `23` and `0x17` are the same. \
                  Unix sockets that exist keep their mode over a reload.",
        ..ROW
    },
    Setting {
        name: "socket_mode",
        flags: &["--socket-mode"],
        metavar: "MODE",
        kind: Kind::Permissions,
        default: Literal::None,
        reload: Reload::Partly,
        own: true,
        access: field!(socket_mode),
        summary: "The file mode of the server's unix sockets, which decides who may use them.",
        details: "Octal, `660` or `0o660` on the command line and `0o660` in a conf file. Without it `umask` decides, whose                   default lets every user of the machine in. Unix sockets that exist keep their mode over a reload.",
        ..ROW
    },
    Setting {
        name: "initgroups",
        flags: &["--initgroups"],
        access: field!(initgroups),
        summary: "Give workers the other groups of user as well.",
        ..SWITCH
    },
    Setting {
        name: "tmp_upload_dir",
        metavar: "DIR",
        kind: Kind::Text,
        access: field!(tmp_upload_dir),
        summary: "The directory of request bodies that are too long to be kept in memory.",
        details: "The files have no names and vanish with their requests. The default is the system's directory for \
                  temporary files.",
        difference: "Gunicorn has the setting and never reads it.",
        ..ROW
    },
    Setting {
        name: "pythonpath",
        flags: &["--pythonpath"],
        metavar: "STRING",
        kind: Kind::Commas,
        reload: Reload::StartOnly,
        access: Some(custom::PYTHONPATH),
        summary: "Directories to put in front of sys.path, divided by commas.",
        difference: "`--check-config` sees them as well.",
        ..ROW
    },
    Setting {
        name: "paste",
        flags: &["--paste", "--paster"],
        metavar: "STRING",
        kind: Kind::Text,
        reload: Reload::Partly,
        access: field!(paste),
        summary: "A PasteDeploy file, as FILE.ini[#SECTION], to load the application from.",
        details: "A relative path is below the directory of the start; `chdir` does not change that. Where the file has a \
            section `[loggers]` it is the default of `logconfig` too. The package PasteDeploy has to be installed. \
            The application string of the command line is not used then.",
        ..ROW
    },
    Setting {
        name: "raw_paste_global_conf",
        flags: &["--paste-global"],
        metavar: "CONF",
        kind: Kind::Words,
        default: Literal::List(&[]),
        access: Some(custom::PASTE_GLOBAL),
        summary: "A variable for the PasteDeploy file, as NAME=VALUE; the option can be repeated.",
        ..ROW
    },
    Setting {
        name: "root_path",
        flags: &["--root-path"],
        metavar: "STRING",
        kind: Kind::Text,
        default: Literal::Str(""),
        access: field!(root_path),
        summary: "The path under which a proxy shows an ASGI application.",
        details: "The application finds it as `root_path` in its scope, and at the beginning of `path`. `raw_path` stays as it came.",
        difference: "Where a proxy has taken it away, `path` begins with it all the same, as with uvicorn.",
        ..ROW
    },
];
