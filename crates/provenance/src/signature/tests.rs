//! Bundles, good and bad.
