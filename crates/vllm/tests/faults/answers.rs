//! Answers of one server: what is tried again, and what each fault is called.

use std::time::Duration;

use serde_json::{Value, json};
use tlora_vllm::{Connect, Server};

use crate::given::{connect, foretold, sampling};
use crate::mock::{Mock, Reaction, Setup};

const PROMPT: [u32; 2] = [7, 9];

/// The sample, or the error without the address.
fn sample(mock: &Mock, model: &str, connect: &Connect) -> Result<(), String> {
    let server = Server::new(&mock.url, connect).unwrap();
    match server.sample(model, &PROMPT, &sampling(), 4) {
        Ok(sample) => {
            assert_eq!(sample, foretold(&PROMPT, 4, 6));
            Ok(())
        }
        Err(error) => {
            let text = error.to_string();
            let start = format!("the vLLM server {} ", mock.url);
            Err(text.strip_prefix(&start).unwrap().to_owned())
        }
    }
}

fn with(reactions: impl IntoIterator<Item = Reaction>) -> Result<(), String> {
    let mock = Mock::new(Setup::default());
    mock.react(reactions);
    sample(&mock, "base", &connect())
}

fn changed(change: fn(&mut Value)) -> String {
    with([Reaction::Change(change)]).unwrap_err()
}

#[test]
fn a_sample_is_what_the_server_drew() {
    with([]).unwrap();
}

#[test]
fn every_field_is_sent() {
    let mock = Mock::new(Setup::default());
    sample(&mock, "base", &connect()).unwrap();
    let wanted = json!({
        "model": "base", "prompt": [7, 9], "n": 1, "max_tokens": 6, "temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": 4, "stop_token_ids": [2],
        "ignore_eos": true, "logprobs": 0, "return_token_ids": true, "stream": false,
    });
    assert_eq!(mock.asked("/v1/completions"), [wanted]);
}

#[test]
fn broken_answers_are_asked_for_again() {
    let broken = "EngineCore encountered an issue.";
    with([Reaction::Say(500, broken), Reaction::Say(503, broken)]).unwrap();
    with([Reaction::TruncatedJson, Reaction::Reset]).unwrap();
    with([Reaction::Change(|answer| {
        answer["choices"][0]["finish_reason"] = json!("abort");
    })])
    .unwrap();
}

#[test]
fn what_stays_broken_is_told_with_the_number_of_tries() {
    let fault = |reaction: Reaction| with(vec![reaction; 3]).unwrap_err();
    assert_eq!(
        fault(Reaction::Say(500, "EngineDeadError")),
        "says 500 to /v1/completions, tried 3 times: \"EngineDeadError\""
    );
    let text = fault(Reaction::TruncatedJson);
    assert!(
        text.starts_with(
            "gave an answer to /v1/completions that is not its JSON, tried 3 times: EOF"
        ),
        "{text}"
    );
    let text = fault(Reaction::Reset);
    assert!(
        text.starts_with("gave no whole answer to /v1/completions, tried 3 times: "),
        "{text}"
    );
}

#[test]
fn a_server_may_be_slow_but_not_too_slow() {
    with([Reaction::Slow(Duration::from_millis(200))]).unwrap();
    let mock = Mock::new(Setup::default());
    mock.react([Reaction::Slow(Duration::from_secs(20))]);
    let hasty = Connect {
        sample_timeout: Duration::from_millis(100),
        ..connect()
    };
    let text = sample(&mock, "base", &hasty).unwrap_err();
    assert_eq!(text, "gave no answer to /v1/completions within 0.1 s");
    assert_eq!(mock.asked("/v1/completions").len(), 1);
}

#[test]
fn a_refusal_is_not_asked_again() {
    let mock = Mock::new(Setup::default());
    mock.react([Reaction::Say(400, "max_tokens is too large")]);
    let text = sample(&mock, "base", &connect()).unwrap_err();
    assert_eq!(
        text,
        "says 400 to /v1/completions, tried 1 times: \"max_tokens is too large\""
    );
    assert_eq!(mock.asked("/v1/completions").len(), 1);
}

