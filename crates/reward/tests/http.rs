//! `http` against a server in the test: scores, failures, slowness, nonsense, redirects.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tlora_reward::{
    Answer, Http, HttpError, HttpSettings, ReplyError, RewardError, Score, Verifier,
    VerifierSettings, build,
};

/// What the server does with a request.
#[derive(Clone)]
enum Reaction {
    /// Reward 1 where the completion is the gold answer.
    Compare,
    /// A status line with its headers, and a body.
    Say(&'static str, String),
    /// Closes the connection without a word.
    HangUp,
    /// Says nothing for this long.
    Wait(Duration),
}

use Reaction::{Compare, HangUp, Say, Wait};

/// What an error has to be.
type Expected = fn(&ReplyError) -> bool;

/// A server that reacts to its requests in turn, to all after them as to the last, and keeps them.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    fn start(reactions: Vec<Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/score", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let reaction = reactions.get(number).or(reactions.last()).unwrap();
                let stream = stream.unwrap();
                let (head, body) = read(&stream);
                kept.lock().unwrap().push((head, body.clone()));
                react(stream, reaction, &body);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

fn react(mut stream: TcpStream, reaction: &Reaction, body: &Value) {
    let (head, body) = match reaction {
        Compare => ("200 OK", compare(body)),
        Say(head, body) => (*head, body.clone()),
        HangUp => return,
        Wait(time) => {
            thread::sleep(*time);
            return;
        }
    };
    let length = body.len();
    // The client may have seen enough.
    write!(
        stream,
        "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok();
}

fn compare(body: &Value) -> String {
    let answers = body["answers"].as_array().unwrap();
    let scores: Vec<Value> = answers
        .iter()
        .rev()
        .map(|answer| {
            let right = answer["completion"] == answer["gold"];
            json!({"id": answer["id"], "reward": u8::from(right)})
        })
        .collect();
    json!({ "scores": scores }).to_string()
}

fn settings(server: &Server) -> HttpSettings {
    HttpSettings {
        url: server.url.clone(),
        timeout_seconds: 20.0,
        retries: 0,
        batch: 100,
    }
}

fn answer<'a>(id: &'a str, completion: &'a str) -> Answer<'a> {
    Answer {
        id,
        question: "What is 3 + 4?",
        completion,
        gold: "7",
    }
}

fn score(settings: &HttpSettings, answers: &[Answer<'_>]) -> Result<Vec<Score>, HttpError> {
    match Http::new(settings).unwrap().score(answers) {
        Ok(scores) => Ok(scores),
        Err(RewardError::Http(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

fn rewards(settings: &HttpSettings, answers: &[Answer<'_>]) -> Vec<Option<f64>> {
    let scores = score(settings, answers).unwrap();
    scores.iter().map(|score| score.reward).collect()
}

fn error(server: &Server) -> HttpError {
    score(&settings(server), &[answer("a", "7"), answer("b", "8")]).unwrap_err()
}

fn scores(scores: &Value) -> Reaction {
    Say("200 OK", json!({ "scores": scores }).to_string())
}

#[test]
fn answers_are_posted_and_scored_in_their_order() {
    let server = Server::start(vec![Compare]);
    let answers = [answer("a", "7"), answer("b", "8"), answer("c", "7")];
    assert_eq!(
        rewards(&settings(&server), &answers),
        [Some(1.0), Some(0.0), Some(1.0)]
    );
    let requests = server.requests();
    let (head, body) = &requests[0];
    assert!(head.starts_with("POST /score HTTP/1.1\r\n"), "{head}");
    assert!(
        head.to_lowercase()
            .contains("content-type: application/json"),
        "{head}"
    );
    assert_eq!(
        body["answers"][1],
        json!({"id": "b", "question": "What is 3 + 4?", "completion": "8", "gold": "7"})
    );
}

#[test]
fn a_large_batch_is_several_requests() {
    let server = Server::start(vec![Compare]);
    let settings = HttpSettings {
        batch: 2,
        ..settings(&server)
    };
    let answers = ["a", "b", "c", "d", "e"].map(|id| answer(id, if id == "d" { "8" } else { "7" }));
    let expected = [Some(1.0), Some(1.0), Some(1.0), Some(0.0), Some(1.0)];
    assert_eq!(rewards(&settings, &answers), expected);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(rewards(&settings, &[]), []);
    assert_eq!(server.requests().len(), 3, "nothing is asked about nothing");
}

#[test]
fn null_is_unscorable() {
    let reaction = scores(&json!([{"id": "a", "reward": null, "note": "no proof"}]));
    let found = score(
        &settings(&Server::start(vec![reaction])),
        &[answer("a", "7")],
    )
    .unwrap();
    assert_eq!(found, [Score::unscorable("no proof")]);
}

#[test]
fn failures_of_the_server_are_tried_again_with_pauses() {
    let broken = Say("500 Internal Server Error", "out of memory".to_owned());
    let server = Server::start(vec![broken, HangUp, Compare]);
    let settings = HttpSettings {
        retries: 2,
        ..settings(&server)
    };
    let start = Instant::now();
    assert_eq!(rewards(&settings, &[answer("a", "7")]), [Some(1.0)]);
    assert!(start.elapsed() >= Duration::from_millis(750));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|(_, body)| *body == requests[0].1));
}

#[test]
fn tries_are_counted_and_end() {
    let server = Server::start(vec![Say("503 Service Unavailable", "loading".to_owned())]);
    let settings = HttpSettings {
        retries: 1,
        ..settings(&server)
    };
    match score(&settings, &[answer("a", "7")]) {
        Err(HttpError::Status {
            status,
            tries,
            text,
            ..
        }) => {
            assert_eq!((status, tries, text.as_str()), (503, 2, "loading"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_refusal_is_not_tried_again() {
    let server = Server::start(vec![Say("422 Unprocessable Content", "no gold".to_owned())]);
    let settings = HttpSettings {
        retries: 5,
        ..settings(&server)
    };
    let refused = score(&settings, &[answer("a", "7")]);
    assert!(matches!(
        refused,
        Err(HttpError::Status {
            status: 422,
            tries: 1,
            ..
        })
    ));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://user:secret@{}/score?key=secret",
        listener.local_addr().unwrap()
    );
    drop(listener);
    let settings = HttpSettings {
        url,
        timeout_seconds: 5.0,
        retries: 1,
        batch: 1,
    };
    let error = score(&settings, &[answer("a", "7")]).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, HttpError::Connection { tries: 2, .. }),
        "{text}"
    );
    assert!(
        text.contains("/score could not be asked, tried 2 times"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert!(!Http::new(&settings).unwrap().id().contains("secret"));
}

#[test]
fn a_slow_server_is_given_up() {
    let server = Server::start(vec![Wait(Duration::from_secs(60))]);
    let settings = HttpSettings {
        timeout_seconds: 0.3,
        ..settings(&server)
    };
    let start = Instant::now();
    let error = score(&settings, &[answer("a", "7")]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(
        matches!(error, HttpError::Connection { tries: 1, .. }),
        "{error:?}"
    );
    assert!(
        error.source().unwrap().to_string().contains("timeout"),
        "{error:?}"
    );
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![Compare]);
    let head = "307 Temporary Redirect\r\nLocation: http://elsewhere.example/score?key=secret";
    let server = Server::start(vec![Say(head, String::new())]);
    match error(&server) {
        HttpError::Redirect {
            status, location, ..
        } => {
            assert_eq!(
                (status, location.as_str()),
                (307, "http://elsewhere.example/score")
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(elsewhere.requests().len(), 0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_wrong_number_of_scores_is_an_error() {
    let server = Server::start(vec![scores(&json!([{"id": "a", "reward": 1}]))]);
    assert!(matches!(
        error(&server),
        HttpError::Count {
            found: 1,
            wanted: 2,
            ..
        }
    ));
    let none = Server::start(vec![scores(&json!([]))]);
    assert!(matches!(
        error(&none),
        HttpError::Count {
            found: 0,
            wanted: 2,
            ..
        }
    ));
}

#[test]
fn nonsense_is_an_error() {
    for body in ["<html>welcome</html>", "[]", "{}", r#"{"scores": 1}"#, ""] {
        let server = Server::start(vec![Say("200 OK", body.to_owned())]);
        assert!(matches!(error(&server), HttpError::Format { .. }), "{body}");
    }
}

#[test]
fn wrong_scores_are_errors_with_their_number() {
    let cases: [(Value, Expected); 6] = [
        (json!({"id": "z", "reward": 1}), |e| {
            matches!(e, ReplyError::UnknownId { .. })
        }),
        (json!({"id": "a", "reward": 1}), |e| {
            matches!(e, ReplyError::Repeated { .. })
        }),
        (json!({"id": "b", "reward": "1"}), |e| {
            matches!(e, ReplyError::NoNumber { .. })
        }),
        (json!({"id": "b", "reward": false}), |e| {
            matches!(e, ReplyError::NoNumber { .. })
        }),
        (json!({"id": "b"}), |e| {
            matches!(e, ReplyError::Format { .. })
        }),
        (json!(1), |e| matches!(e, ReplyError::Format { .. })),
    ];
    for (wrong, expected) in cases {
        let reaction = scores(&json!([{"id": "a", "reward": 1}, wrong]));
        match error(&Server::start(vec![reaction])) {
            HttpError::Score {
                number: 2, source, ..
            } => assert!(expected(&source), "{source:?}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
    let nan = r#"{"scores": [{"id": "a", "reward": 1}, {"id": "b", "reward": NaN}]}"#;
    let server = Server::start(vec![Say("200 OK", nan.to_owned())]);
    assert!(matches!(error(&server), HttpError::Format { .. }));
}

#[test]
fn a_response_that_is_too_long_is_an_error() {
    let server = Server::start(vec![Say("200 OK", "a".repeat((16 << 20) + 1))]);
    assert!(matches!(
        error(&server),
        HttpError::TooLong {
            limit: 16_777_216,
            ..
        }
    ));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let settings = |json: &str| serde_json::from_str::<VerifierSettings>(json);
    let minimal = settings(r#"{"kind": "http", "url": "http://localhost:8000/score"}"#).unwrap();
    assert_eq!(
        build(&minimal).unwrap().id(),
        "http http://localhost:8000/score 1"
    );
    for json in [
        r#"{"kind": "http", "url": "localhost:8000"}"#,
        r#"{"kind": "http", "url": "ftp://localhost/"}"#,
        r#"{"kind": "http", "url": ""}"#,
        r#"{"kind": "http", "url": "http://localhost/", "timeout_seconds": -1}"#,
        r#"{"kind": "http", "url": "http://localhost/", "batch": 0}"#,
    ] {
        assert!(build(&settings(json).unwrap()).is_err(), "{json}");
    }
    assert!(settings(r#"{"kind": "http", "url": "http://localhost/", "token": "x"}"#).is_err());
}
