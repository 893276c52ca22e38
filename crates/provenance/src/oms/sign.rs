//! Signing one file.

use serde_json::Value;

use super::predicate::{Predicate, root_digest};
use super::{OmsError, PREDICATE_TYPE};
use crate::{KeyType, PrivateKey, Statement, Subject};

/// Signs a file by its name and SHA-256: a bundle as one line of JSON, with a newline.
///
/// # Errors
/// If the key is not of P-256, the only kind of ours that the standard has.
pub fn sign(name: &str, sha256: &[u8; 32], key: &PrivateKey) -> Result<String, OmsError> {
    match key.public_key().key_type() {
        KeyType::P256 => {}
        found => return Err(OmsError::Key { found }),
    }
    let predicate = match serde_json::to_value(Predicate::of_file(sha256)) {
        Ok(Value::Object(predicate)) => predicate,
        // A struct is an object.
        _ => serde_json::Map::new(),
    };
    let subject = Subject::new(name, &root_digest(&[*sha256]));
    let statement = Statement::new(subject, PREDICATE_TYPE, predicate);
    Ok(crate::sign(&statement, key))
}
