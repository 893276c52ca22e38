//! The predicate: resources with their digests, and how they were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{OmsError, PREDICATE_TYPE};
use crate::encoding::{from_hex, to_hex};
use crate::{Statement, json};

/// The name of the one resource of a model that is a single file.
pub(super) const SINGLE_FILE: &str = ".";
/// How resources are made from files: one each.
const METHOD: &str = "files";
const SHA256: &str = "sha256";

#[derive(Serialize, Deserialize)]
pub(super) struct Predicate {
    resources: Vec<Resource>,
    serialization: Serialization,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    /// What the signer left out. A verifier that leaves it out too would overlook whatever lies there.
    #[serde(default)]
    ignore_paths: Vec<String>,
}

impl Predicate {
    /// Of a single file.
    pub(super) fn of_file(sha256: &[u8; 32]) -> Self {
        Self {
            resources: vec![Resource {
                name: SINGLE_FILE.to_owned(),
                algorithm: SHA256.to_owned(),
                digest: to_hex(sha256),
            }],
            serialization: Serialization {
                method: METHOD.to_owned(),
                hash_type: SHA256.to_owned(),
                allow_symlinks: false,
                ignore_paths: Vec::new(),
            },
        }
    }
}

/// The digests of a statement's resources by their names, once they add up to its subject.
pub(super) fn resources(statement: &Statement) -> Result<BTreeMap<String, [u8; 32]>, OmsError> {
    if statement.predicate_type != PREDICATE_TYPE {
        return Err(OmsError::PredicateType {
            found: statement.predicate_type.clone(),
        });
    }
    let predicate: Predicate = json::typed(Value::Object(statement.predicate.clone()))?;
    only(
        "serialization.method",
        &predicate.serialization.method,
        METHOD,
    )?;
    only(
        "serialization.hash_type",
        &predicate.serialization.hash_type,
        SHA256,
    )?;
    let (mut resources, mut digests) = (BTreeMap::new(), Vec::new());
    for Resource {
        name,
        algorithm,
        digest,
    } in predicate.resources
    {
        only("resources[].algorithm", &algorithm, SHA256)?;
        let digest: Option<[u8; 32]> = from_hex(&digest).and_then(|bytes| bytes.try_into().ok());
        let digest = digest.ok_or_else(|| OmsError::Digest { name: name.clone() })?;
        digests.push(digest);
        if resources.insert(name.clone(), digest).is_some() {
            return Err(OmsError::Twice { name });
        }
    }
    match statement.subjects.as_slice() {
        [subject] if subject.sha256() == Some(root_digest(&digests)) => Ok(resources),
        _ => Err(OmsError::Subject),
    }
}

/// The digest that names a model of these files.
pub(super) fn root_digest(digests: &[[u8; 32]]) -> [u8; 32] {
    let mut root = Sha256::new();
    digests.iter().for_each(|digest| root.update(digest));
    root.finalize().into()
}

fn only(field: &'static str, found: &str, wanted: &'static str) -> Result<(), OmsError> {
    if found == wanted {
        Ok(())
    } else {
        Err(OmsError::Unsupported {
            field,
            found: found.to_owned(),
            wanted,
        })
    }
}
