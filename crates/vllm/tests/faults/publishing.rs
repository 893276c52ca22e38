//! Versions: on all servers or none, verified, retired.

use std::path::Path;

use fs_err as fs;
use tempfile::TempDir;
use tlora_vllm::{Fleet, SyncError, SyncProof, Version};

use crate::given::{all, fleet, prompts, sampling, score};
use crate::mock::{Mock, Setup};

fn write(path: &Path) -> std::io::Result<()> {
    fs::write(path.join("adapter_config.json"), "{}")?;
    fs::write(path.join("adapter_model.safetensors"), "")
}

pub(crate) fn adapter() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path()).unwrap();
    directory
}

fn two(second: Setup) -> (Mock, Mock) {
    (Mock::new(Setup::default()), Mock::new(second))
}

fn text(error: &SyncError, mock: &Mock) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default()).replace(&mock.url, "B")
}

fn verify(fleet: &mut Fleet, step: u64) -> Result<bool, SyncError> {
    let proof = SyncProof {
        before: Version::Base,
        after: Version::Step(step),
        tokens: &[1, 2, 3],
        learner_before: &[-3.0, -3.5],
        learner_after: &[
            -3.0 + score(step, false) + 4.0,
            -3.5 + score(step, false) + 4.0,
        ],
        tolerance: 0.01,
    };
    Ok(fleet.verify_sync(&proof)?.iter().all(|check| check.decided))
}

#[test]
fn a_version_is_on_all_servers_and_is_what_requests_name() {
    let (a, b) = two(Setup::default());
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    let published = fleet.publish(1, directory.path()).unwrap();
    assert_eq!((published.model.as_str(), published.servers), ("run-v1", 2));
    assert_eq!(fleet.current(), Version::Step(1));
    assert!(verify(&mut fleet, 1).unwrap());
    assert!(verify(&mut fleet, 1).is_ok());
    let prompts = prompts(4, 2);
    let before = a.asked("/v1/completions").len();
    let generated = fleet
        .generate(&prompts, &sampling(), fleet.current(), &mut |_, _| {})
        .unwrap();
    assert_eq!(
        (generated.samples, generated.version),
        (all(&prompts), Version::Step(1))
    );
    assert!(
        a.asked("/v1/completions")[before..]
            .iter()
            .all(|body| body["model"] == "run-v1")
    );
    let again = fleet.publish(1, directory.path()).unwrap_err();
    assert_eq!(
        again.to_string(),
        "step 1 is published already; a name is never used twice"
    );
}

#[test]
fn a_refusal_of_one_moves_nothing() {
    let (a, b) = two(Setup {
        refuses: Some((500, "LoRA rank 16 is greater than max_lora_rank 8.")),
        ..Setup::default()
    });
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    let error = fleet.publish(1, directory.path()).unwrap_err();
    assert_eq!(
        text(&error, &b),
        "step 1 is not published, because a server refused it: the vLLM server B says 500 to /v1/load_lora_adapter, tried 1 times: \
         \"LoRA rank 16 is greater than max_lora_rank 8.\""
    );
    assert_eq!(fleet.current(), Version::Base);
    assert!(a.adapters().is_empty(), "the other unloaded it again");
    // Once that is mended, the same step can be published.
    b.setup.lock().unwrap().refuses = None;
    fleet.publish(1, directory.path()).unwrap();
    assert_eq!(fleet.current(), Version::Step(1));
}

#[test]
fn a_load_that_changes_nothing_is_an_error() {
    let (a, b) = two(Setup {
        silent: true,
        ..Setup::default()
    });
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    fleet.publish(2, directory.path()).unwrap();
    let error = verify(&mut fleet, 2).unwrap_err();
    let text = text(&error, &b);
    assert!(matches!(error, SyncError::NoEffect { .. }));
    assert!(
        text.starts_with(
            "B says that it loaded step 2 and samples as under the base: the learner's"
        ),
        "{text}"
    );
}

#[test]
fn a_load_that_is_not_listed_is_an_error() {
    let (a, b) = two(Setup {
        deaf: true,
        ..Setup::default()
    });
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    let error = fleet.publish(2, directory.path()).unwrap_err();
    let text = text(&error, &b);
    assert!(
        text.starts_with(
            "B says that it loaded \"run-v2\" and does not list it (0 of 4 times, as None)"
        ),
        "{text}"
    );
    assert_eq!(fleet.current(), Version::Base);
    assert!(a.adapters().is_empty());
}

