//! `command` against real programs: shell scripts that answer, are slow, crash and write nonsense.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tlora_reward::{
    Answer, Command, CommandError, CommandSettings, ReplyError, RewardError, Score, Verifier,
    VerifierSettings, build,
};

/// Answers each line with reward 1 where the completion is the gold answer: `sed` alone, so that nothing but a POSIX
/// system is needed. The keys are in the order of the protocol.
const COMPARE: &str = r#"sed -u -e '
s/^{"id":"\([^"]*\)".*"completion":"\([^"]*\)","gold":"\2"}$/{"id":"\1","reward":1,"extracted":"\2"}/
s/^{"id":"\([^"]*\)","question.*/{"id":"\1","reward":0}/'"#;

/// What an error has to be.
type Expected = fn(&ReplyError) -> bool;

/// A folder of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tlora-{test}-{}", std::process::id()));
        fs_err::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.file(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs_err::remove_dir_all(&self.0).unwrap();
    }
}

fn verifier(script: &str, timeout_seconds: f64, restarts: u32) -> Command {
    Command::new(&CommandSettings {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout_seconds,
        restarts,
    })
    .unwrap()
}

fn answer<'a>(id: &'a str, completion: &'a str) -> Answer<'a> {
    Answer {
        id,
        question: "What is 3 + 4?",
        completion,
        gold: "7",
    }
}

