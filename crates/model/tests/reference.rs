//! Logits of small random models of every family against transformers (`golden/make.py`).
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use serde::Deserialize;
use support::{cases, checkpoint, golden};
use tlora_model::{Compute, Decoder};

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<Vec<u32>>,
    logits: Vec<Vec<Vec<f64>>>,
}

#[test]
fn logits_are_those_of_transformers() {
    let all = cases("")
        .into_iter()
        .filter(|name| !name.starts_with("gradient"));
    let mut count = 0;
    for case in all {
        let file = golden().join(&case).join("expected.json");
        let expected: Expected = serde_json::from_slice(&fs_err::read(file).unwrap()).unwrap();
        let decoder = Decoder::load(&checkpoint(&case), Compute::F32, |_| ()).unwrap();
        for (tokens, logits) in expected.tokens.iter().zip(&expected.logits) {
            let found = decoder.sequence_logits(tokens, None).unwrap();
            let wanted: Vec<f64> = logits.concat();
            assert_eq!(found.len(), wanted.len(), "{case}");
            let pairs = found.iter().zip(&wanted);
            let worst = pairs.fold(0.0, |worst: f64, (a, b)| {
                worst.max((f64::from(*a) - b).abs())
            });
            assert!(worst < 1e-4, "{case}: logits differ by {worst}");
        }
        count += 1;
    }
    assert!(count >= 10, "{count} models only");
}
