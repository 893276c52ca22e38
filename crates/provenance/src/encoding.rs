//! Text for bytes: base64 and hexadecimal, each in the one spelling that is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Standard base64 with its padding and no stray bits; neither the URL alphabet nor line breaks.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Lower-case digits, two a byte.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text).ok()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::{from_base64, from_hex};

    #[test]
    fn rejects_every_second_spelling_of_base64() {
        assert_eq!(from_base64("+/8="), Some(vec![0xfb, 0xff]));
        for other in ["-_8=", "+/8", "+/9=", "+/8=\n", " +/8=", "+/8=="] {
            assert_eq!(from_base64(other), None, "{other:?}");
        }
    }

    #[test]
    fn rejects_upper_case_and_odd_hexadecimal() {
        assert_eq!(from_hex("0aff"), Some(vec![0x0a, 0xff]));
        for other in ["0AFF", "0af", "0xff", "0g"] {
            assert_eq!(from_hex(other), None, "{other:?}");
        }
    }
}
