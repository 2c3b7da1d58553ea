use super::*;

fn words(line: &str) -> Vec<String> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The options of a line as `name=value`, in the table's order.
fn options(line: &str) -> Vec<String> {
    let parsed = parse(&words(line)).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
    parsed
        .options
        .iter()
        .map(|option| format!("{}={}", option.setting.name, option.value.display()))
        .collect()
}

fn app(line: &str) -> Option<String> {
    parse(&words(line)).expect(line).app
}

fn usage(line: &str) -> String {
    match parse_command_line(&words(line)) {
        Parsed::Usage(message) => message,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn an_option_is_read_in_every_spelling() {
    for line in [
        "-w4",
        "-w 4",
        "-w=4",
        "--workers 4",
        "--workers=4",
        "-w 3 -w 4",
    ] {
        assert_eq!(options(line), ["workers=4"], "{line}");
    }
    assert_eq!(options("--log-file a"), ["errorlog=a"]);
    assert_eq!(options("--error-logfile a"), ["errorlog=a"]);
    assert_eq!(
        options("-D --reload --reload"),
        ["reload=True", "daemon=True"]
    );
    assert_eq!(options("--no-sendfile"), ["sendfile=False"]);
    assert_eq!(options("-b :1 --bind :2"), ["bind=[':1', ':2']"]);
    assert_eq!(options("--access-logfile -"), ["accesslog=-"]);
    assert_eq!(options("-w -1"), ["workers=-1"]);
}

#[test]
fn a_unique_prefix_is_enough() {
    assert_eq!(options("--keep 10"), ["keepalive=10"]);
    assert_eq!(options("--keep=10"), ["keepalive=10"]);
    assert_eq!(options("--preloa"), ["preload_app=True"]);
}

#[test]
fn a_prefix_that_fits_several_options_is_refused_with_their_names() {
    let message = usage("--max 3");
    assert_eq!(
        message,
        "error: --max is not clear: it could be --max-requests, --max-requests-jitter\n  hint: write the option out"
    );
}

#[test]
fn a_whole_name_wins_over_longer_ones() {
    assert_eq!(options("--max-requests 3"), ["max_requests=3"]);
    assert_eq!(options("--reload"), ["reload=True"]);
    assert_eq!(options("--paste a"), ["paste=a"]);
}

#[test]
fn a_prefix_that_is_clear_in_gunicorn_stays_clear() {
    // Oxicorn's own --header-timeout must not make it ambiguous.
    assert_eq!(options("--header drop"), ["header_map=drop"]);
    assert_eq!(options("--header-t 3"), ["header_timeout=3"]);
    assert_eq!(options("--body 3"), ["body_timeout=3"]);
}

#[test]
fn the_field_size_has_both_spellings() {
    assert_eq!(
        options("--limit-request-field_size 5"),
        ["limit_request_field_size=5"]
    );
    assert_eq!(
        options("--limit-request-field-size 5"),
        ["limit_request_field_size=5"]
    );
    assert_eq!(
        options("--limit-request-field_s=5"),
        ["limit_request_field_size=5"]
    );
}

#[test]
fn the_application_may_stand_anywhere_and_the_first_counts() {
    assert_eq!(app("a:b -w 4").as_deref(), Some("a:b"));
    assert_eq!(app("-w 4 a:b").as_deref(), Some("a:b"));
    assert_eq!(app("-w 4 a:b other third --reload").as_deref(), Some("a:b"));
    assert_eq!(app("-w4 -- a").as_deref(), Some("a"));
    assert_eq!(app("--reload"), None);
}

#[test]
fn an_option_whose_value_may_be_left_out_takes_what_follows() {
    // Gunicorn does so too: the application would be the mode.
    assert_eq!(options("--proxy-protocol v2"), ["proxy_protocol=v2"]);
    assert_eq!(options("--proxy-protocol"), ["proxy_protocol=auto"]);
    assert_eq!(
        options("--proxy-protocol --reload"),
        ["reload=True", "proxy_protocol=auto"]
    );
}

#[test]
fn a_value_with_a_blank_may_begin_with_a_hyphen() {
    let check = |arguments: &[&str], expected: &[(&str, &str)]| {
        let arguments: Vec<String> = arguments.iter().copied().map(str::to_owned).collect();
        let parsed = parse(&arguments).unwrap_or_else(|stop| panic!("{arguments:?}: {stop:?}"));
        let options: Vec<_> = parsed
            .options
            .iter()
            .map(|option| (option.setting.name, option.value.display()))
            .collect();
        assert!(
            options
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .eq(expected.iter().copied()),
            "{options:?}"
        );
    };
    check(
        &["--access-logformat", "- %(h)s"],
        &[("access_log_format", "- %(h)s")],
    );
    check(
        &["--access-logfo", "--- %(h)s ---"],
        &[("access_log_format", "--- %(h)s ---")],
    );
    check(&["-n", "-xy name"], &[("proc_name", "-xy name")]);
    // Here the hyphen begins an option, blank or not.
    check(
        &["-b :1", "-m 022"],
        &[("bind", "[' :1']"), ("umask", "18")],
    );
}

#[test]
fn help_and_version_win_over_what_follows_them() {
    assert!(matches!(
        parse_command_line(&words("-v --nonsense")),
        Parsed::Version
    ));
    assert!(matches!(
        parse_command_line(&words("--vers")),
        Parsed::Version
    ));
    let Parsed::Help(which) = parse_command_line(&words("--help")) else {
        panic!("no help")
    };
    assert_eq!(which, Help::All);
    assert!(matches!(
        parse_command_line(&words("-h")),
        Parsed::Help(Help::Short)
    ));
    let text = crate::render::help(which, 100);
    assert!(text.contains("-w, --workers <INT>") && text.contains("Worker Processes:"));
    assert!(
        !text.contains("--dirty-app"),
        "what can only be refused is no help"
    );
}

#[test]
fn a_mistake_has_one_line_and_a_hint() {
    let check = |line: &str, expected: &str| assert_eq!(usage(line), expected, "{line}");
    check(
        "--wrokers 4",
        "error: --wrokers is not an option\n  hint: did you mean --workers?",
    );
    check(
        "--keepalive=4",
        "error: --keepalive is not an option\n  hint: did you mean --keep-alive?",
    );
    check(
        "-Z",
        "error: -Z is not an option\n  hint: oxicorn --help lists the options",
    );
    check(
        "--workers",
        "error: --workers needs a value\n  hint: as in --workers <INT>",
    );
    check(
        "-b -w4",
        "error: --bind needs a value\n  hint: as in --bind <ADDRESS>",
    );
    check(
        "--preload=1",
        "error: --preload takes no value\n  hint: write --preload alone",
    );
    check(
        "a -w 4 b",
        "error: b is one word too many: the application is a\n  \
         hint: the application stands before or after the options, not on both sides",
    );
    check(
        "-w 0x10",
        "error: --workers: '0x10' is not valid: expected a whole number, 0 or more (from the command line)",
    );
}

#[test]
fn the_command_takes_one_application_and_embedding_programs_take_more() {
    assert_eq!(
        usage("a b -w 4"),
        "error: b is one word too many: the application is a\n  hint: one application is served; options begin with a hyphen"
    );
    let Parsed::Run(line) = parse_arguments(&words("a b c")) else {
        panic!("refused")
    };
    assert_eq!((line.app.as_deref(), line.extra.len()), (Some("a"), 2));
}

#[test]
fn dev_is_a_command_as_the_first_word_alone() {
    let read = |line: &str| match parse_command_line(&words(line)) {
        Parsed::Run(line) => (line.is_dev, line.app, line.options.len()),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(read("dev"), (true, None, 1));
    assert_eq!(read("dev a:b -w 2"), (true, Some("a:b".into()), 2));
    assert_eq!(read("dev --reload a"), (true, Some("a".into()), 1));
    assert_eq!(read("dev dev"), (true, Some("dev".into()), 1));
    assert_eq!(read("dev:app"), (false, Some("dev:app".into()), 0));
    assert_eq!(read("-w 2 dev"), (false, Some("dev".into()), 1));
}

#[test]
fn options_of_other_servers_are_refused_by_name() {
    let check = |line: &str, sentence: &str, hint: &str| {
        let message = usage(line);
        assert!(
            message.starts_with(&format!("error: {sentence}\n  hint: ")),
            "{message}"
        );
        assert!(message.contains(hint), "{message}");
    };
    let uvicorn =
        |flag: &str| format!("{flag} is an option of uvicorn's that Oxicorn does not have");
    check(
        "a --reload-dir src",
        &uvicorn("--reload-dir"),
        "--reload-extra-file",
    );
    check(
        "--reload-dir=src a",
        &uvicorn("--reload-dir"),
        "--reload-extra-file",
    );
    check("a --http2", &uvicorn("--http2"), "HTTP/2");
    check("a --http 2", "--http 2 is not taken", "HTTP/2");
    check(
        "a --interface asgi3",
        "--interface asgi3 is not taken",
        "-k asgi",
    );
    check(
        "a --interface=wsgi",
        "--interface wsgi is not taken",
        "-k sync",
    );
    let granian =
        |flag: &str| format!("{flag} is an option of Granian's that Oxicorn does not have");
    check(
        "a --blocking-threads 4",
        &granian("--blocking-threads"),
        "--threads",
    );
    check(
        "a --workers-lifetime 60",
        &granian("--workers-lifetime"),
        "--max-requests",
    );
    assert!(options("--interface auto --http h11").is_empty());
}

#[test]
fn the_names_of_uvicorn_are_understood() {
    assert_eq!(options("--timeout-keep-alive 5"), ["keepalive=5"]);
    assert_eq!(options("--limit-max-requests=9"), ["max_requests=9"]);
    assert_eq!(options("--lifespan off"), ["asgi_lifespan=off"]);
    assert_eq!(options("--app-dir src"), ["pythonpath=src"]);
    assert_eq!(options("--host ::1 --port 80"), ["bind=['[::1]:80']"]);
    assert_eq!(options("--uds /run/s"), ["bind=['unix:/run/s']"]);
    assert_eq!(options("--no-proxy-headers"), ["proxy_headers=False"]);
    assert_eq!(options("--no-server-header"), ["server_header=False"]);
    assert_eq!(options("--no-access-log"), ["accesslog=None"]);
    assert_eq!(
        options("--factory --env-file .env"),
        ["app_factory=True", "env_file=.env"]
    );
    assert_eq!(
        options("--header x-a:1 --header x-b:2"),
        ["response_headers=['x-a:1', 'x-b:2']"]
    );
}

#[test]
fn an_alias_makes_no_option_of_gunicorn_unclear() {
    assert_eq!(options("--header drop"), ["header_map=drop"]);
    assert_eq!(options("--header=refuse"), ["header_map=refuse"]);
    assert_eq!(options("--header=X-A:1"), ["response_headers=['X-A:1']"]);
    assert_eq!(
        options("--keep 10 --workers 2 --log-l debug"),
        ["workers=2", "keepalive=10", "loglevel=debug"]
    );
    assert_eq!(options("--timeo 3"), ["timeout=3"]);
    assert_eq!(
        options("--lifes on --fac"),
        ["asgi_lifespan=on", "app_factory=True"]
    );
}

#[test]
fn two_options_for_one_setting_are_refused() {
    let message = usage("--keep-alive 2 --timeout-keep-alive 5");
    assert_eq!(
        message,
        "error: --keep-alive and --timeout-keep-alive speak of the same setting\n  hint: give one of them"
    );
    assert!(usage("--bind :1 --port 80").contains("--bind and --port"));
    assert!(usage("--uds /s --port 80").contains("--port and --uds"));
}
