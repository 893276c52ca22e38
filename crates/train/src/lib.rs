//! GRPO training and evaluation of TinyLoRA adapters.
#![forbid(unsafe_code)]
