use super::*;

fn check(kind: Kind, value: Value, expected: Value) {
    let result = kind.check(&value);
    assert_eq!(result, Ok(expected), "{kind:?} of {value}");
}

fn refuse(kind: Kind, value: Value, malformed: bool) {
    let rejection = kind.check(&value).expect_err(&value.to_string());
    assert_eq!(rejection.malformed, malformed, "{kind:?} of {value}");
    assert_eq!(rejection.expected, kind.expectation());
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().copied().map(Value::from).collect())
}

#[test]
fn a_whole_number_is_read_as_python_reads_it() {
    for (given, expected) in [
        ("4", 4),
        (" 4 ", 4),
        ("+4", 4),
        ("007", 7),
        ("0", 0),
        ("0x10", 16),
        ("0o17", 15),
        ("0B11", 3),
        ("1_000", 1000),
    ] {
        check(Kind::Number(0), text(given), Value::Int(expected));
    }
    check(Kind::Number(0), Value::Int(4), Value::Int(4));
    check(Kind::Number(0), Value::Bool(true), Value::Int(1));
}

#[test]
fn what_is_no_whole_number_is_malformed() {
    for given in [
        "",
        "abc",
        "4.0",
        "0x",
        "1__0",
        "_1",
        "1_",
        "--1",
        "+-1",
        "0x-1",
        "9e3",
        "é1",
        "99999999999999999999",
    ] {
        refuse(Kind::Number(0), text(given), true);
    }
    refuse(Kind::Number(0), Value::None, true);
    refuse(Kind::Number(0), Value::Float(2.0), true);
}

#[test]
fn a_number_below_the_least_is_unacceptable() {
    refuse(Kind::Number(0), Value::Int(-1), false);
    refuse(Kind::Number(0), text("-1"), false);
    refuse(Kind::Number(1), text("0"), false);
}

#[test]
fn seconds_may_have_a_fraction_and_an_end() {
    check(Kind::Seconds, text("30"), Value::Int(30));
    check(Kind::Seconds, text("0.5"), Value::Float(0.5));
    check(Kind::Seconds, Value::Float(1.5), Value::Float(1.5));
    for beyond in [
        Value::Int(-1),
        Value::Float(-0.1),
        Value::Int(1 << 40),
        text("inf"),
        text("nan"),
    ] {
        refuse(Kind::Seconds, beyond, false);
    }
    refuse(Kind::Seconds, text("soon"), true);
}

#[test]
fn a_file_mode_with_a_leading_zero_is_octal() {
    for (given, expected) in [
        ("022", 0o22),
        ("0o22", 0o22),
        ("18", 18),
        ("0x12", 18),
        ("0", 0),
        ("00", 0),
    ] {
        check(Kind::Mode, text(given), Value::Int(expected));
    }
    check(Kind::Mode, Value::Int(0o27), Value::Int(0o27));
    for given in ["660", "0660", "0o660", " 660 "] {
        check(Kind::Permissions, text(given), Value::Int(0o660));
    }
    check(Kind::Permissions, Value::Int(0o660), Value::Int(0o660));
    check(Kind::Permissions, Value::None, Value::None);
    for given in ["", "888", "rw", "-1", "0x10"] {
        refuse(Kind::Permissions, text(given), true);
    }
    refuse(Kind::Permissions, text("1000"), false);
    refuse(Kind::Mode, text("089"), true);
    refuse(Kind::Mode, text("01000"), false);
}

#[test]
fn a_flag_takes_the_words_true_and_false() {
    for (given, expected) in [(" True ", true), ("FALSE", false)] {
        check(Kind::Flag, text(given), Value::Bool(expected));
    }
    check(Kind::Flag, Value::None, Value::None);
    // Gunicorn refuses numbers here too.
    refuse(Kind::Flag, Value::Int(1), true);
    refuse(Kind::Flag, text("yes"), true);
}

#[test]
fn a_string_is_stripped_and_nothing_else_is_one() {
    check(Kind::Text, text(" a b "), text("a b"));
    check(Kind::Text, Value::None, Value::None);
    refuse(Kind::Text, Value::Int(1), true);
}

#[test]
fn a_class_is_a_name_or_an_object() {
    check(Kind::Class, text(" a.B "), text("a.B"));
    check(
        Kind::Class,
        Value::Other("type".into()),
        Value::Other("type".into()),
    );
    refuse(Kind::Class, Value::Int(1), true);
}

#[test]
fn a_choice_is_a_known_word_in_any_case() {
    let kind = Kind::Choice(&["auto", "fast", "python"]);
    check(kind, text(" Fast"), text("fast"));
    refuse(kind, text("slow"), false);
    refuse(kind, Value::Int(1), true);
    assert_eq!(kind.expectation(), "auto, fast or python");
}

#[test]
fn an_account_is_a_name_or_a_number() {
    check(Kind::Account, Value::Int(33), text("33"));
    check(Kind::Account, text(" www-data "), text("www-data"));
    check(Kind::Account, Value::None, Value::None);
    refuse(Kind::Account, Value::Int(-1), true);
    refuse(Kind::Account, text(" "), true);
}

#[test]
fn a_string_alone_is_a_list_of_one() {
    check(Kind::Words, text("a,b"), list(&["a,b"]));
    check(Kind::Words, text(""), list(&[]));
    check(Kind::Words, Value::None, list(&[]));
    check(Kind::Words, list(&[" a", "b"]), list(&["a", "b"]));
    refuse(Kind::Words, Value::List(vec![Value::Int(1)]), true);
}

#[test]
fn commas_divide_and_empty_parts_vanish() {
    check(Kind::Commas, text("a, b,,"), list(&["a", "b"]));
    check(Kind::Commas, text(""), list(&[]));
    check(Kind::Commas, list(&["a"]), list(&["a"]));
    refuse(Kind::Commas, Value::Bool(true), true);
}

#[test]
fn a_dictionary_is_a_dictionary() {
    let map = Value::Map(vec![("a".into(), Value::Int(1))]);
    check(Kind::Dictionary, map.clone(), map);
    refuse(Kind::Dictionary, Value::None, true);
}
