//! `tlora convert`, as a user has it: the file, the report, and what is left behind when it fails.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use serde_json::Value;
use support::Scratch;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/convert/tests/golden");

/// Runs a conversion of a golden checkpoint.
fn convert(scratch: &Scratch, case: &str, base: &str, more: &[&str]) -> support::Ended {
    let checkpoint = format!("{GOLDEN}/{case}/checkpoint");
    let base = format!("{GOLDEN}/bases/{base}");
    let arguments = ["convert", &checkpoint, "--base", &base, "-o", "out.tlora"];
    scratch.tlora(&[&arguments, more].concat())
}

#[test]
fn a_converted_file_is_written_and_described() {
    let scratch = Scratch::new();
    let ended = convert(&scratch, "peft-qwen2-f32-tied", "qwen2-f32", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "wrote out.tlora: 107 bytes, 14 modules in 1 group of 1 number\n"
    );
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [source, basis, projections, largest] = lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        [source, basis, projections],
        [
            "source            PEFT TinyLoRA of peft 0.21.2, 8316 bytes",
            "basis             exact, 9 negated columns",
            "projections       torch, a seed for each module from 42 on, equal to the stored ones",
        ]
    );
    assert!(largest.ends_with("at most 1.0e-3 is allowed"), "{largest}");
    assert_eq!(
        fs_err::metadata(scratch.path("out.tlora")).unwrap().len(),
        107
    );
}

#[test]
fn the_report_has_every_module_and_the_largest_residual() {
    let scratch = Scratch::new();
    let options = ["--json", "--quiet", "--precision", "bf16"];
    let ended = convert(&scratch, "peft-qwen2-f32-tied", "qwen2-f32", &options);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let modules = report["residual"]["modules"].as_array().unwrap();
    assert_eq!(modules.len(), 14);
    let residuals = modules
        .iter()
        .map(|module| module["residual"].as_f64().unwrap());
    let largest = report["residual"]["largest"]["residual"].as_f64();
    assert_eq!(largest, residuals.max_by(f64::total_cmp));
    assert!(modules[0]["residual_with_rounding_of_v"].is_f64());
    assert_eq!(report["source"]["kind"], "peft-tinylora");
    assert_eq!(report["file"]["bytes"], 105);
}

#[test]
fn a_converted_file_can_be_merged_and_shown() {
    let scratch = Scratch::new();
    for (case, base) in [("peft-gpt2-bf16", "gpt2-bf16"), ("xs-f32", "flat-f32")] {
        assert_eq!(convert(&scratch, case, base, &["--force"]).code, Some(0));
        scratch.done(&["inspect", "out.tlora"]);
        let base = format!("{GOLDEN}/bases/{base}");
        scratch.done(&[
            "merge",
            &base,
            "out.tlora",
            "-o",
            "merged",
            "--dtype",
            "f32",
            "--force",
        ]);
    }
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let scratch = Scratch::new();
    for (case, base, code) in [
        ("peft-0.19.1-unsaved", "qwen2-f32", 1),
        ("xs-random", "flat-f32", 1),
        ("peft-qwen2-bf16", "qwen2-f32", 1),
        ("peft-qwen2-bf16", "nowhere", 2),
        ("nowhere", "qwen2-f32", 2),
    ] {
        let ended = convert(&scratch, case, base, &["--no-cache"]);
        assert_eq!(ended.code, Some(code), "{case}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
        let left: Vec<_> = fs_err::read_dir(scratch.path(".")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn an_existing_file_stays_unless_it_is_forced() {
    let scratch = Scratch::new();
    fs_err::write(scratch.path("out.tlora"), "precious").unwrap();
    let refused = convert(&scratch, "xs-f32", "flat-f32", &[]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(
        fs_err::read(scratch.path("out.tlora")).unwrap(),
        b"precious"
    );
    assert_eq!(
        convert(&scratch, "xs-f32", "flat-f32", &["--force"]).code,
        Some(0)
    );
    assert_eq!(
        fs_err::metadata(scratch.path("out.tlora")).unwrap().len(),
        237
    );
}

#[test]
fn a_limit_is_a_number_above_zero() {
    let scratch = Scratch::new();
    for limit in ["0", "-1", "nan", "inf", "small"] {
        let option = format!("--max-residual={limit}");
        assert_eq!(
            convert(&scratch, "xs-f32", "flat-f32", &[&option]).code,
            Some(2),
            "{limit}"
        );
    }
}
