//! Any bytes are an adapter that is written back as the same bytes, or an error.
#![cfg_attr(fuzzing, no_main)]

use tlora_format::{Adapter, layout};

fn run(bytes: &[u8]) {
    let Ok(adapter) = Adapter::parse(bytes) else {
        assert!(layout(bytes).is_err(), "a file that does not parse has a layout");
        return;
    };
    assert_eq!(adapter.to_bytes(), bytes, "an accepted file is not canonical");
    let fields = layout(bytes).expect("the file parses");
    let covered: usize = fields.iter().map(|field| field.length).sum();
    assert_eq!(covered, bytes.len(), "the layout does not cover the file");
}

tlora_fuzz::target!(run);
