//! What differs between the base that was given and the base that an adapter was made for.
//!
//! A digest alone cannot say. But a base whose digest was computed here once leaves a listing of its tensors in the
//! cache, and the commonest harmless cause, a tied output head that one tool stores and another leaves out, can be tried.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tlora_checkpoint::tmd1::{Digested, Leaf, TensorLeaf, root};
use tlora_checkpoint::{Checkpoint, Dtype, ModuleError};
use tlora_format::BaseDigest;

/// The head that many models tie to their embedding.
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "embed_tokens.weight";

/// What is known of the difference between two bases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Nothing: the adapter's base was never seen on this machine.
    Unknown,
    /// The modules that the adapter steers are not even there.
    Modules(ModuleError),
    /// Only that the output head, which is tied to the embedding, is stored in one and left out in the other.
    TiedHead {
        /// Whether the base given stores it.
        stored: bool,
    },
    /// These tensors, by name. All others are equal.
    Tensors(Vec<TensorDifference>),
}

/// How one tensor differs; `expected` is the adapter's base, `found` the one given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDifference {
    /// The tensor's name.
    pub name: String,
    /// What it is in the adapter's base, such as `BF16 [2, 3]`; none if it is not there.
    pub expected: Option<String>,
    /// What it is in the base given; the same as expected if only its values differ.
    pub found: Option<String>,
}

/// A tensor as the listing has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    leaf: Leaf,
}

impl Entry {
    fn kind(&self) -> String {
        format!("{} {:?}", self.dtype, self.shape)
    }
}

type Listing = BTreeMap<String, Entry>;

fn listing(checkpoint: &Checkpoint, digested: &Digested) -> Listing {
    let tensors = checkpoint.tensors().iter().zip(digested.leaves.values());
    let entry = |(tensor, leaf): (&tlora_checkpoint::TensorInfo, &Leaf)| Entry {
        dtype: tensor.dtype.name().to_owned(),
        shape: tensor.shape.clone(),
        leaf: *leaf,
    };
    tensors
        .map(|((name, tensor), leaf)| (name.clone(), entry((tensor, leaf))))
        .collect()
}

/// Remembers the tensors of a base, best effort: a cache that cannot be written only makes a later message shorter.
pub(crate) fn remember(cache: &Path, checkpoint: &Checkpoint, digested: &Digested) {
    let path = path(cache, &digested.digest);
    if path.exists() {
        return;
    }
    let write = || -> std::io::Result<()> {
        fs_err::create_dir_all(path.parent().unwrap_or(cache))?;
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(cache))?;
        serde_json::to_writer(&mut file, &listing(checkpoint, digested))?;
        file.persist(&path)?;
        Ok(())
    };
    let _best_effort = write();
}

fn recall(cache: &Path, digest: &BaseDigest) -> Option<Listing> {
    let listing: Listing = serde_json::from_slice(&fs_err::read(path(cache, digest)).ok()?).ok()?;
    // The listing is only a file in a cache: it counts if it has the digest that it is filed under.
    let records = listing
        .iter()
        .map(|(name, entry)| record(name, entry))
        .collect::<Option<Vec<_>>>()?;
    (root(records) == *digest).then_some(listing)
}

fn record<'a>(name: &'a str, entry: &'a Entry) -> Option<TensorLeaf<'a>> {
    let dtype = Dtype::from_name(&entry.dtype)?;
    let elements = entry
        .shape
        .iter()
        .try_fold(1_u64, |product, &dimension| product.checked_mul(dimension))?;
    Some(TensorLeaf {
        name,
        dtype,
        shape: &entry.shape,
        bytes: elements.checked_mul(dtype.size())?,
        leaf: entry.leaf,
    })
}

fn path(cache: &Path, digest: &BaseDigest) -> PathBuf {
    let text = digest.to_string();
    cache.join("bases").join(format!(
        "{}.json",
        text.strip_prefix("tmd1:").unwrap_or(&text)
    ))
}

