//! The transcripts in `tests/cmd`, which are documentation too. `TRYCMD=overwrite cargo test --test transcripts` writes
//! them anew; look at the difference.

#[test]
fn the_commands_say_what_the_transcripts_show() {
    let cache = tempfile::tempdir().unwrap();
    trycmd::TestCases::new()
        .case("tests/cmd/*.md")
        .env("TLORA_CACHE", cache.path().to_str().unwrap())
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("NO_COLOR", "1");
}
