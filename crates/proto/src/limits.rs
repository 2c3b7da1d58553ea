//! The bounds of a request head, and the licences that an operator can grant, Gunicorn's.

/// What a peer may make us hold, and which rules it may ignore. All sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line without its line ending; 0 is unlimited.
    pub request_line: usize,
    /// Most field lines of one head, and most trailer lines of one body; 0 and any number above 32768 mean 32768.
    pub fields: usize,
    /// Longest field line with its line ending, as Gunicorn counts; 0 is unlimited.
    pub field_size: usize,
    /// Accepts methods of any length with lower-case letters and `#`.
    pub unconventional_method: bool,
    /// Turns methods to upper case after they were accepted.
    pub casefold_method: bool,
    /// Accepts versions below HTTP/1.0, which then count as 1.0, and from HTTP/2.0 on, which count as 1.1.
    pub unconventional_version: bool,
    /// Accepts fields that are folded over several lines, but for those that frame or route the message.
    pub obsolete_folding: bool,
    /// Accepts blanks between a field's name and its colon, but for the same fields.
    pub space_before_colon: bool,
}

/// No head may be longer than this, even where the operator allows more: the settings may say "unlimited", memory does
/// not. 16 MiB is twenty times what the default limits add up to.
pub(crate) const HEAD_BYTES: usize = 16 << 20;

/// Most fields that can be allowed, which is Gunicorn's bound too.
const FIELDS: usize = 32768;

/// Empty lines that are skipped before a request line. RFC 9112, section 2.2 asks for "at least one", for the sake of
/// old clients that end a body with a CRLF that they did not count. More than a few is an endless stream of nothing.
pub(crate) const EMPTY_LINES: usize = 4;

impl Default for Limits {
    /// Gunicorn's defaults.
    fn default() -> Self {
        Self {
            request_line: 4094,
            fields: 100,
            field_size: 8190,
            unconventional_method: false,
            casefold_method: false,
            unconventional_version: false,
            obsolete_folding: false,
            space_before_colon: false,
        }
    }
}

impl Limits {
    /// The greatest number of fields.
    pub(crate) fn field_count(&self) -> usize {
        match self.fields {
            1..=FIELDS => self.fields,
            _ => FIELDS,
        }
    }

    /// The longest content (without line ending) of a field line.
    pub(crate) fn field_content(&self) -> usize {
        match self.field_size {
            0 => usize::MAX,
            size => size.saturating_sub(b"\r\n".len()),
        }
    }

    /// The longest content (without line ending) of a request line.
    pub(crate) fn request_line_content(&self) -> usize {
        match self.request_line {
            0 => usize::MAX,
            size => size,
        }
    }
}
