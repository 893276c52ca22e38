//! The client against a server in the test that speaks vLLM's shapes, and breaks in every way that servers break.
#![expect(clippy::unwrap_used, reason = "a test")]

mod answers;
mod generating;
mod given;
mod merged;
mod mock;
mod probing;
mod publishing;
