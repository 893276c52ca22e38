//! Any bytes are a policy, always the same, or an error.
#![cfg_attr(fuzzing, no_main)]

tlora_fuzz::target!(tlora_fuzz::readers::policy);
