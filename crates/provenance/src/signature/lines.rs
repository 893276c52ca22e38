//! Files with several bundles, one a line: `.sigstore.jsonl` and `.intoto.jsonl`.

use super::{Bundle, BundleError};

/// The bundles of a file, and the lines that are none.
#[derive(Debug)]
pub struct BundleLines {
    /// The bundles, in order, with the numbers of their lines from 1.
    pub bundles: Vec<(usize, Bundle)>,
    /// The lines that are no bundles and not empty, and why. They neither help nor hurt.
    pub ignored: Vec<(usize, BundleError)>,
}

impl Bundle {
    /// Reads a file with a bundle a line. Other lines may stand in it.
    ///
    /// # Errors
    /// If the file is longer than [`SIZE_LIMIT`](Self::SIZE_LIMIT).
    pub fn parse_lines(bytes: &[u8]) -> Result<BundleLines, BundleError> {
        if bytes.len() > Self::SIZE_LIMIT {
            return Err(BundleError::TooLarge {
                found: bytes.len(),
                limit: Self::SIZE_LIMIT,
            });
        }
        let mut lines = BundleLines {
            bundles: Vec::new(),
            ignored: Vec::new(),
        };
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match Self::parse(line) {
                Ok(bundle) => lines.bundles.push((index + 1, bundle)),
                Err(error) => lines.ignored.push((index + 1, error)),
            }
        }
        Ok(lines)
    }
}