fn score(verifier: &Command, answers: &[Answer<'_>]) -> Result<Vec<Score>, CommandError> {
    match verifier.score(answers) {
        Ok(scores) => Ok(scores),
        Err(RewardError::Command(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

fn rewards(verifier: &Command, answers: &[Answer<'_>]) -> Vec<Option<f64>> {
    let scores = score(verifier, answers).unwrap();
    scores.iter().map(|score| score.reward).collect()
}

fn is_running(pid: &str) -> bool {
    // A zombie has no command line.
    fs_err::read(Path::new("/proc").join(pid).join("cmdline"))
        .is_ok_and(|command| !command.is_empty())
}

fn wait_until(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn answers_are_scored_in_their_order_batch_after_batch() {
    let verifier = verifier(COMPARE, 30.0, 0);
    let answers = [answer("a", "7"), answer("b", "8"), answer("c", "7")];
    let scores = score(&verifier, &answers).unwrap();
    assert_eq!(scores[0].reward, Some(1.0));
    assert_eq!(scores[0].extracted.as_deref(), Some("7"));
    assert_eq!(
        rewards(&verifier, &answers),
        [Some(1.0), Some(0.0), Some(1.0)]
    );
    assert_eq!(rewards(&verifier, &answers[1..]), [Some(0.0), Some(1.0)]);
    assert_eq!(rewards(&verifier, &[]), []);
}

/// More than any pipe holds, both ways: neither side may wait for the other for ever.
#[test]
fn large_batches_do_not_fill_the_pipes() {
    let long = "8".repeat(4_000);
    let ids: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let answers: Vec<Answer<'_>> = ids.iter().map(|id| answer(id, &long)).collect();
    let echo = r#"sed -u -e 's/^{"id":"\([^"]*\)".*"completion":"\([^"]*\)".*/{"id":"\1","reward":0.5,"extracted":"\2"}/'"#;
    let scores = score(&verifier(echo, 60.0, 0), &answers).unwrap();
    assert_eq!(scores.len(), 500);
    assert!(
        scores
            .iter()
            .all(|score| score.extracted.as_ref() == Some(&long))
    );
}

#[test]
fn rewards_may_come_in_another_order_and_null_is_unscorable() {
    let script = r#"read -r a; read -r b
        echo '{"id": "b", "reward": -0.25, "mode": "judge"}'
        echo '{"id": "a", "reward": null, "note": "no proof"}'; cat > /dev/null"#;
    let scores = score(
        &verifier(script, 30.0, 0),
        &[answer("a", "7"), answer("b", "7")],
    )
    .unwrap();
    assert_eq!(scores[0], Score::unscorable("no proof"));
    assert_eq!(scores[1].reward, Some(-0.25));
    assert_eq!(scores[1].mode.as_deref(), Some("judge"));
}

#[test]
fn a_program_that_crashes_is_started_again_with_what_it_has_not_answered() {
    let folder = Folder::new("crash");
    let log = folder.file("log");
    // Each process answers one line.
    let script = format!(
        r#"echo start >> {log}; read -r line; printf '%s\n' "$line" | {COMPARE}; exit 3"#,
        log = log.display()
    );
    let answers = [answer("a", "7"), answer("b", "8"), answer("c", "7")];
    let patient = verifier(&script, 30.0, 2);
    assert_eq!(
        rewards(&patient, &answers),
        [Some(1.0), Some(0.0), Some(1.0)]
    );
    assert_eq!(folder.read("log").lines().count(), 3);
    match score(&verifier(&script, 30.0, 1), &answers) {
        Err(CommandError::Ended {
            status,
            open,
            starts,
            ..
        }) => {
            assert_eq!((status.as_str(), open, starts), ("exit status: 3", 1, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_stderr_is_in_the_error() {
    let script = "yes noise | head -n 5000 >&2; echo 'no such model' >&2; exit 1";
    let error = score(&verifier(script, 30.0, 0), &[answer("a", "7")]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit status: 1"), "{text}");
    assert!(text.ends_with("no such model"), "{text}");
    assert!(text.len() < 6_000, "{} bytes", text.len());
}

#[test]
fn silence_is_an_error_not_a_score() {
    let folder = Folder::new("slow");
    let script = format!(
        "echo $$ >> {}; echo working >&2; sleep 600",
        folder.file("pid").display()
    );
    let start = Instant::now();
    match score(&verifier(&script, 1.5, 1), &[answer("a", "7")]) {
        Err(CommandError::Slow {
            id,
            open,
            starts,
            stderr,
            ..
        }) => {
            assert_eq!((id.as_str(), open, starts), ("a", 1, 2));
            assert_eq!(stderr.0, "working\n");
        }
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(30));
    let pids = folder.read("pid");
    assert_eq!(pids.lines().count(), 2);
    assert!(
        pids.lines().all(|pid| !is_running(pid)),
        "still running: {pids}"
    );
}

/// The time is that of one answer: a batch may take longer.
#[test]
fn each_answer_has_its_own_time() {
    let script =
        format!(r#"while read -r line; do sleep 0.4; printf '%s\n' "$line" | {COMPARE}; done"#);
    let ids: Vec<String> = (0..9).map(|number| number.to_string()).collect();
    let answers: Vec<Answer<'_>> = ids.iter().map(|id| answer(id, "7")).collect();
    let start = Instant::now();
    assert_eq!(
        rewards(&verifier(&script, 3.0, 0), &answers),
        [Some(1.0); 9]
    );
    assert!(start.elapsed() > Duration::from_secs(3));
}

/// What line 2 of a program says, and what is wrong with it.
#[test]
fn wrong_lines_are_errors_with_their_number() {
    let cases: [(&str, Expected); 9] = [
        ("right!", |e| matches!(e, ReplyError::Format { .. })),
        ("", |e| matches!(e, ReplyError::Format { .. })),
        ("[1]", |e| matches!(e, ReplyError::Format { .. })),
        (r#"{"id": "b"}"#, |e| matches!(e, ReplyError::Format { .. })),
        (r#"{"id": "b", "reward": NaN}"#, |e| {
            matches!(e, ReplyError::Format { .. })
        }),
        (r#"{"id": "b", "reward": 1e999}"#, |e| {
            matches!(e, ReplyError::Format { .. })
        }),
        (r#"{"id": "b", "reward": true}"#, |e| {
            matches!(e, ReplyError::NoNumber { .. })
        }),
        (r#"{"id": "z", "reward": 1}"#, |e| {
            matches!(e, ReplyError::UnknownId { .. })
        }),
        (r#"{"id": "a", "reward": 1}"#, |e| {
            matches!(e, ReplyError::Repeated { .. })
        }),
    ];
    for (text, expected) in cases {
        let script = format!(
            "read -r a; echo '{{\"id\": \"a\", \"reward\": 1}}'; echo '{text}'; cat > /dev/null"
        );
        let answers = [answer("a", "7"), answer("b", "7")];
        match score(&verifier(&script, 30.0, 5), &answers) {
            Err(CommandError::Line {
                program,
                line,
                source,
                ..
            }) => {
                assert_eq!((program.as_str(), line), ("sh", 2), "{text}");
                assert!(expected(&source), "{text}: {source:?}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_line_after_the_last_answer_is_an_error_of_the_next_batch() {
    let script = format!("{COMPARE}; cat > /dev/null").replacen(
        "sed",
        r#"read -r a; echo '{"id": "a", "reward": 1}'; echo '{"id": "b", "reward": 1}'; sed"#,
        1,
    );
    let verifier = verifier(&script, 30.0, 0);
    assert_eq!(rewards(&verifier, &[answer("a", "7")]), [Some(1.0)]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(matches!(
        score(&verifier, &[answer("b", "7")]),
        Err(CommandError::Line {
            line: 2,
            source: ReplyError::Unasked { .. },
            ..
        })
    ));
}

#[test]
fn output_without_an_end_is_cut_off() {
    let script = "yes aaaaaaaa | tr -d '\\n'";
    assert!(matches!(
        score(&verifier(script, 60.0, 3), &[answer("a", "7")]),
        Err(CommandError::LongLine {
            line: 1,
            limit: 1_048_576,
            ..
        })
    ));
}

/// With all that it has started, and without a zombie.
#[test]
fn the_program_is_killed_and_reaped_when_the_verifier_goes() {
    let folder = Folder::new("drop");
    let (own, child) = (folder.file("own"), folder.file("child"));
    let script = format!(
        "echo $$ > {}; sleep 600 & echo $! > {}; read -r a; echo '{{\"id\": \"a\", \"reward\": 1}}'; wait",
        own.display(),
        child.display()
    );
    let verifier = verifier(&script, 30.0, 0);
    assert_eq!(rewards(&verifier, &[answer("a", "7")]), [Some(1.0)]);
    let pids = [folder.read("own"), folder.read("child")].map(|pid| pid.trim().to_owned());
    assert!(wait_until(|| pids.iter().all(|pid| is_running(pid))));
    drop(verifier);
    assert!(!Path::new("/proc").join(&pids[0]).exists(), "not reaped");
    assert!(wait_until(|| !is_running(&pids[1])), "its child still runs");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let settings = CommandSettings {
        argv: vec!["/nowhere/verify".to_owned()],
        timeout_seconds: 1.0,
        restarts: 3,
    };
    let error = score(&Command::new(&settings).unwrap(), &[answer("a", "7")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the verifier "/nowhere/verify" does not start"#
    );
}

#[test]
fn no_shell_reads_the_arguments() {
    let settings = CommandSettings {
        argv: [
            "printf",
            r#"{"id": "a", "reward": 1, "note": "%s"}\n"#,
            "$(id); `id`",
        ]
        .map(str::to_owned)
        .to_vec(),
        timeout_seconds: 30.0,
        restarts: 0,
    };
    let scores = score(&Command::new(&settings).unwrap(), &[answer("a", "7")]).unwrap();
    assert_eq!(scores[0].note.as_deref(), Some("$(id); `id`"));
}

#[test]
fn two_answers_with_one_id_and_empty_gold_answers_are_refused() {
    let verifier = verifier(COMPARE, 30.0, 0);
    assert!(matches!(
        verifier.score(&[answer("a", "7"), answer("a", "8")]),
        Err(RewardError::RepeatedId { .. })
    ));
    let empty = Answer {
        gold: " ",
        ..answer("a", "")
    };
    assert!(matches!(
        verifier.score(&[empty]),
        Err(RewardError::Gold { .. })
    ));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let settings = |json: &str| serde_json::from_str::<VerifierSettings>(json);
    let minimal = settings(r#"{"kind": "command", "argv": ["verify", "--fast"]}"#).unwrap();
    assert_eq!(
        build(&minimal).unwrap().id(),
        r#"command ["verify", "--fast"] 1"#
    );
    for json in [
        r#"{"kind": "command", "argv": []}"#,
        r#"{"kind": "command", "argv": [""]}"#,
        r#"{"kind": "command", "argv": ["a"], "timeout_seconds": 0}"#,
        r#"{"kind": "command", "argv": ["a"], "timeout_seconds": 1e300}"#,
    ] {
        assert!(build(&settings(json).unwrap()).is_err(), "{json}");
    }
    assert!(settings(r#"{"kind": "command", "argv": "verify --fast"}"#).is_err());
    assert!(settings(r#"{"kind": "command", "argv": ["a"], "shell": true}"#).is_err());
}
