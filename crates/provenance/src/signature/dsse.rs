//! DSSE envelopes: a payload, its type, and a signature over both.

/// The payload type of in-toto statements.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What is signed: the pre-authentication encoding, which keeps type and payload apart.
pub(crate) fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut encoding =
        format!("DSSEv1 {} {PAYLOAD_TYPE} {length} ", PAYLOAD_TYPE.len()).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

#[cfg(test)]
mod tests {
    use super::pre_authentication_encoding;

    #[test]
    fn encodes_as_the_dsse_protocol_says() {
        // The lengths are those of `printf application/vnd.in-toto+json | wc -c` and of the payload in UTF-8.
        let expected = b"DSSEv1 28 application/vnd.in-toto+json 5 {\xc3\xa9 }";
        assert_eq!(pre_authentication_encoding("{é }".as_bytes()), expected);
    }
}
