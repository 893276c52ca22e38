//! Any bytes are a safetensors file whose tensors fill it without gap or overlap, or an error.
#![cfg_attr(fuzzing, no_main)]

tlora_fuzz::target!(tlora_fuzz::readers::checkpoint);
