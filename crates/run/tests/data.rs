//! Problems as they are read, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Cursor as Bytes;
use std::path::Path;

use tlora_run::config::GoldRule;
use tlora_run::data::{MAX_LINE, read, read_from};
use tlora_run::{DataError, Problems};

fn parse(text: &str, limit: usize, gold: GoldRule) -> Result<Problems, DataError> {
    read_from(Bytes::new(text), Path::new("p.jsonl"), limit, gold)
}

fn problems(text: &str) -> Problems {
    parse(text, 0, GoldRule::Auto).unwrap()
}

fn refused(text: &str) -> String {
    let error = parse(text, 0, GoldRule::Auto).unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn a_problem_has_the_name_of_its_line_unless_it_has_its_own() {
    let text = "{\"question\": \"1+1?\", \"answer\": \"2\"}\n\
                {\"id\": \"b\", \"question\": \"2+2?\", \"answer\": \"4\"}\n\
                {\"id\": 17, \"question\": \"3+3?\", \"answer\": 6}";
    let read = problems(text);
    let ids: Vec<&str> = read
        .problems
        .iter()
        .map(|problem| problem.id.as_str())
        .collect();
    assert_eq!(ids, ["line-1", "b", "17"]);
    assert_eq!(read.problems[1].question, "2+2?");
    assert_eq!(read.problems[2].answer, "6");
}

#[test]
fn the_digest_is_that_of_the_whole_file_whatever_the_limit() {
    let text = "{\"question\": \"a\", \"answer\": \"1\"}\n\n{\"question\": \"b\", \"answer\": \"2\"}\nnot a problem";
    let read = parse(text, 2, GoldRule::Auto).unwrap();
    assert_eq!(read.problems.len(), 2);
    // hashlib.sha256
    assert_eq!(read.sha256, SHA256);
    assert!(refused(text).starts_with("line 4 of p.jsonl is not an object"));
}

const SHA256: &str = "eb793db8b6f606bfd2abbbe42afab7b7c42358d35ccd0d922c44ca1f6ca77152";

#[test]
fn gold_is_what_follows_the_last_hashes_without_commas() {
    let gold = |answer: &str, rule| {
        let line = serde_json::json!({ "question": "q", "answer": answer }).to_string();
        parse(&line, 0, rule).map(|mut read| read.problems.remove(0).answer)
    };
    let solution = "6 #### 2 * 200 = <<6*200=1200>>1200\n#### 1,200 ";
    assert_eq!(gold(solution, GoldRule::Auto).unwrap(), "1200");
    assert_eq!(gold(solution, GoldRule::Hashes).unwrap(), "1200");
    assert_eq!(gold(solution, GoldRule::Whole).unwrap(), solution.trim());
    assert_eq!(gold(" (1,200) ", GoldRule::Auto).unwrap(), "(1,200)");
    assert_eq!(
        gold("72", GoldRule::Hashes).unwrap_err().to_string(),
        "line 1 of p.jsonl: answer has no ####, and data.gold is \"hashes\""
    );
}

#[test]
fn an_empty_gold_answer_question_or_id_is_refused() {
    for (line, field) in [
        (r#"{"question": "q", "answer": ""}"#, "answer"),
        (r#"{"question": "q", "answer": " \n"}"#, "answer"),
        (
            r#"{"question": "q", "answer": "so it is\n#### ,"}"#,
            "answer",
        ),
        (r#"{"question": " ", "answer": "1"}"#, "question"),
        (r#"{"id": "", "question": "q", "answer": "1"}"#, "id"),
    ] {
        assert_eq!(
            refused(line),
            format!("line 1 of p.jsonl: {field} is empty")
        );
    }
}

#[test]
fn an_id_that_occurs_twice_is_refused_with_both_lines() {
    let text = "{\"id\": 1, \"question\": \"a\", \"answer\": \"1\"}\n\n{\"id\": \"1\", \"question\": \"b\", \"answer\": \"2\"}\n";
    assert_eq!(
        refused(text),
        "line 3 of p.jsonl: the id \"1\" is that of line 1 too"
    );
}

#[test]
fn lines_that_are_no_problems_are_refused_with_their_number() {
    let good = "{\"question\": \"a\", \"answer\": \"1\"}\n";
    for (line, why) in [
        ("[]", "an object with question and answer"),
        ("{\"question\": \"a\"}", "missing field `answer`"),
        ("{\"answer\": \"a\"}", "missing field `question`"),
        (
            "{\"question\": \"a\", \"answer\": \"1\", \"answer\": \"2\"}",
            "answer stands there twice",
        ),
        (
            "{\"question\": [\"a\"], \"answer\": \"1\"}",
            "a text or a whole number",
        ),
        (
            "{\"question\": \"a\", \"answer\": 1.5}",
            "a text or a whole number",
        ),
        (
            "{\"question\": \"a\", \"answer\": null}",
            "a text or a whole number",
        ),
        (
            "{\"question\": \"a\", \"answer\": \"1\"} {}",
            "trailing characters",
        ),
        ("{\"question\": \"a\", \"answer\": \"1\"", "EOF"),
        (
            "\u{feff}{\"question\": \"a\", \"answer\": \"1\"}",
            "expected value",
        ),
    ] {
        let message = refused(&format!("{good}{line}\n{good}"));
        assert!(
            message.starts_with("line 2 of p.jsonl is not an object"),
            "{message}"
        );
        assert!(message.contains(why), "{line}: {message}");
    }
    let deep = format!(
        "{{\"question\": \"a\", \"answer\": \"1\", \"x\": {}",
        "[".repeat(100_000)
    );
    // Skipped without recursion: the stack does not overflow.
    assert!(refused(&deep).contains("EOF"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let bytes = b"{\"question\": \"\xff\", \"answer\": \"1\"}\n".as_slice();
    let error = read_from(bytes, Path::new("p.jsonl"), 0, GoldRule::Auto).unwrap_err();
    assert!(
        matches!(error, DataError::Json { line: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn a_line_may_have_a_mebibyte_and_no_more() {
    let line = |length: usize| {
        let rest = "{\"question\": \"\", \"answer\": \"1\"}\n".len();
        format!(
            "{{\"question\": \"{}\", \"answer\": \"1\"}}\n",
            "q".repeat(length - rest)
        )
    };
    assert_eq!(
        problems(&line(MAX_LINE)).problems[0].question.len(),
        MAX_LINE - 32
    );
    assert_eq!(
        refused(&line(MAX_LINE + 1)),
        "line 1 of p.jsonl has more than 1048576 bytes"
    );
}

#[test]
fn fields_that_are_not_used_are_listed_with_how_many_lines_have_them() {
    let text = "{\"question\": \"a\", \"answer\": \"1\", \"source\": {\"a\": [1]}, \"level\": 3}\n\
                {\"question\": \"b\", \"answer\": \"1\", \"source\": null, \"source\": 1}\n\
                {\"question\": \"c\", \"answer\": \"1\"}\n";
    let ignored: Vec<(String, usize)> = problems(text).ignored.into_iter().collect();
    assert_eq!(ignored, [("level".to_owned(), 1), ("source".to_owned(), 2)]);
}

#[test]
fn a_file_without_problems_is_refused() {
    for text in ["", "\n \n"] {
        assert_eq!(refused(text), "p.jsonl has no problems");
    }
    let error = read(Path::new("no/such.jsonl"), 0, GoldRule::Auto).unwrap_err();
    assert!(error.to_string().contains("no/such.jsonl"), "{error}");
}

#[test]
fn lines_may_end_as_on_windows() {
    let read = problems(
        "{\"question\": \"a\", \"answer\": \"1\"}\r\n{\"question\": \"b\", \"answer\": \"2\"}\r\n",
    );
    assert_eq!(read.problems[1].answer, "2");
}
