//! Characters of other people's text that must not reach a log as they are.

/// Whether a terminal, an editor or a log viewer acts on this character instead of showing it: control characters of C0
/// and C1, separators of lines and paragraphs, and the marks and embeddings of the bidirectional algorithm (Unicode
/// Standard Annex 9).
#[must_use]
pub fn is_acted_on(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_or_breaks_a_line_is_acted_on() {
        for character in "\0\n\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{202a}\u{202e}\u{2066}\u{2069}".chars() {
            assert!(is_acted_on(character), "{character:?}");
        }
        for character in " ~\u{a0}\u{e9}\u{5d0}\u{200d}\u{20ac}\u{1f600}".chars() {
            assert!(!is_acted_on(character), "{character:?}");
        }
    }
}
