//! The table as text.

use settings::render::{conf_template, manual, print_config};
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
