//! The cache of a run: bases, and listings of bases seen before.

use std::path::{Path, PathBuf};

use tlora_basis::{Basis, ExactBasis};
use tlora_checkpoint::basis_cache::{
    BasisCache, BasisKey, CachedBasis, DEFAULT_MAX_BYTES, Lookup, default_directory,
};
use tlora_format::BaseDigest;

use crate::ModuleWeight;

/// A directory that may be deleted at any time; what is in it is checked before it is believed.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    bases: BasisCache,
}

impl Cache {
    /// A cache in `directory`, or in the user's directory for caches; none if there is no such directory.
    #[must_use]
    pub fn open(directory: Option<PathBuf>) -> Option<Self> {
        let directory = directory.or_else(default_directory)?;
        let bases = BasisCache::open(Some(directory.clone()), DEFAULT_MAX_BYTES)?;
        Some(Self { directory, bases })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The basis of a weight of this base, if it is there and whole.
    pub(crate) fn load(&self, base: &BaseDigest, weight: &ModuleWeight) -> Option<Basis> {
        match self.bases.load(&key(base, weight)?) {
            Lookup::Found(CachedBasis { sigma, v, .. }) => Some(Basis {
                rank: weight.rank,
                columns: weight.in_features,
                sigma,
                v,
            }),
            Lookup::Absent | Lookup::Unusable { .. } => None,
        }
    }

    /// Keeps a basis, best effort: without it the next run computes it again.
    pub(crate) fn store(&self, base: &BaseDigest, weight: &ModuleWeight, exact: &ExactBasis) {
        let Some(key) = key(base, weight) else { return };
        let Basis { sigma, v, .. } = exact.basis.clone();
        let _best_effort = self.bases.store(
            &key,
            &CachedBasis {
                sigma,
                v,
                passes: exact.passes,
            },
        );
    }
}

/// `None` for a rank that no adapter has.
fn key<'a>(base: &BaseDigest, weight: &'a ModuleWeight) -> Option<BasisKey<'a>> {
    let columns = weight.in_features as u64;
    let rank = u8::try_from(weight.rank).ok()?;
    Some(BasisKey {
        base: *base,
        module: &weight.name,
        rank,
        columns,
        transposed: weight.transposed,
    })
}
