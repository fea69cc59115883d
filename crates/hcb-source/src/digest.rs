//! Digests in names.

use sha2::{Digest, Sha256};

/// The first `digits` hexadecimal digits of the SHA-256 of a text; at most 64.
pub fn short(text: &str, digits: usize) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    Sha256::digest(text)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .take(digits)
        .map(|digit| char::from(HEX[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_short_digest_is_the_start_of_the_whole_one() {
        assert_eq!(super::short("abc", 8), "ba7816bf");
    }
}
