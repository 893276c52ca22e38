//! Any bytes are an adapter that is written back as the same bytes, or an error.
#![cfg_attr(fuzzing, no_main)]

tlora_fuzz::target!(tlora_fuzz::readers::adapter);
