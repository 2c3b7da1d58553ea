//! Splitting a line into words as a POSIX shell does, for arguments in an environment variable: what Python's
//! `shlex.split` does, without its comments.

/// A quotation mark that is opened and never closed, or a backslash at the very end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quotation mark is not closed, or a backslash ends the text")]
pub struct UnclosedQuote;

/// The words of `text`, quotation marks and backslashes resolved.
pub fn split_words(text: &str) -> Result<Vec<String>, UnclosedQuote> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            blank if blank.is_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(&mut characters, word.get_or_insert_default())?,
            '"' => double_quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => word
                .get_or_insert_default()
                .push(characters.next().ok_or(UnclosedQuote)?),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(
    characters: &mut impl Iterator<Item = char>,
    word: &mut String,
) -> Result<(), UnclosedQuote> {
    loop {
        match characters.next().ok_or(UnclosedQuote)? {
            '\'' => return Ok(()),
            plain => word.push(plain),
        }
    }
}

/// Within double quotes a backslash escapes only itself and the quotation mark, as in `shlex`.
fn double_quoted(
    characters: &mut impl Iterator<Item = char>,
    word: &mut String,
) -> Result<(), UnclosedQuote> {
    loop {
        match characters.next().ok_or(UnclosedQuote)? {
            '"' => return Ok(()),
            '\\' => match characters.next().ok_or(UnclosedQuote)? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            plain => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let check = |text: &str, words: &[&str]| {
            assert_eq!(split_words(text).expect(text), words, "{text}")
        };
        check("", &[]);
        check("  -w 4\t--bind :80 \n", &["-w", "4", "--bind", ":80"]);
        check(
            "--name 'my app' --x=\"a b\"c",
            &["--name", "my app", "--x=a bc"],
        );
        check(r#"a\ b "q\"q" "n\n" '\'"#, &["a b", "q\"q", "n\\n", "\\"]);
        check("'' \"\"", &["", ""]);
        check("# no comments", &["#", "no", "comments"]);
    }

    #[test]
    fn an_open_quotation_mark_is_an_error() {
        for text in ["'a", "\"a", "a\\", "\"a\\"] {
            assert_eq!(split_words(text), Err(UnclosedQuote), "{text}");
        }
    }
}
