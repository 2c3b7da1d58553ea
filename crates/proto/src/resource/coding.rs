//! Content codings (RFC 9110, sections 8.4.1 and 12.5.3): which of those that the server has a client prefers.

use crate::fields::{list_elements, trim_blanks};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// gzip (RFC 1952)
    Gzip,
    /// br (RFC 7932)
    Brotli,
    /// zstd (RFC 8878)
    Zstd,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The word for it in Content-Encoding.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What the name of a file ends with that is coded so.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        match name.len() {
            2 if is("br") => Some(Self::Brotli),
            4 if is("gzip") => Some(Self::Gzip),
            4 if is("zstd") => Some(Self::Zstd),
            // "x-gzip" is to be taken for it (RFC 9110, section 8.4.1.3).
            6 if is("x-gzip") => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// Thousandths, as many as a weight has.
type Weight = u16;

const FULL: Weight = 1000;

/// What the Accept-Encoding fields of a request say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Acceptable {
    gzip: Option<Weight>,
    brotli: Option<Weight>,
    zstd: Option<Weight>,
    identity: Option<Weight>,
    any: Option<Weight>,
}

impl Acceptable {
    /// Reads all lines of the field. Elements that break the grammar are passed over.
    #[must_use]
    pub fn read<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut acceptable = Self::default();
        for (_, value) in fields.filter(|(name, _)| name.eq_ignore_ascii_case(b"accept-encoding")) {
            for element in list_elements(value) {
                acceptable.note(element);
            }
        }
        acceptable
    }

    fn note(&mut self, element: &[u8]) {
        let mut parts = element.split(|&byte| byte == b';').map(trim_blanks);
        let name = parts.next().unwrap_or_default();
        let weight = match parts.find_map(weight_text) {
            None => Some(FULL),
            Some(text) => weight(text),
        };
        let Some(weight) = weight else { return };
        let place = match Coding::of(name) {
            Some(Coding::Gzip) => &mut self.gzip,
            Some(Coding::Brotli) => &mut self.brotli,
            Some(Coding::Zstd) => &mut self.zstd,
            None if name == b"*" => &mut self.any,
            None if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            None => return,
        };
        *place = Some(weight);
    }

    fn weight(&self, coding: Coding) -> Weight {
        let own = match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        };
        own.or(self.any).unwrap_or(0)
    }

    /// The coding of `available` that the client prefers, the first of those that it likes equally; `None` where it
    /// takes none of them or prefers the representation as it is. That is also the answer to a client that refuses even
    /// this: an answer that it may not like is of more use than 406 (RFC 9110, section 12.5.3).
    #[must_use]
    pub fn choose(&self, available: impl IntoIterator<Item = Coding>) -> Option<Coding> {
        let mut best = None;
        let mut most = 0;
        for coding in available {
            let weight = self.weight(coding);
            if weight > most {
                (best, most) = (Some(coding), weight);
            }
        }
        // A client that does not speak of identity takes it, and says nothing of how much it likes it.
        best.filter(|_| self.identity.is_none_or(|identity| most >= identity))
    }
}

/// What stands behind `q=`.
fn weight_text(parameter: &[u8]) -> Option<&[u8]> {
    match parameter {
        [b'q' | b'Q', rest @ ..] => trim_blanks(rest).strip_prefix(b"=").map(trim_blanks),
        _ => None,
    }
}

/// `0`, `1` or a fraction of three digits at most (RFC 9110, section 12.4.2).
fn weight(text: &[u8]) -> Option<Weight> {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut weight = Weight::from(whole - b'0') * FULL;
    let mut unit = FULL / 10;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += Weight::from(digit - b'0') * unit;
        unit /= 10;
    }
    (weight <= FULL).then_some(weight)
}
