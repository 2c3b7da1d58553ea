//! Files of environment variables, in the form that python-dotenv reads: `NAME=VALUE` lines with quotes, `export`,
//! comments and `${NAME}`. Text comes in, variables go out; nothing is read here and nothing is set.

/// The variables of a file, in order. `known` are those that the environment has: a reference finds them first.
///
/// # Errors
/// The number of the first line that is no assignment.
pub fn parse_env_file(
    text: &str,
    known: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, usize> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with('#') {
            rest = after_line(rest);
            continue;
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (assignment, left) = assignment(rest).ok_or(line)?;
        rest = left;
        // A name alone gives no value.
        let Some((name, raw)) = assignment else {
            continue;
        };
        let value = expand(&raw, &|name| {
            let earlier = || found.iter().rev().find(|(key, _)| key == name);
            known(name).or_else(|| earlier().map(|(_, value)| value.clone()))
        });
        found.push((name.to_owned(), value));
    }
}

type Assignment<'a> = Option<(&'a str, String)>;

/// One assignment and what follows its line; `None` for what is none.
fn assignment(text: &str) -> Option<(Assignment<'_>, &str)> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let end = text
        .find(|c: char| c == '=' || c == '#' || c.is_whitespace())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    if name.is_empty() {
        return None;
    }
    let Some(rest) = rest.strip_prefix('=') else {
        return is_over(rest).then(|| (None, after_line(rest)));
    };
    let opened = rest.trim_start_matches([' ', '\t']);
    let (value, rest) = match opened.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(&opened[1..], quote)?,
        _ => plain(rest),
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    is_over(rest).then(|| (Some((name, value)), after_line(rest)))
}

fn is_over(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['\r', '\n', '#'])
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// A value without quotes: to the end of the line, or to a comment after a blank.
fn plain(text: &str) -> (String, &str) {
    let line = text.lines().next().unwrap_or_default();
    let comment = line.match_indices('#').map(|(at, _)| at);
    let end = comment
        .filter(|at| line[..*at].ends_with([' ', '\t']))
        .min()
        .unwrap_or(line.len());
    (line[..end].trim().to_owned(), &text[end..])
}

/// A value up to its closing quote, over several lines if need be.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                let (_, escaped) = characters.next()?;
                value.push_str(&unescaped(escaped, quote));
            }
            end if end == quote => return Some((value, &text[at + 1..])),
            other => value.push(other),
        }
    }
    None
}

fn unescaped(character: char, quote: char) -> String {
    match (character, quote) {
        ('\\' | '\'', _) | ('"', '"') => character.to_string(),
        ('a', '"') => "\u{7}".to_owned(),
        ('b', '"') => "\u{8}".to_owned(),
        ('f', '"') => "\u{c}".to_owned(),
        ('n', '"') => "\n".to_owned(),
        ('r', '"') => "\r".to_owned(),
        ('t', '"') => "\t".to_owned(),
        ('v', '"') => "\u{b}".to_owned(),
        _ => format!("\\{character}"),
    }
}

/// Replaces `${NAME}` and `${NAME:-DEFAULT}`. A name has no colon: `${NAME:DEFAULT}` is text.
fn expand(raw: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = String::new();
    let mut rest = raw;
    while let Some((before, reference)) = rest.split_once("${") {
        let Some((inside, after)) = reference.split_once('}') else {
            break;
        };
        value.push_str(before);
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        match name.contains(':') {
            true => value.push_str(&rest[before.len()..rest.len() - after.len()]),
            false => value.push_str(&lookup(name).unwrap_or_else(|| default.to_owned())),
        }
        rest = after;
    }
    value + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let known = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let expected: Vec<_> = expected.iter().map(owned).collect();
        assert_eq!(parse_env_file(text, &known), Ok(expected), "{text:?}");
    }

    #[test]
    fn assignments_are_read() {
        check("", &[]);
        check(
            "A=1\nB = two words \r\n\n# no\nexport C=3",
            &[("A", "1"), ("B", "two words"), ("C", "3")],
        );
        check(
            "A=1 # one\nB=a#b\nC=#\nD=\nE= # no\n",
            &[("A", "1"), ("B", "a#b"), ("C", "#"), ("D", ""), ("E", "")],
        );
        check(
            "A='a # b'\nB=\"x\\ty\\\"z\" # c\n",
            &[("A", "a # b"), ("B", "x\ty\"z")],
        );
        check(
            "A=\"\\a\\b\\f\\v\\n\\r\\'\\q\"",
            &[("A", "\u{7}\u{8}\u{c}\u{b}\n\r'\\q")],
        );
        check("A='it\\'s\\n'\nALONE\n", &[("A", "it's\\n")]);
        check("A=\"one\ntwo\"\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
    }

    #[test]
    fn references_are_replaced() {
        check(
            "A=1\nB=${A}/${HOME}\nC=${NO:-5}${NO}\nD=${",
            &[("A", "1"), ("B", "1//home/me"), ("C", "5"), ("D", "${")],
        );
        check("A=$HOME${A:b}", &[("A", "$HOME${A:b}")]);
        check("A='${HOME}'", &[("A", "/home/me")]);
    }

    #[test]
    fn what_is_no_assignment_is_told_by_its_line() {
        let none = |_: &str| None;
        assert_eq!(parse_env_file("A=1\n\n=2\n", &none), Err(3));
        assert_eq!(parse_env_file("two words\n", &none), Err(1));
        assert_eq!(parse_env_file("A='open\n", &none), Err(1));
        assert_eq!(parse_env_file("A='x' y\n", &none), Err(1));
    }
}
