//! The table as text.

use settings::render::{Help, conf_template, help, manual, print_config};
use settings::{Config, Status, table};

#[test]
fn print_config_shows_every_setting_sorted_in_gunicorns_columns() {
    let hook = |name: &str| (name == "post_fork").then(|| "my_hook".to_owned());
    let lines = print_config(&Config::default(), &hook);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), table().len());
    assert!(lines.is_sorted());
    for expected in [
        "bind                               = ['127.0.0.1:8000']",
        "child_exit                         = <ChildExit.child_exit()>",
        "forwarded_allow_ips                = ['127.0.0.1', '::1']",
        "permit_unconventional_http_version = False",
        "post_fork                          = <my_hook()>",
        "timeout                            = 30",
        "statsd_prefix                      = ",
        "worker_class                       = sync",
    ] {
        assert!(
            lines.contains(&expected),
            "{expected}\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn the_template_holds_what_this_version_has_and_no_line_of_it_runs() {
    let text = conf_template();
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
    for setting in table() {
        let line = format!("\n# {} = ", setting.name);
        let is_value = setting.status == Status::Here && !setting.is_hook();
        let left_out =
            ["config", "check_config", "print_config", "print_sources"].contains(&setting.name);
        assert_eq!(
            text.contains(&line),
            is_value && !left_out,
            "{}",
            setting.name
        );
    }
    assert!(text.contains("\n# workers = 1\n"));
    assert!(text.contains("\n# def post_fork(server, worker):\n#     pass\n"));
}

#[test]
fn the_manual_has_an_entry_for_every_setting() {
    let page = manual();
    for setting in table() {
        assert!(
            page.contains(&format!("\n### `{}`\n", setting.name)),
            "{}",
            setting.name
        );
    }
}

#[test]
fn the_help_fits_its_terminal_and_the_short_one_is_short() {
    for which in [Help::Short, Help::All] {
        for columns in [60, 80, 100, 200] {
            let text = help(which, columns);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(columns.min(100)),
                "{which:?} {columns}: {widest:?}"
            );
        }
    }
    let options = |text: &str| {
        let is_option = |line: &&str| line.trim_start().starts_with('-');
        text.lines().filter(is_option).count()
    };
    let short = help(Help::Short, 100);
    assert_eq!(options(&short), 22, "{short}");
    assert!(short.contains("--workers") && !short.contains("--umask"));
    assert!(options(&help(Help::All, 100)) > 100);
}

#[test]
fn the_manual_says_what_a_setting_is_and_not_what_its_option_does() {
    for text in [manual(), conf_template()] {
        assert!(!text.contains("Do not "), "{text}");
        assert!(text.contains("Whether responses get a Server field."));
    }
    assert!(manual().contains("- [Server Socket](#server-socket): [`bind`](#bind)"));
}
