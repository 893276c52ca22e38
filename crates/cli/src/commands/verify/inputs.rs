//! What a verification reads: the adapter once, the policy, its bundles, and the trusted root.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tlora_format::{Adapter, HEADER_LENGTH, ParseError, size_limit};
use tlora_provenance::{Bundle, BundleFile, Policy};

use crate::arguments::TrustOptions;
use crate::failure::Failure;
use crate::input;

/// What is read of a file that does not even begin like an adapter.
const MAX_OTHER: u64 = 1 << 16;
/// The ends of the names of files with signatures, and whether there is one a line.
const BUNDLES: [(&str, bool); 4] = [
    (".sigstore.json", false),
    (".sigstore.jsonl", true),
    (".intoto.jsonl", true),
    (".sig", false),
];

/// An adapter's file: what is hashed is what is parsed, and what is used.
pub(crate) struct AdapterFile {
    pub(crate) bytes: Vec<u8>,
    /// Whether these are all of its bytes.
    pub(crate) whole: bool,
    pub(crate) adapter: Result<Adapter, ParseError>,
}

impl AdapterFile {
    /// Reads a file, once, and no more bytes than an adapter can have.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::try_read(path).map_err(|error| {
            Failure::unknown(format!("{} cannot be read", path.display())).caused_by(error)
        })
    }

    fn try_read(path: &Path) -> io::Result<Self> {
        let mut file = input::open_adapter(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(HEADER_LENGTH as u64)
            .read_to_end(&mut bytes)?;
        let limit = size_limit(&bytes).unwrap_or(MAX_OTHER);
        let left = (limit + 1).saturating_sub(bytes.len() as u64);
        file.take(left).read_to_end(&mut bytes)?;
        let found = bytes.len() as u64;
        let whole = found <= limit;
        let adapter = match Adapter::parse(&bytes) {
            Err(error @ (ParseError::Magic { .. } | ParseError::Version { .. })) => Err(error),
            _ if !whole => Err(ParseError::Size { found }),
            parsed => parsed,
        };
        Ok(Self {
            bytes,
            whole,
            adapter,
        })
    }
}

/// Whom to trust.
pub(crate) struct Trust {
    pub(crate) policy: Option<Policy>,
    given: Vec<PathBuf>,
    #[cfg(feature = "keyless")]
    pub(crate) root: tlora_provenance::TrustedRoot,
}

impl Trust {
    pub(crate) fn read(options: &TrustOptions) -> Result<Self, Failure> {
        let policy = options.policy.as_deref().map(|path| {
            Policy::read(path).map_err(|error| {
                Failure::unknown(format!("{} cannot be used as a policy", path.display()))
                    .caused_by(error)
                    .hint("docs/provenance.md describes policies; one that is not understood lets nothing through")
            })
        });
        Ok(Self {
            policy: policy.transpose()?,
            given: options.bundles.clone(),
            #[cfg(feature = "keyless")]
            root: root(options.trusted_root.as_deref())?,
        })
        .and_then(|trust| without_keyless(options).map(|()| trust))
    }

    /// The bundles that were given, or those beside the adapter. Without a policy none counts, and none is read.
    pub(crate) fn bundles(&self, adapter: &Path) -> Result<Vec<BundleFile>, Failure> {
        if self.policy.is_none() {
            return Ok(Vec::new());
        }
        let mut bundles = Vec::new();
        for path in &self.given {
            let lines = path
                .extension()
                .is_some_and(|extension| extension == "jsonl");
            bundles.extend(read_bundles(path, lines)?);
        }
        if self.given.is_empty() {
            for (end, lines) in BUNDLES {
                let mut name = OsString::from(adapter);
                name.push(end);
                if fs_err::symlink_metadata(&name).is_ok() {
                    bundles.extend(read_bundles(Path::new(&name), lines)?);
                }
            }
        }
        Ok(bundles)
    }
}

fn read_bundles(path: &Path, lines: bool) -> Result<Vec<BundleFile>, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One more than a bundle has, so that the reader sees that there are too many.
        input::open(path)?
            .take(Bundle::SIZE_LIMIT as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| {
        Failure::unknown(format!("{} cannot be read", path.display())).caused_by(error)
    })?;
    Ok(BundleFile::read(&path.display().to_string(), &bytes, lines))
}

#[cfg(feature = "keyless")]
fn root(path: Option<&Path>) -> Result<tlora_provenance::TrustedRoot, Failure> {
    use tlora_provenance::TrustedRoot;

    let Some(path) = path else {
        return TrustedRoot::public_good().map_err(|error| {
            Failure::unknown("the built-in trusted root cannot be used").caused_by(error)
        });
    };
    let failed = || format!("{} cannot be used as a trusted root", path.display());
    let bytes = input::read(path, Bundle::SIZE_LIMIT as u64)
        .map_err(|error| Failure::unknown(failed()).caused_by(error))?;
    TrustedRoot::from_json(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Failure::unknown(failed()).caused_by(error))
}

/// An option that would have no effect is refused.
fn without_keyless(options: &TrustOptions) -> Result<(), Failure> {
    if cfg!(feature = "keyless") || options.trusted_root.is_none() {
        return Ok(());
    }
    Err(Failure::unknown(
        "--trusted-root needs the feature keyless, which this program was built without",
    )
    .hint("install it with `cargo install --features keyless`"))
}
