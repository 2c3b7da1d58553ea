//! Masking (RFC 6455, section 5.3): every byte that a client sends is XORed with a key of four bytes, which repeats.

/// The key of one frame, turned so that its first byte belongs to the next byte of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask {
    key: [u8; 4],
}

impl Mask {
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Takes the mask off the next bytes of the payload. Words of eight bytes, which the compiler makes into vectors.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let half = u64::from(u32::from_ne_bytes(self.key));
        let word = half << 32 | half;
        let turn = bytes.len() % self.key.len();
        let mut words = bytes.chunks_exact_mut(8);
        for chunk in &mut words {
            if let Ok(masked) = <[u8; 8]>::try_from(&*chunk) {
                chunk.copy_from_slice(&(u64::from_ne_bytes(masked) ^ word).to_ne_bytes());
            }
        }
        for (byte, key) in words
            .into_remainder()
            .iter_mut()
            .zip(self.key.iter().cycle())
        {
            *byte ^= key;
        }
        self.key.rotate_left(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_on_where_the_last_piece_ended() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let plain: Vec<u8> = (0..=255).collect();
        let masked: Vec<u8> = plain
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        for first in 0..30 {
            for second in 0..30 {
                let mut bytes = masked.clone();
                let mut mask = Mask::new(key);
                let (one, rest) = bytes.split_at_mut(first);
                let (two, three) = rest.split_at_mut(second);
                mask.apply(one);
                mask.apply(two);
                mask.apply(three);
                assert_eq!(bytes, plain, "{first} {second}");
            }
        }
    }
}
