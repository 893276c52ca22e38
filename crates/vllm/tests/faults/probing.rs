//! What servers are and can do.

use tlora_vllm::{Fleet, Need, SyncPath};

use crate::given::{need, settings};
use crate::mock::{Mock, Setup};

fn probe(setups: Vec<Setup>, need: &Need) -> Result<(SyncPath, String), String> {
    let mocks: Vec<Mock> = setups.into_iter().map(Mock::new).collect();
    let mut settings = settings(&mocks.iter().collect::<Vec<_>>());
    settings.servers = mocks.iter().map(|mock| format!("{}/", mock.url)).collect();
    match Fleet::connect(&settings, need) {
        Ok((fleet, probe)) => {
            assert_eq!(fleet.path(), probe.path);
            Ok((probe.path, hide(&probe.line, &mocks)))
        }
        Err(error) => Err(hide(&error.to_string(), &mocks)),
    }
}

fn hide(text: &str, mocks: &[Mock]) -> String {
    let urls = mocks.iter().zip(["A", "B"]);
    urls.fold(text.to_owned(), |text, (mock, name)| {
        text.replace(&mock.url, name)
    })
}

fn merged() -> Need {
    Need {
        merged: true,
        ..need()
    }
}

#[test]
fn adapters_are_the_first_choice() {
    let (path, line) = probe(vec![Setup::default(), Setup::default()], &merged()).unwrap();
    assert_eq!(path, SyncPath::Adapter);
    assert_eq!(
        line,
        "2 vLLM servers (0.32.0), model base: weights are sent as adapters, which all of them load while they run"
    );
}

#[test]
fn merged_checkpoints_are_the_second() {
    let developer = Setup {
        developer: true,
        ..Setup::default()
    };
    let plain = Setup {
        lora: false,
        ..developer.clone()
    };
    let (path, line) = probe(vec![developer.clone(), plain.clone()], &merged()).unwrap();
    assert_eq!(path, SyncPath::Merged);
    assert!(
        line.ends_with("weights are sent as merged checkpoints, because B takes no adapters (it was started without --enable-lora)"),
        "{line}"
    );
    let text = probe(vec![developer, plain], &need()).unwrap_err();
    assert!(
        text.starts_with(
            "weights cannot reach B: it was started without --enable-lora. Start it with"
        ),
        "{text}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let locked = Setup {
        updating: false,
        ..Setup::default()
    };
    let text = probe(vec![Setup::default(), locked], &need()).unwrap_err();
    assert!(
        text.starts_with(
            "weights cannot reach B: it was started without VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
        ),
        "{text}"
    );
    let small = Setup {
        developer: true,
        max_lora_rank: 1,
        ..Setup::default()
    };
    let text = probe(vec![small], &need()).unwrap_err();
    assert_eq!(
        text,
        "A takes adapters up to rank 1, not 2 (--max-lora-rank)"
    );
}

#[test]
fn the_base_alone_needs_nothing() {
    let locked = Setup {
        updating: false,
        ..Setup::default()
    };
    let base = Need {
        adapter_rank: None,
        ..need()
    };
    assert_eq!(probe(vec![locked], &base).unwrap().0, SyncPath::Fixed);
}

#[test]
fn more_engines_than_one_are_refused() {
    for developer in [false, true] {
        let wide = Setup {
            engines: 4,
            developer,
            ..Setup::default()
        };
        let text = probe(vec![Setup::default(), wide], &need()).unwrap_err();
        assert!(
            text.starts_with(
                "B has 4 engines (--data-parallel-size): an adapter would reach one of them only"
            ),
            "{text}"
        );
    }
}

#[test]
fn a_router_is_refused() {
    let router = Setup {
        version: false,
        ..Setup::default()
    };
    let text = probe(vec![router], &need()).unwrap_err();
    assert!(
        text.starts_with("A does not say which vLLM it is: a router or another server."),
        "{text}"
    );
}

#[test]
fn all_have_to_have_one_model() {
    let other = Setup {
        model: "other",
        ..Setup::default()
    };
    let text = probe(vec![Setup::default(), other], &need()).unwrap_err();
    assert_eq!(
        text,
        "B serves [\"other\"], not \"base\" (--served-model-name)"
    );
}

#[test]
fn processed_log_probs_are_found_out() {
    let need = Need {
        processed: true,
        ..need()
    };
    let processed = Setup {
        processed: true,
        ..Setup::default()
    };
    probe(vec![processed.clone()], &need).unwrap();
    let text = probe(vec![processed, Setup::default()], &need).unwrap_err();
    assert!(
        text.starts_with("B gives log-probabilities before temperature, top_p and top_k"),
        "{text}"
    );
}

#[test]
fn servers_are_there_and_different() {
    let mock = Mock::new(Setup::default());
    for mocks in [vec![], vec![&mock, &mock]] {
        let text = Fleet::connect(&settings(&mocks), &need())
            .unwrap_err()
            .to_string();
        assert_eq!(text, "there are no servers, or one is named twice");
    }
    let mut named = settings(&[&mock]);
    named.name = "../run".to_owned();
    let text = Fleet::connect(&named, &need()).unwrap_err().to_string();
    assert!(
        text.starts_with("\"../run\" is no name for adapters"),
        "{text}"
    );
    mock.kill();
    let text = Fleet::connect(&settings(&[&mock]), &need())
        .unwrap_err()
        .to_string();
    assert!(text.contains("gave no whole answer to /health"), "{text}");
}
