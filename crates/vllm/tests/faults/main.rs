//! The client against a server in the test that speaks vLLM's shapes, and breaks in every way that servers break.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod answers;
mod generating;
mod merged;
mod mock;
mod probing;
mod publishing;
