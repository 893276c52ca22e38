//! Walks `spec/vectors/checkpoint`.
fn main() {}
