//! Our reading of command lines beside argparse's of the same lines, recorded from Gunicorn 27.0.1 on CPython 3.11 by
//! `tests/recorded/record_argparse.py`.

use serde_json::Value as Json;

use super::*;

/// What is read otherwise on purpose, and as what.
const DIFFERENT: [(&str, &str); 2] = [
    // Times may have fractions.
    ("-t 2.0", "timeout=2.0"),
    // argparse takes the `--` out of the value and leaves an empty list.
    ("-n=-- app", "proc_name=--"),
];

fn recorded() -> Vec<Json> {
    serde_json::from_str(include_str!("../../tests/recorded/argparse.json")).expect("valid JSON")
}

fn words(case: &Json, key: &str) -> Vec<String> {
    let list = case[key].as_array().expect("a list");
    list.iter()
        .map(|word| word.as_str().expect("text").to_owned())
        .collect()
}

/// `name=value` of each setting, in the order of names.
fn said(case: &Json) -> Vec<String> {
    let values = case["values"].as_object().expect("an object");
    values
        .iter()
        .map(|(name, value)| format!("{name}={}", shown(value)))
        .collect()
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Array(items) => {
            let items = items
                .iter()
                .map(|item| Value::from(item.as_str().expect("text")));
            Value::List(items.collect()).display()
        }
        other => other.to_string(),
    }
}

/// The same of our reading, or how it stopped.
fn read(line: &[String]) -> Result<(Option<String>, Vec<String>), (i64, String)> {
    let CommandLine { app, options, .. } = parse(line).map_err(|stop| match stop {
        Stop::Help(_) | Stop::Version => (0, String::new()),
        Stop::Usage { sentence, .. } => (2, sentence),
        Stop::Malformed(value) => (2, value.option.to_owned()),
    })?;
    let mut values: Vec<String> = options
        .iter()
        .map(|option| format!("{}={}", option.setting.name, option.value.display()))
        .collect();
    values.sort();
    Ok((app, values))
}

#[test]
fn a_line_is_read_as_argparse_reads_it() {
    let cases = recorded();
    assert!(cases.len() > 250, "the record has become {}", cases.len());
    for case in cases {
        let line = words(&case, "line");
        if DIFFERENT
            .iter()
            .any(|(different, _)| *different == line.join(" "))
        {
            continue;
        }
        match (read(&line), case["exit"].as_i64()) {
            (Ok((app, values)), None) => {
                assert_eq!(app, words(&case, "args").into_iter().next(), "{line:?}");
                assert_eq!(values, said(&case), "{line:?}");
            }
            (Err((code, _)), Some(expected)) => assert_eq!(code, expected, "{line:?}"),
            (ours, expected) => panic!("{line:?}: {ours:?}, argparse: {expected:?}"),
        }
    }
}

#[test]
fn a_prefix_that_is_not_clear_names_the_options_that_argparse_names() {
    for case in recorded() {
        let (line, theirs) = (
            words(&case, "line"),
            case["said"].as_str().unwrap_or_default(),
        );
        let Some((_, options)) = theirs.split_once(" could match ") else {
            continue;
        };
        let Err((2, ours)) = read(&line) else {
            panic!("{line:?} is clear");
        };
        for option in options.split(", ") {
            assert!(ours.contains(option), "{line:?}: {ours}");
        }
    }
}

#[test]
fn what_is_read_otherwise_is_so_on_purpose() {
    for (line, expected) in DIFFERENT {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (_, values) = read(&words).expect(line);
        assert_eq!(values, [expected], "{line}");
    }
}
