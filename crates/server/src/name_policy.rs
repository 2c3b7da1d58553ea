//! Which field names reach the application. With CGI's variables, and with what frameworks make of names, `X_Real_IP`
//! would be taken for `X-Real-IP`, which a proxy in front believes to have cleaned.

use std::sync::{Mutex, PoisonError};

use proto::Violation;
use settings::{Config, HeaderMap};

/// Of so many names the log is told in one process. Clients choose names, and could fill it.
const TOLD_AT_MOST: usize = 16;
/// Those names.
static TOLD: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// What is done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It goes to the application.
    Pass,
    /// It is left out.
    Drop,
    /// The request is refused.
    Refuse,
}

/// What is done with the fields of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    from_trusted: Rule,
    from_others: Rule,
}

impl Rules {
    /// Whether such a field goes to the application; `trusted` says that a trusted peer has sent it.
    ///
    /// # Errors
    /// The request has to be refused.
    pub fn pass(self, trusted: bool) -> Result<bool, Violation> {
        let rule = match trusted {
            true => self.from_trusted,
            false => self.from_others,
        };
        match rule {
            Rule::Pass => Ok(true),
            Rule::Drop => Ok(false),
            Rule::Refuse => Err(Violation::UnderscoreInName),
        }
    }
}

/// The part of the settings that concerns names.
#[derive(Debug, Clone)]
pub struct NamePolicy {
    /// `header_map`.
    underscores: HeaderMap,
    /// `forwarder_headers`, upper-case.
    forwarder: Vec<String>,
}

/// Says that a field was left out, once for each name: a developer who misses it would look for it in vain.
pub fn tell_dropped(name: &[u8]) {
    // `Proxy` is no setting's doing.
    if !name.contains(&b'_') {
        return;
    }
    // Not held while the line is logged, which may run code of the operator's.
    let news = is_news(
        &mut TOLD.lock().unwrap_or_else(PoisonError::into_inner),
        name,
    );
    if news {
        log::warn!(
            "header_map: the field {} is not passed to the application, because its name has an underscore; \
             forwarder_headers or header_map may allow it (this is said once for a name)",
            name.escape_ascii()
        );
    }
}

/// Whether `name` is none of those `told`; it is one of them then.
fn is_news(told: &mut Vec<Box<[u8]>>, name: &[u8]) -> bool {
    let known = told.iter().any(|known| known.eq_ignore_ascii_case(name));
    if known || told.len() >= TOLD_AT_MOST {
        return false;
    }
    told.push(name.into());
    true
}

impl NamePolicy {
    /// The policy of the settings.
    pub fn of(config: &Config) -> NamePolicy {
        NamePolicy {
            underscores: config.header_map,
            forwarder: config.forwarder_headers.clone(),
        }
    }

    /// Whether a trusted peer may send this name.
    pub fn passes_from_trusted(&self, name: &[u8]) -> bool {
        self.rules(name).from_trusted == Rule::Pass
    }

    /// What is done with the fields of this name.
    pub fn rules(&self, name: &[u8]) -> Rules {
        let everywhere = |rule| Rules {
            from_trusted: rule,
            from_others: rule,
        };
        if name.eq_ignore_ascii_case(b"Proxy") {
            // `HTTP_PROXY` is what HTTP clients take for the operator's own proxy setting (CVE-2016-5385, "httpoxy").
            return everywhere(Rule::Drop);
        }
        if !name.contains(&b'_') {
            return everywhere(Rule::Pass);
        }
        let rules = everywhere(match self.underscores {
            HeaderMap::Drop => Rule::Drop,
            HeaderMap::Refuse => Rule::Refuse,
            HeaderMap::Dangerous => Rule::Pass,
        });
        let is_listed =
            |allowed: &String| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(name);
        match self.forwarder.iter().any(is_listed) {
            true => Rules {
                from_trusted: Rule::Pass,
                ..rules
            },
            false => rules,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_of_once_and_not_without_end() {
        let mut told = Vec::new();
        assert!(is_news(&mut told, b"X_User"));
        assert!(!is_news(&mut told, b"x_user"));
        let news = |number: usize| is_news(&mut told, format!("X_{number}").as_bytes());
        assert_eq!(
            (0..100).map(news).filter(|news| *news).count(),
            TOLD_AT_MOST - 1
        );
    }

    #[test]
    fn underscores_pass_only_where_the_settings_say_so() {
        let check = |underscores, name: &str, from_trusted, from_others| {
            let policy = NamePolicy {
                underscores,
                forwarder: vec!["SCRIPT_NAME".to_owned()],
            };
            let expected = Rules {
                from_trusted,
                from_others,
            };
            assert_eq!(policy.rules(name.as_bytes()), expected, "{name}");
        };
        check(HeaderMap::Drop, "X_A", Rule::Drop, Rule::Drop);
        check(HeaderMap::Refuse, "X_A", Rule::Refuse, Rule::Refuse);
        check(HeaderMap::Dangerous, "X_A", Rule::Pass, Rule::Pass);
        check(HeaderMap::Drop, "script_name", Rule::Pass, Rule::Drop);
        check(HeaderMap::Refuse, "Script-Name", Rule::Pass, Rule::Pass);
        check(HeaderMap::Dangerous, "proxy", Rule::Drop, Rule::Drop);
    }
}
