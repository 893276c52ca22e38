//! Checkpoint directories: what is read from them and written to them.
#![cfg(test)]

mod basis_cache;
mod companions;
mod digest;
mod files;
mod header;
mod index;
mod layout;
mod links;
mod model;
mod modules;
mod output;
mod quantised;
mod targets;
