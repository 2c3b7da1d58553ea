//! The invariants of the table.

use std::collections::HashSet;

use super::*;
use crate::config::Config;
use crate::kind::Kind;
use crate::layers::Layers;
use crate::setting::Status;
use crate::value::Value;

#[test]
fn names_and_flags_are_unique() {
    let mut names = HashSet::new();
    let mut flags = HashSet::from(["-h", "--help", "-v", "--version"]);
    for setting in table() {
        assert!(names.insert(setting.name), "{} twice", setting.name);
        for flag in setting.flags {
            assert!(flags.insert(flag), "{flag} twice");
        }
    }
}

#[test]
fn a_name_could_be_a_python_variable_and_a_flag_is_a_flag() {
    for setting in table() {
        assert!(
            setting
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        );
        for flag in setting.flags {
            let short = flag.len() == 2 && flag.starts_with('-');
            assert!(short || flag.starts_with("--"), "{flag}");
        }
    }
}

#[test]
fn what_is_here_has_a_field_and_hooks_have_none() {
    for setting in table() {
        match setting.status {
            _ if setting.is_hook() => assert!(setting.access.is_none(), "{}", setting.name),
            Status::Here | Status::Inert(_) => {
                assert!(setting.access.is_some(), "{}", setting.name)
            }
            Status::Later(_) => {}
        }
    }
}

#[test]
fn every_row_says_what_it_is() {
    for setting in table() {
        let Setting {
            name,
            summary,
            details,
            difference,
            ..
        } = setting;
        assert!(
            summary.ends_with('.') && !summary.contains('\n'),
            "{name}: {summary}"
        );
        assert!(
            !summary.contains("  ") && !difference.contains("  "),
            "{name}"
        );
        assert!(
            details.is_empty() || details.ends_with('.'),
            "{name}: {details}"
        );
        assert!(
            difference.is_empty() || difference.ends_with('.'),
            "{name}: {difference}"
        );
        let takes_value = setting.kind != Kind::Flag && !setting.flags.is_empty();
        assert!(
            !takes_value || !setting.metavar.is_empty(),
            "{name} has an option without a word for its value"
        );
    }
}

#[test]
fn a_hook_ends_with_its_signature() {
    for setting in crate::setting::hooks() {
        let signature = setting.signature().expect(setting.name);
        assert!(
            signature.starts_with(setting.name) && signature.ends_with(')'),
            "{signature}"
        );
        let Kind::Hook { parameters } = setting.kind else {
            panic!("not a hook")
        };
        let count = signature.matches(',').count() + 1;
        assert_eq!(
            parameters.last().map(|most| usize::from(*most)),
            Some(count),
            "{signature}"
        );
    }
}

/// What a field holds, in the form in which it is written.
fn held(setting: &Setting, config: &Config) -> Value {
    let value = setting.value_in(config);
    setting.kind.check(&value).expect(setting.name)
}

#[test]
fn every_default_is_valid_and_is_what_its_field_holds() {
    let config = Layers::new().resolve().expect("the defaults resolve");
    for setting in table().iter().filter(|setting| setting.access.is_some()) {
        // Unset, it is on.
        if setting.name != "sendfile" {
            assert_eq!(
                held(setting, &config),
                setting.normal_default(),
                "{}",
                setting.name
            );
        }
    }
    assert_eq!(config, Config::default());
    assert!(config.sendfile);
}

#[test]
fn what_a_field_holds_can_be_written_back() {
    let config = Config::default();
    let mut copy = Config::blank();
    for setting in table().iter().filter(|setting| setting.access.is_some()) {
        setting
            .write(&mut copy, &held(setting, &config))
            .expect(setting.name);
    }
    copy.origins = config.origins.clone();
    assert_eq!(copy, config);
}