#[test]
fn other_weights_are_an_error() {
    let mock = Mock::new(Setup::default());
    let mut fleet = fleet(&[&mock]);
    let directory = adapter();
    fleet.publish(1, directory.path()).unwrap();
    let mut proof = SyncProof {
        before: Version::Base,
        after: Version::Step(1),
        tokens: &[1, 2, 3],
        learner_before: &[-3.0, -3.5],
        learner_after: &[-3.25, -3.75],
        tolerance: 0.01,
    };
    let error = fleet.verify_sync(&proof).unwrap_err();
    assert!(
        matches!(
            error,
            SyncError::Differs {
                difference: 0.5,
                ..
            }
        ),
        "{error}"
    );
    // A learner that did not move proves nothing, and says so.
    proof.learner_after = proof.learner_before;
    proof.after = Version::Base;
    let checks = fleet.verify_sync(&proof).unwrap();
    assert!(!checks[0].decided);
    proof.learner_after = &[-3.0];
    assert!(matches!(
        fleet.verify_sync(&proof).unwrap_err(),
        SyncError::Learner { .. }
    ));
    let scores = fleet.scores(Version::Step(1), &[1, 2, 3]).unwrap();
    assert_eq!(scores, [(mock.url.clone(), vec![-3.75, -3.75])]);
}

#[test]
fn a_server_that_dies_after_it_loaded_is_given_up() {
    let (a, b) = two(Setup::default());
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    fleet.publish(1, directory.path()).unwrap();
    let proof = SyncProof {
        before: Version::Base,
        after: Version::Step(1),
        tokens: &[1, 2, 3],
        learner_before: &[-3.0, -3.5],
        learner_after: &[-2.75, -3.25],
        tolerance: 0.01,
    };
    b.kill();
    let checks = fleet.verify_sync(&proof).unwrap();
    assert_eq!((checks.len(), &checks[0].url), (1, &a.url));
    assert_eq!(fleet.lost().count(), 1);
    a.kill();
    let error = fleet.verify_sync(&proof).unwrap_err();
    assert!(matches!(error, SyncError::AllDown { .. }), "{error}");
}

#[test]
fn a_server_that_is_away_comes_back_with_a_version() {
    let (a, b) = two(Setup::default());
    let mut fleet = fleet(&[&a, &b]);
    let directory = adapter();
    b.kill();
    let published = fleet.publish(1, directory.path()).unwrap();
    assert_eq!((published.servers, published.lost.len()), (1, 1));
    b.restart();
    let published = fleet.publish(2, directory.path()).unwrap();
    assert_eq!(
        (published.servers, published.back.as_slice()),
        (2, &[b.url.clone()][..])
    );
    // It does not have the older version, so the other draws all of it.
    let prompts = prompts(4, 2);
    let generated = fleet
        .generate(&prompts, &sampling(), Version::Step(1), &mut |_, _| {})
        .unwrap();
    assert_eq!(generated.samples, all(&prompts));
    assert_eq!(generated.servers[1].samples, 0);
    a.kill();
    b.kill();
    let error = fleet.publish(3, directory.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("start the servers again, then resume"),
        "{error}"
    );
    assert_eq!(fleet.current(), Version::Step(2));
}

#[test]
fn old_versions_are_unloaded_and_removed_one_call_later() {
    let (a, b) = two(Setup::default());
    let mut fleet = fleet(&[&a, &b]);
    let place = tempfile::tempdir().unwrap();
    let mut removed = Vec::new();
    for step in 1..=4 {
        let directory = place.path().join(fleet.model_of(step));
        fs_err::create_dir(&directory).unwrap();
        write(&directory).unwrap();
        fleet.publish(step, &directory).unwrap();
        let retired = fleet.retire(2);
        assert_eq!(retired.problems, Vec::<String>::new());
        removed.push((retired.unloaded, retired.removed.len()));
    }
    assert_eq!(
        removed,
        [(vec![], 0), (vec![], 0), (vec![1], 0), (vec![2], 1)]
    );
    assert_eq!(a.adapters(), ["run-v3", "run-v4"]);
    assert_eq!(b.adapters(), a.adapters());
    let left = [1, 2, 3, 4].map(|step| place.path().join(format!("run-v{step}")).exists());
    assert_eq!(left, [false, true, true, true]);
    fleet.close();
    assert_eq!(fs_err::read_dir(place.path()).unwrap().count(), 0);
    assert!(a.adapters().is_empty() && b.adapters().is_empty());
}

#[test]
fn what_is_no_adapter_is_not_sent() {
    let mock = Mock::new(Setup::default());
    let mut fleet = fleet(&[&mock]);
    let empty = tempfile::tempdir().unwrap();
    let before = mock.asked("/v1/load_lora_adapter").len();
    let error = fleet.publish(1, empty.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no adapter_config.json and adapter_model.safetensors"),
        "{error}"
    );
    assert_eq!(mock.asked("/v1/load_lora_adapter").len(), before);
}
