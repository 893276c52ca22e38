//! The checkpoints of `golden/`, which PEFT and LoRA-XS wrote, converted and compared with the ΔW that those programs have.

mod support;

use support::{Case, Outcome, case, cases, convert_case, distance, updates};
use tlora_convert::{
    BasisOrigin, ConvertError, ConvertOptions, Converted, Note, ProjectionOrigin, SourceKind,
};
use tlora_format::{Precision, TargetModules};

/// What the single-precision decomposition of the source leaves in these small cases (`peft_svd_error` in `case.json`).
const NOISE: f64 = 1e-5;

fn converted(name: &str) -> Converted {
    convert_case(&case(name), &ConvertOptions::default()).unwrap()
}

/// The largest distance of a module's ΔW from what the source's program has.
fn farthest(case: &Case, bytes: &[u8]) -> f64 {
    let (expected, found) = (case.expected(), updates(bytes, &case.base));
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>(),
        "{}",
        case.name
    );
    let distances = expected
        .iter()
        .map(|(name, wanted)| distance(wanted, &found[name]));
    distances.fold(0.0, f64::max)
}

#[test]
fn every_case_has_the_outcome_that_it_says() {
    let embedding = ConvertOptions {
        embed_basis: true,
        ..ConvertOptions::default()
    };
    for case in cases() {
        let plain = convert_case(&case, &ConvertOptions::default());
        match case.outcome {
            Outcome::Converts => {
                drop(plain.unwrap_or_else(|error| panic!("{}: {error:?}", case.name)))
            }
            Outcome::Embeds => {
                let error = plain.expect_err(&case.name);
                assert!(
                    matches!(error, ConvertError::OtherBasis { .. }),
                    "{}: {error:?}",
                    case.name
                );
                let embedded = convert_case(&case, &embedding).unwrap();
                assert_eq!(
                    embedded.report.basis.kind,
                    BasisOrigin::Explicit,
                    "{}",
                    case.name
                );
                assert!(farthest(&case, &embedded.bytes) < 1e-6, "{}", case.name);
            }
            Outcome::Refused => assert!(convert_case(&case, &embedding).is_err(), "{}", case.name),
        }
    }
}

#[test]
fn a_converted_file_makes_the_update_of_the_program_that_wrote_the_source() {
    for case in cases()
        .into_iter()
        .filter(|case| case.outcome == Outcome::Converts)
    {
        let converted = convert_case(&case, &ConvertOptions::default()).unwrap();
        let found = farthest(&case, &converted.bytes);
        println!(
            "{}: {} bytes, {found:.1e} (proved {:.1e}) {:?} {:?}",
            case.name,
            converted.bytes.len(),
            converted.report.residual.largest.residual,
            converted.report.basis,
            converted.report.projections
        );
        assert!(found < NOISE, "{}: {found:.1e}", case.name);
    }
}
