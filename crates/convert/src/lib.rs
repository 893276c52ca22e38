//! Adapters of other programs: LoRA-XS and PEFT TinyLoRA checkpoints in, PEFT adapters out.
#![forbid(unsafe_code)]