/// What is known of the difference between a base and the one that has the digest `expected`.
pub(crate) fn difference(
    cache: Option<&Path>,
    checkpoint: &Checkpoint,
    digested: &Digested,
    expected: &BaseDigest,
) -> Difference {
    let found = listing(checkpoint, digested);
    if let Some(stored) = tied_head(&found, expected) {
        return Difference::TiedHead { stored };
    }
    match cache.and_then(|cache| recall(cache, expected)) {
        Some(expected) => Difference::Tensors(compare(&expected, &found)),
        None => Difference::Unknown,
    }
}

/// Tries whether storing or leaving out a tied head gives the digest; whether the base given stores it, if so.
fn tied_head(found: &Listing, expected: &BaseDigest) -> Option<bool> {
    let stored = found.contains_key(HEAD);
    let mut other = found.clone();
    if stored {
        other.remove(HEAD);
    } else {
        let (_, embedding) = found.iter().find(|(name, _)| name.ends_with(EMBEDDING))?;
        other.insert(HEAD.to_owned(), embedding.clone());
    }
    let records = other
        .iter()
        .map(|(name, entry)| record(name, entry))
        .collect::<Option<Vec<_>>>()?;
    (root(records) == *expected).then_some(stored)
}

fn compare(expected: &Listing, found: &Listing) -> Vec<TensorDifference> {
    let mut names: Vec<_> = expected.keys().chain(found.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&String| expected.get(*name) != found.get(*name);
    let difference = |name: &String| TensorDifference {
        name: name.clone(),
        expected: expected.get(name).map(Entry::kind),
        found: found.get(name).map(Entry::kind),
    };
    names.into_iter().filter(differs).map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dtype: &str, shape: &[u64], leaf: u8) -> Entry {
        Entry {
            dtype: dtype.to_owned(),
            shape: shape.to_vec(),
            leaf: [leaf; 32],
        }
    }

    fn digest(listing: &Listing) -> BaseDigest {
        root(
            listing
                .iter()
                .map(|(name, entry)| record(name, entry).unwrap()),
        )
    }

    #[test]
    fn names_missing_extra_and_changed_tensors() {
        let expected = Listing::from([
            ("a".to_owned(), entry("BF16", &[2], 1)),
            ("b".to_owned(), entry("BF16", &[2], 2)),
            ("c".to_owned(), entry("BF16", &[2], 3)),
        ]);
        let found = Listing::from([
            ("a".to_owned(), entry("BF16", &[2], 1)),
            ("b".to_owned(), entry("F32", &[2], 2)),
            ("d".to_owned(), entry("BF16", &[2], 3)),
        ]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            compare(&expected, &found),
            [
                TensorDifference {
                    name: "b".to_owned(),
                    expected: text("BF16 [2]"),
                    found: text("F32 [2]")
                },
                TensorDifference {
                    name: "c".to_owned(),
                    expected: text("BF16 [2]"),
                    found: None
                },
                TensorDifference {
                    name: "d".to_owned(),
                    expected: None,
                    found: text("BF16 [2]")
                },
            ]
        );
    }

    #[test]
    fn recognises_a_tied_head_in_both_directions() {
        let without = Listing::from([(
            "model.embed_tokens.weight".to_owned(),
            entry("BF16", &[4, 2], 1),
        )]);
        let mut with = without.clone();
        with.insert(HEAD.to_owned(), entry("BF16", &[4, 2], 1));
        assert_eq!(tied_head(&without, &digest(&with)), Some(false));
        assert_eq!(tied_head(&with, &digest(&without)), Some(true));
        let untied = Listing::from([(HEAD.to_owned(), entry("BF16", &[4, 2], 9))]);
        assert_eq!(tied_head(&without, &digest(&untied)), None);
    }

    #[test]
    fn a_listing_that_was_tampered_with_is_not_believed() {
        let cache = tempfile::tempdir().unwrap();
        let listing = Listing::from([("a".to_owned(), entry("BF16", &[2], 1))]);
        let digest = digest(&listing);
        let path = path(cache.path(), &digest);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, serde_json::to_vec(&listing).unwrap()).unwrap();
        assert_eq!(recall(cache.path(), &digest), Some(listing));
        let other = Listing::from([("a".to_owned(), entry("BF16", &[2], 7))]);
        fs_err::write(&path, serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(recall(cache.path(), &digest), None);
    }
}
