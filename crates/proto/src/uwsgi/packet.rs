//! The bytes of a packet: a header of four bytes, and variables whose names and values have their length before them.

use crate::violation::Violation;

/// Modifier 1, the size of the variables (least significant byte first), modifier 2.
const HEADER: usize = 4;

/// The modifier of requests for WSGI applications.
const REQUEST: u8 = 0;

/// A packet that is whole, and of the kind that is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    block: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet at the beginning of `input`; `None` where more bytes are needed. A packet can have 65,539 bytes.
    pub(super) fn read(input: &'a [u8]) -> Result<Option<Self>, Violation> {
        if input.first().is_some_and(|modifier| *modifier != REQUEST) {
            return Err(Violation::UwsgiModifier);
        }
        let Some((&[_, low, high, _], rest)) = input.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let size = usize::from(u16::from_le_bytes([low, high]));
        Ok(rest.get(..size).map(|block| Self { block }))
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> usize {
        HEADER + self.block.len()
    }
}

impl<'a> Iterator for Packet<'a> {
    /// Name and value.
    type Item = Result<(&'a [u8], &'a [u8]), Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.block.is_empty() {
            return None;
        }
        let pair = text(self.block).and_then(|(name, rest)| {
            let (value, rest) = text(rest)?;
            self.block = rest;
            Some((name, value))
        });
        Some(pair.ok_or(Violation::UwsgiVariable))
    }
}

/// A text with its length before it, and what follows.
fn text(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&size, rest) = block.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(size)))
}
