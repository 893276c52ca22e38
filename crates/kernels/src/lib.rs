//! The arithmetic of a transformer on slices.
