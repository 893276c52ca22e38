//! Decoder-only language models with a TinyLoRA adapter.