#[test]
fn another_model_is_refused() {
    let mock = Mock::new(Setup::default());
    let text = sample(&mock, "run-v1", &connect()).unwrap_err();
    assert_eq!(
        text,
        "does not serve \"run-v1\": \"The model `run-v1` does not exist.\""
    );
    let text = changed(|answer| answer["model"] = json!("other"));
    assert_eq!(
        text,
        "answered with the model \"other\" where \"base\" was asked for"
    );
}

#[test]
fn missing_numbers_are_refused() {
    let text = changed(|answer| answer["choices"][0]["logprobs"] = Value::Null);
    assert_eq!(text, "gave no log-probabilities");
    let text =
        changed(|answer| answer["choices"][0]["logprobs"]["token_logprobs"][1] = Value::Null);
    assert_eq!(
        text,
        "gave no log-probability for token 2 of 4, or one that cannot be (none)"
    );
    let text = changed(|answer| answer["choices"][0]["logprobs"]["token_logprobs"][0] = json!(0.5));
    assert_eq!(
        text,
        "gave no log-probability for token 1 of 4, or one that cannot be (0.5)"
    );
    let text = changed(|answer| answer["choices"][0]["token_ids"] = Value::Null);
    assert!(text.starts_with("gave no token ids"), "{text}");
    let text = changed(|answer| answer["choices"] = json!([]));
    assert_eq!(text, "gave 0 choices where 1 was asked for");
}

#[test]
fn wrong_counts_are_refused() {
    let text = changed(|answer| answer["choices"][0]["token_ids"] = json!([1, 2]));
    assert_eq!(
        text,
        "gave 2 tokens, 4 log-probabilities and counts 4, of at most 6"
    );
    let text = changed(|answer| answer["usage"]["completion_tokens"] = json!(5));
    assert_eq!(
        text,
        "gave 4 tokens, 4 log-probabilities and counts 5, of at most 6"
    );
    let text = changed(|answer| answer["choices"][0]["prompt_token_ids"] = json!([7]));
    assert_eq!(
        text,
        "computed another prompt: 1 tokens came back, 2 were sent, or some differ"
    );
    let text = changed(|answer| answer["choices"][0]["finish_reason"] = json!("length"));
    assert!(
        text.starts_with("cut a sample after 4 of 6 tokens"),
        "{text}"
    );
}

#[test]
fn other_ends_are_refused() {
    let text = changed(|answer| answer["choices"][0]["token_ids"][3] = json!(9));
    assert_eq!(
        text,
        "ended a sample with token Some(9), which is not one that ends a completion"
    );
    let text = changed(|answer| answer["choices"][0]["finish_reason"] = json!("repetition"));
    assert_eq!(text, "ended a sample because of Some(\"repetition\")");
}

#[test]
fn a_key_is_sent_and_never_shown() {
    let mock = Mock::new(Setup {
        key: Some("hidden"),
        ..Setup::default()
    });
    let text = sample(&mock, "base", &connect()).unwrap_err();
    assert!(
        text.starts_with("refuses the key (401 to /v1/completions)"),
        "{text}"
    );
    let absent = Connect {
        api_key_env: Some("TLORA_TEST_NO_SUCH_KEY".to_owned()),
        ..connect()
    };
    let text = Server::new(&mock.url, &absent).unwrap_err().to_string();
    assert!(
        text.contains("TLORA_TEST_NO_SUCH_KEY, which has none"),
        "{text}"
    );
    // A variable that every test has; its value stands for the key.
    let present = Connect {
        api_key_env: Some("CARGO_PKG_NAME".to_owned()),
        ..connect()
    };
    mock.setup.lock().unwrap().key = Some("tlora-vllm");
    sample(&mock, "base", &present).unwrap();
    let server = Server::new(&mock.url, &present).unwrap();
    assert!(!format!("{server:?}").contains("tlora-vllm"));
}

#[test]
fn an_address_is_http() {
    for url in ["localhost:8000", "ftp://a", "http://", "http://a/?key=x"] {
        let text = Server::new(url, &connect()).unwrap_err().to_string();
        assert!(
            text.ends_with("has an address that is not http://… or https://…"),
            "{text}"
        );
    }
}
