//! Files that pyarrow wrote (tests/data/make.py), as problems.
#![cfg(feature = "parquet")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use tlora_train::TrainError;
use tlora_train::data::{Problem, Problems, read};

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

fn problems(name: &str, limit: usize) -> Problems {
    read(&file(name), limit, &[]).unwrap()
}

#[test]
fn rows_are_problems() {
    let found = problems("problems.parquet", 0);
    let problem = |id: &str, question: &str, answer: &str, solution: &str| Problem {
        id: id.to_owned(),
        question: question.to_owned(),
        answer: answer.to_owned(),
        solution: solution.to_owned(),
    };
    assert_eq!(
        found.problems,
        [
            problem("line-1", "2 + 3?", "5", "2+3=5\n#### 5"),
            problem("line-2", "7 - 4?", "3", "3"),
            problem("line-3", "Größe: 6 · 7?", "42", "#### 42"),
        ]
    );
    assert!(found.ignored.is_empty());
    assert_eq!(problems("problems.parquet", 2).problems.len(), 2);
}

#[test]
fn ids_may_be_there_and_other_columns_are_named() {
    let found = problems("ids.parquet", 0);
    let ids: Vec<&str> = found.problems.iter().map(|problem| &*problem.id).collect();
    assert_eq!(ids, ["a", "b", "line-3"]);
    assert_eq!(
        found.ignored.into_iter().collect::<Vec<_>>(),
        [("level".to_owned(), 3)]
    );
}

#[test]
fn what_is_no_problem_is_refused_with_its_row() {
    let error = read(&file("numbers.parquet"), 0, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "line 1 of {}: the column answer is not text",
            file("numbers.parquet").display()
        )
    );
}

/// Every cut and many single damaged bytes: an error or the same number of rows, never an end of the program.
#[test]
fn damaged_files_are_errors() {
    let whole = fs_err::read(file("problems.parquet")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.parquet");
    std::panic::set_hook(Box::new(|_| {}));
    for length in (0..whole.len()).step_by(7) {
        fs_err::write(&path, &whole[..length]).unwrap();
        let error = read(&path, 0, &[]).unwrap_err();
        assert!(
            matches!(error, TrainError::Data { .. }),
            "{length}: {error}"
        );
    }
    for position in (0..whole.len()).step_by(5) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x55;
        fs_err::write(&path, &damaged).unwrap();
        match read(&path, 0, &[]) {
            Ok(found) => assert!(found.problems.len() <= 3),
            Err(error) => assert!(matches!(error, TrainError::Data { .. }), "{error}"),
        }
    }
}
