//! What README.md promises.

/// The transcript is compared with what the command prints; README.md has a part of it.
#[test]
fn readme_prints_what_the_quickstart_does() {
    let file = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        fs_err::read_to_string(path).unwrap()
    };
    let (readme, transcript) = (file("README.md"), file("tests/cmd/quickstart.md"));
    let start = readme.find("-- quickstart\n").unwrap();
    let block = readme[start..].split("```").next().unwrap();
    let promised: Vec<&str> = block
        .lines()
        .skip(1)
        .filter(|line| *line != "...")
        .collect();
    assert!(
        promised
            .iter()
            .any(|line| line.starts_with("merged digest  tmd1:"))
    );
    for line in promised {
        assert!(transcript.lines().any(|found| found == line), "{line}");
    }
}
