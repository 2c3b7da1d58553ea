//! The table beside Gunicorn's own settings, kept in `gunicorn_settings.json`: name, section, flags, action, default
//! and what a reload does.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod json;

use json::value;
use serde_json::Value as Json;
use settings::{Kind, Literal, Parsed, Reload, Setting, Value, find, parse_command_line, table};

/// Where the default differs on purpose; the manual says why.
const OTHER_DEFAULTS: [&str; 2] = ["http_protocols", "keepalive"];

fn gunicorn() -> Vec<Json> {
    let facts: Json =
        serde_json::from_str(include_str!("gunicorn_settings.json")).expect("valid JSON");
    facts["settings"].as_array().expect("a list").clone()
}

fn text<'a>(fact: &'a Json, key: &str) -> &'a str {
    fact[key].as_str().unwrap_or_default()
}

fn ours(fact: &Json) -> &'static Setting {
    let name = text(fact, "name");
    find(name).unwrap_or_else(|| panic!("{name} is missing"))
}

fn flags(fact: &Json) -> Vec<&str> {
    fact["flags"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Json::as_str)
        .collect()
}

/// Dictionaries have no order that matters.
fn sorted(value: Value) -> Value {
    match value {
        Value::Map(mut entries) => {
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Map(entries)
        }
        other => other,
    }
}

#[test]
fn all_of_gunicorns_settings_are_here_and_nothing_else_claims_to_be() {
    let facts = gunicorn();
    assert_eq!(facts.len(), 120);
    let names: Vec<&str> = facts.iter().map(|fact| text(fact, "name")).collect();
    for setting in table() {
        assert_eq!(
            setting.own,
            !names.contains(&setting.name),
            "{}",
            setting.name
        );
    }
    assert_eq!(table().iter().filter(|setting| !setting.own).count(), 120);
}

#[test]
fn each_stands_in_its_section_and_has_its_flags() {
    for fact in gunicorn() {
        let setting = ours(&fact);
        assert_eq!(
            setting.section.title(),
            text(&fact, "section"),
            "{}",
            setting.name
        );
        for flag in flags(&fact) {
            assert!(
                setting.flags.contains(&flag),
                "{} lacks {flag}",
                setting.name
            );
        }
        let more = setting.flags.len() - flags(&fact).len();
        let hyphened = ["access_log_format", "limit_request_field_size"].contains(&setting.name);
        assert_eq!(
            more,
            usize::from(hyphened),
            "{} has flags of its own",
            setting.name
        );
    }
}

#[test]
fn each_is_a_switch_a_list_or_a_value_as_there() {
    for fact in gunicorn() {
        let setting = ours(&fact);
        match text(&fact, "action") {
            "store_true" | "store_const" => {
                assert_eq!(setting.kind, Kind::Flag, "{}", setting.name)
            }
            "append" => assert_eq!(setting.kind, Kind::Words, "{}", setting.name),
            "store" => assert!(
                !matches!(setting.kind, Kind::Flag | Kind::Words),
                "{}",
                setting.name
            ),
            _ => assert!(setting.flags.is_empty(), "{}", setting.name),
        }
        if !fact["const"].is_null() {
            assert_eq!(
                setting.bare_value(),
                value(&fact["const"]),
                "{}",
                setting.name
            );
        }
    }
}

#[test]
fn each_has_its_default() {
    for fact in gunicorn() {
        let setting = ours(&fact);
        let same = match setting.default {
            Literal::Function(name) => name == text(&fact, "default"),
            default => sorted(default.value()) == sorted(value(&fact["default"])),
        };
        // Some defaults are found when Gunicorn starts: a directory, a user.
        let computed = fact["computed"] == Json::Bool(true);
        let differs = OTHER_DEFAULTS.contains(&setting.name);
        assert!(
            computed || same != differs,
            "{}: {}",
            setting.name,
            fact["default"]
        );
        assert!(
            !differs || !setting.difference.is_empty(),
            "{}: the manual must say so",
            setting.name
        );
    }
}

#[test]
fn no_flag_can_change_nothing() {
    let idle = |setting: &&Setting| {
        let is_flag = setting.kind == Kind::Flag && !setting.flags.is_empty();
        is_flag && setting.bare_value() == setting.default.value()
    };
    let names: Vec<_> = table()
        .iter()
        .filter(idle)
        .map(|setting| setting.name)
        .collect();
    // Gunicorn's flag switches on what is on; a conf file can switch it off.
    assert_eq!(names, ["suppress_ragged_eofs"]);
}

#[test]
fn each_says_what_a_reload_does() {
    for fact in gunicorn() {
        let setting = ours(&fact);
        let expected = match text(&fact, "reload") {
            "R" => Reload::Applied,
            "P" => Reload::Partly,
            "N" => Reload::StartOnly,
            _ => Reload::NoEffect,
        };
        // tmp_upload_dir, which Gunicorn never reads, has an effect here, and so has the name of a conf file.
        if !["tmp_upload_dir", "default_proc_name"].contains(&setting.name) {
            assert_eq!(setting.reload, expected, "{}", setting.name);
        }
    }
}

#[test]
fn every_flag_is_understood_on_the_command_line() {
    for fact in gunicorn() {
        let switch = matches!(text(&fact, "action"), "store_true" | "store_const");
        for flag in flags(&fact) {
            let mut line = vec![flag.to_owned()];
            line.extend((!switch).then(|| "1".to_owned()));
            assert!(
                matches!(parse_command_line(&line), Parsed::Run(_)),
                "{line:?}"
            );
        }
    }
}
