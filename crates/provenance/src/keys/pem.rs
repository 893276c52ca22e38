//! Finding the block of a key in a PEM file.

use super::KeyError;

/// The label of the first block that is no curve parameters, and the text from there on.
///
/// `openssl ecparam -genkey` writes `EC PARAMETERS` before the key.
pub(super) fn find(text: &str) -> Result<(&str, &str), KeyError> {
    let mut rest = text;
    loop {
        let start = rest.find(BEGIN).ok_or(KeyError::Pem)?;
        rest = rest.get(start..).ok_or(KeyError::Pem)?;
        let after = rest.strip_prefix(BEGIN).ok_or(KeyError::Pem)?;
        let (label, body) = after.split_once("-----").ok_or(KeyError::Pem)?;
        if label != "EC PARAMETERS" {
            return Ok((label, rest));
        }
        rest = body;
    }
}

const BEGIN: &str = "-----BEGIN ";
