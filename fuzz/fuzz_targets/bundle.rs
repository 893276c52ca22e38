//! Any bytes are a bundle, of which only what was signed is believed, or an error.
#![cfg_attr(fuzzing, no_main)]

tlora_fuzz::target!(tlora_fuzz::readers::bundle);
