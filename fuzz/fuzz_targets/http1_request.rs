//! Request heads: the outcome depends on the bytes alone, not on how they were cut or on what follows them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::h1::{HeadParser, parse_request};
use proto::{Limits, Request, Violation};

type Outcome = Result<Option<(Request, usize)>, Violation>;

/// Small limits, so that small inputs reach them. The first byte of the input chooses.
fn limits(choice: u8) -> Limits {
    match choice % 5 {
        0 => Limits::default(),
        1 => Limits {
            request_line: 40,
            fields: 3,
            field_size: 30,
            ..Limits::default()
        },
        2 => Limits {
            unconventional_method: true,
            casefold_method: true,
            unconventional_version: true,
            ..Limits::default()
        },
        3 => Limits {
            obsolete_folding: true,
            space_before_colon: true,
            ..Limits::default()
        },
        _ => Limits {
            request_line: 0,
            fields: 0,
            field_size: 0,
            ..Limits::default()
        },
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let limits = limits(choice);
    let whole = parse_request(input, &limits);
    assert_same(&whole, &byte_by_byte(input, &limits));
    if whole
        .as_ref()
        .is_err_and(|violation| *violation == Violation::FieldName)
    {
        assert!(has_bad_name(input));
    }
    let Ok(Some((request, consumed))) = &whole else {
        return;
    };
    assert!(*consumed <= input.len());
    check_parts(request);
    // Neither what follows nor what was skipped before the request line is part of it.
    assert_same(&whole, &parse_request(&input[..*consumed], &limits));
    let block = [request.line(), b"\r\n", request.field_block(), b"\r\n"].concat();
    assert!(
        limits.obsolete_folding
            || input[..*consumed]
                .to_ascii_uppercase()
                .ends_with(&block.to_ascii_uppercase())
    );
    // What was straightened needs no tolerance any more.
    let strict = Limits {
        obsolete_folding: false,
        space_before_colon: false,
        ..limits
    };
    let again = parse_request(&block, &strict).unwrap().unwrap().0;
    assert_same_request(request, &again);
});

/// `FieldName` is also the answer to a line that our walk accepts and httparse does not. There must be none.
fn has_bad_name(input: &[u8]) -> bool {
    let is_separator =
        |byte: &u8| !(0x21..0x7f).contains(byte) || b"\"(),/:;<=>?@[\\]{}".contains(byte);
    input.split(|&byte| byte == b'\n').skip(1).any(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        name.is_empty() || name.iter().any(is_separator)
    })
}

fn byte_by_byte(input: &[u8], limits: &Limits) -> Outcome {
    let mut parser = HeadParser::default();
    for length in 0..=input.len() {
        if let Some(head) = parser.parse(&input[..length], limits)? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn assert_same(one: &Outcome, other: &Outcome) {
    match (one, other) {
        (Ok(Some((one, consumed))), Ok(Some((other, others)))) => {
            assert_eq!(consumed, others);
            assert_same_request(one, other);
        }
        (Ok(None), Ok(None)) => {}
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

fn assert_same_request(one: &Request, other: &Request) {
    assert_eq!(one.line(), other.line());
    assert_eq!(one.field_block(), other.field_block());
    assert!(one.fields().eq(other.fields()));
    assert_eq!(
        (one.path(), one.query(), one.host()),
        (other.path(), other.query(), other.host())
    );
    assert_eq!(
        (one.form(), one.version(), one.framing()),
        (other.form(), other.version(), other.framing())
    );
    assert_eq!(
        (one.keep_alive(), one.expects_continue()),
        (other.keep_alive(), other.expects_continue())
    );
}

/// What the application and the logs are handed can break no line.
fn check_parts(request: &Request) {
    let visible = |bytes: &[u8]| bytes.iter().all(|byte| (0x21..0x7f).contains(byte));
    assert!(visible(request.method()) && visible(request.target()) && visible(request.host()));
    for (name, value) in request.fields() {
        assert!(!name.is_empty() && visible(name));
        assert!(
            !value
                .iter()
                .any(|byte| matches!(byte, 0..=8 | 10..=31 | 127))
        );
        assert_eq!(value.trim_ascii(), value);
    }
}
