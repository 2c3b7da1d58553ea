//! CRC-32C (Castagnoli), with which a header of version 2 can be protected. Headers are short and rarely have one, so
//! it is computed bit by bit.

/// The polynomial, with its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of the pieces, one behind the other.
pub(super) fn crc32c(pieces: [&[u8]; 3]) -> u32 {
    let bytes = pieces.iter().flat_map(|piece| piece.iter());
    !bytes.fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        assert_eq!(crc32c([b"1234", b"5678", b"9"]), 0xe306_9283);
        // RFC 3720, section B.4.
        assert_eq!(crc32c([&[0; 32], b"", b""]), 0x8a91_36aa);
    }
}
