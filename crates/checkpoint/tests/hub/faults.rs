//! Servers that refuse, and connections that fail.

use std::time::{Duration, Instant};

use tlora_checkpoint::hub::{HubError, HubId, Token, resolve};

use crate::wire::Fault;
use crate::{FIRST_SHARD, Scene, Told, contents, shard, stored};

#[test]
fn a_server_that_recovers_is_asked_again() {
    let scene = Scene::sharded();
    for (method, path) in [
        ("GET", "/revision/main"),
        ("HEAD", "/config.json"),
        ("GET", "/config.json"),
        ("GET", stored()),
    ] {
        scene
            .hub
            .fail(method, path, 2, Fault::Status(500, "InternalError"));
    }
    let told = Told::default();
    let directory = resolve(&HubId::parse("org/tiny").unwrap(), &scene.options, &told)
        .unwrap()
        .directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    let told = told.0.into_inner().unwrap();
    assert_eq!(
        told.iter().filter(|line| line.contains(" again: ")).count(),
        8,
        "{told:?}"
    );
}

#[test]
fn attempts_are_bounded() {
    let scene = Scene::sharded();
    scene.hub.fail(
        "GET",
        "/revision/main",
        usize::MAX,
        Fault::Status(503, "Down"),
    );
    let error = scene.resolve_main().unwrap_err();
    assert!(
        matches!(error, HubError::Status { status: 503, .. }),
        "{error:?}"
    );
    assert_eq!(scene.hub.take_requests().len(), 4);
}

#[test]
fn no_server_is_a_connection_error() {
    let mut scene = Scene::sharded();
    // Nobody listens on port 1.
    scene.options.endpoint = "http://127.0.0.1:1".to_owned();
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error:?}");
}

#[test]
fn a_gated_model_is_its_own_error_and_asked_for_once() {
    let mut scene = Scene::sharded();
    scene.hub.state().token = Some("hf_secret");
    let error = scene.resolve_main().unwrap_err();
    assert!(
        matches!(
            error,
            HubError::Denied {
                status: 401,
                with_token: false,
                ..
            }
        ),
        "{error:?}"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("HF_TOKEN") && hint.contains(&format!("{}/org/tiny", scene.hub.endpoint)),
        "{hint}"
    );
    assert_eq!(scene.hub.take_requests().len(), 1);
    scene.options.token = Token::parse("hf_other", "the test").unwrap();
    let error = scene.resolve_main().unwrap_err();
    assert!(
        matches!(
            error,
            HubError::Denied {
                with_token: true,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("hf_other"));
}

#[test]
fn an_unknown_revision_is_its_own_error() {
    let scene = Scene::sharded();
    let error = scene.resolve("org/tiny@nightly").unwrap_err();
    assert!(
        matches!(&error, HubError::NotFound { message, .. } if message == "RevisionNotFound"),
        "{error:?}"
    );
    assert!(error.hint().is_some());
    assert_eq!(scene.hub.take_requests().len(), 1);
}

#[test]
fn a_connection_cut_in_a_file_is_resumed_where_it_broke() {
    let scene = Scene::sharded();
    scene.hub.fail("GET", stored(), 1, Fault::CutAfter(500_000));
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    let ranges: Vec<_> = scene
        .shard_requests()
        .iter()
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=500000-".to_owned())]);
    assert!(!scene.partial().exists());
}

#[test]
fn a_silent_connection_is_resumed() {
    let mut scene = Scene::sharded();
    scene.options.patience = Duration::from_millis(200);
    scene
        .hub
        .fail("GET", stored(), 1, Fault::StallAfter(500_000));
    let start = Instant::now();
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    assert_eq!(scene.shard_requests().len(), 2);
    assert!(start.elapsed() < Duration::from_secs(50));
}

#[test]
fn a_later_call_resumes_what_an_earlier_one_left() {
    let mut scene = Scene::sharded();
    scene.options.retries = 0;
    scene.hub.fail("GET", stored(), 1, Fault::CutAfter(500_000));
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error:?}");
    assert_eq!(fs_err::read(scene.partial()).unwrap(), shard(1)[..500_000]);
    scene.shard_requests();
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    assert_eq!(
        scene.shard_requests()[0].header("range"),
        Some("bytes=500000-")
    );
}

#[test]
fn a_server_that_cannot_resume_sends_the_file_anew() {
    let scene = Scene::sharded();
    fs_err::create_dir_all(scene.partial().parent().unwrap()).unwrap();
    fs_err::write(scene.partial(), &shard(1)[..500_000]).unwrap();
    scene.hub.fail("GET", stored(), 1, Fault::IgnoreRange);
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
}

#[test]
fn a_part_from_another_place_is_refused() {
    let scene = Scene::sharded();
    fs_err::create_dir_all(scene.partial().parent().unwrap()).unwrap();
    fs_err::write(scene.partial(), &shard(1)[..500_000]).unwrap();
    scene.hub.fail(
        "GET",
        stored(),
        1,
        Fault::Header("content-range", "bytes 400000-1199999/1200000"),
    );
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error:?}");
    assert!(!scene.partial().exists());
    scene.resolve_main().unwrap();
}

#[test]
fn a_whole_but_unchecked_partial_file_is_checked() {
    let scene = Scene::sharded();
    fs_err::create_dir_all(scene.partial().parent().unwrap()).unwrap();
    fs_err::write(scene.partial(), shard(3)).unwrap();
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Digest { .. }), "{error:?}");
    assert!(scene.shard_requests().is_empty());
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
}
