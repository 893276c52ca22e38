//! What README.md promises.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::Scratch;

#[test]
fn the_quickstart_gives_the_digest_that_readme_prints() {
    let quickstart = Scratch::new().done(&["quickstart"]).stdout;
    let digest = quickstart
        .lines()
        .find_map(|line| line.strip_prefix("merged digest  "))
        .unwrap();
    let readme = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(digest), "README.md does not have {digest}");
}
