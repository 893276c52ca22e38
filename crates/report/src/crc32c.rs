//! CRC-32C (Castagnoli), and the mask that the framing of records puts over it.

const TABLE: [u32; 256] = table();

#[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0x82f6_3b78 * (value & 1));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// The checksum.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |value: u32, &byte: &u8| {
        let [low, ..] = value.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ (value >> 8)
    };
    !bytes.iter().fold(!0, step)
}

/// The checksum as it stands in a file: a checksum of data that has checksums in it would be a weak one.
pub(crate) fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_values_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b""), 0);
    }
}
