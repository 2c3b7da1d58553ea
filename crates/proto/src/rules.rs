//! How the rules that a peer can break are written down: one table for each protocol, with the answer that each rule
//! gets.

/// Declares the rules as one table, so that a rule without answer, section or sentence cannot exist. The one member of
/// the head names the answer (a status, a close code) and says how the docs speak of it; each line of the table is a
/// variant, its answer, where the rule stands, and the sentence, which echoes nothing of the input.
macro_rules! rules {
    (
        $(#[$doc:meta])*
        pub enum $Rules:ident {
            $(#[$answer_doc:meta])*
            $answer:ident: $answered:literal,
        }
        $($name:ident, $value:literal, $section:literal, $rule:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $Rules {
            $(
                #[doc = $rule]
                #[doc = ""]
                #[doc = concat!($answered, " ", stringify!($value), "; ", $section, ".")]
                $name,
            )+
        }

        impl $Rules {
            /// All rules, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The variant's name, as the vectors and the logs spell it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            $(#[$answer_doc])*
            #[must_use]
            pub fn $answer(self) -> u16 {
                match self {
                    $(Self::$name => $value,)+
                }
            }

            /// Where the rule stands, as "RFC 9112, section 6.3".
            #[must_use]
            pub fn section(self) -> &'static str {
                match self {
                    $(Self::$name => $section,)+
                }
            }

            /// One sentence that says which rule was broken and echoes nothing of the input.
            #[must_use]
            pub fn rule(self) -> &'static str {
                match self {
                    $(Self::$name => $rule,)+
                }
            }
        }

        impl std::fmt::Display for $Rules {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({})", self.rule(), self.section())
            }
        }

        impl std::error::Error for $Rules {}
    };
}

pub(crate) use rules;
