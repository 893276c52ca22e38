//! Servers and connections that fail, and answers that are not to be trusted.

use tlora_checkpoint::hub::{HubError, HubId, HubOptions, resolve};

use crate::server::{COMMIT, Fault, sha256};
use crate::{FIRST_SHARD, SHARDS, Scene, Told, contents, shard};

/// The end of the storage's path for the first shard.
fn stored() -> &'static str {
    // The faults of a server live as long as the test.
    Box::leak(sha256(&shard(1)).into_boxed_str())
}

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
    scene.options.token = tlora_checkpoint::hub::Token::parse("hf_other", "the test").unwrap();
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
    scene.options.patience = std::time::Duration::from_millis(200);
    scene
        .hub
        .fail("GET", stored(), 1, Fault::StallAfter(500_000));
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    assert_eq!(scene.shard_requests().len(), 2);
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

#[test]
fn other_bytes_than_announced_are_refused_and_removed() {
    let scene = Scene::sharded();
    scene.hub.fail("GET", stored(), 1, Fault::Corrupt);
    let error = scene.resolve_main().unwrap_err();
    let HubError::Digest {
        file,
        expected,
        found,
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((file.as_str(), expected.as_str()), (FIRST_SHARD, stored()));
    let corrupt: Vec<_> = shard(1).iter().map(|byte| byte ^ 1).collect();
    assert_eq!(*found, sha256(&corrupt));
    assert!(!scene.partial().exists());
    assert!(!scene.model().join("blobs").join(stored()).exists());
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
}

#[test]
fn another_length_than_announced_is_refused_and_removed() {
    for fault in [Fault::Short(1_000), Fault::Long] {
        let found = if fault == Fault::Long {
            1_200_001
        } else {
            1_000
        };
        let scene = Scene::sharded();
        scene.hub.fail("GET", stored(), 1, fault);
        let error = scene.resolve_main().unwrap_err();
        assert!(
            matches!(error, HubError::Size { expected: 1_200_000, found: f, .. } if f == found),
            "{error:?}"
        );
        assert!(!scene.partial().exists());
    }
}

#[test]
fn what_head_says_must_fit_the_list_and_the_cache() {
    for (name, value) in [
        ("x-repo-commit", "ffffffffffffffffffffffffffffffffffffffff"),
        ("x-linked-size", "1199999"),
        ("x-linked-size", "-1"),
        ("x-linked-etag", "\"../../../evil\""),
        ("x-linked-etag", "\"..\""),
        ("x-linked-etag", "\"\""),
    ] {
        let scene = Scene::sharded();
        scene
            .hub
            .fail("HEAD", FIRST_SHARD, 1, Fault::Header(name, value));
        let result = scene.resolve_main();
        // A size that is no number is as good as none: the list has one.
        assert!(
            matches!(result, Err(HubError::Answer { .. })) || value == "-1",
            "{name}: {value}: {result:?}"
        );
        assert!(!scene.folder.path().join("evil").exists());
    }
}

#[test]
fn an_etag_that_is_another_hash_than_the_listed_one_is_refused() {
    let scene = Scene::sharded();
    let other: &'static str = Box::leak("e".repeat(64).into_boxed_str());
    scene.hub.fail(
        "HEAD",
        FIRST_SHARD,
        1,
        Fault::Header("x-linked-etag", other),
    );
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error:?}");
}

#[test]
fn shards_that_an_index_places_elsewhere_are_refused() {
    for shard in [
        "../evil.safetensors",
        "/tmp/evil.safetensors",
        "a/b.safetensors",
        "modeling.py",
    ] {
        let scene = Scene::sharded();
        scene.hub.add(
            "model.safetensors.index.json",
            format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#),
            false,
        );
        let error = scene.resolve_main().unwrap_err();
        assert!(
            matches!(&error, HubError::ShardName { shard: found, .. } if found == shard),
            "{error:?}"
        );
        assert!(
            scene
                .hub
                .take_requests()
                .iter()
                .all(|request| !request.path.contains("evil"))
        );
    }
}

#[test]
fn an_index_that_is_none_is_refused() {
    let scene = Scene::sharded();
    scene
        .hub
        .add("model.safetensors.index.json", "<html>", false);
    assert!(matches!(scene.resolve_main(), Err(HubError::Index { .. })));
}

#[test]
fn files_that_a_model_lacks_are_named() {
    for missing in ["config.json", SHARDS[1]] {
        let scene = Scene::sharded();
        scene.hub.state().files.remove(missing);
        let error = scene.resolve_main().unwrap_err();
        assert!(
            matches!(&error, HubError::NoFile { file, .. } if file == missing),
            "{error:?}"
        );
    }
    let scene = Scene::empty();
    scene.hub.add("config.json", "{}", false);
    scene.hub.add("pytorch_model.bin", "pickle", true);
    let error = scene.resolve_main().unwrap_err();
    assert!(
        matches!(&error, HubError::NoWeights { commit, .. } if commit == COMMIT),
        "{error:?}"
    );
}

#[test]
fn redirects_end() {
    let scene = Scene::sharded();
    scene.hub.fail(
        "HEAD",
        "/tokenizer.json",
        usize::MAX,
        Fault::Redirect("/moved/tokenizer.json"),
    );
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Redirect { .. }), "{error:?}");
}

#[test]
fn errors_do_not_show_signed_addresses() {
    let scene = Scene::sharded();
    scene.hub.fail(
        "GET",
        stored(),
        usize::MAX,
        Fault::Status(500, "InternalError"),
    );
    let error = scene.resolve_main().unwrap_err();
    assert!(matches!(error, HubError::Status { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn an_endpoint_that_is_no_url_is_refused() {
    let scene = Scene::sharded();
    let options = HubOptions {
        endpoint: "http://a b".to_owned(),
        ..scene.options.clone()
    };
    let result = resolve(&HubId::parse("org/tiny").unwrap(), &options, &());
    assert!(
        matches!(result, Err(HubError::Endpoint { .. })),
        "{result:?}"
    );
}
