//! Answers that are not to be trusted: nothing of them is kept or followed.

use tlora_checkpoint::IndexError;
use tlora_checkpoint::hub::{HubError, HubId, HubOptions, resolve};

use crate::server::{COMMIT, sha256};
use crate::wire::Fault;
use crate::{FIRST_SHARD, SHARDS, Scene, contents, shard, stored};

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
        ".evil.safetensors",
    ] {
        let scene = Scene::sharded();
        let index = format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#);
        scene.hub.add("model.safetensors.index.json", index, false);
        let error = scene.resolve_main().unwrap_err();
        let named = match &error {
            HubError::ShardName { shard, .. } => shard,
            HubError::Index { source, .. } => match source.as_ref() {
                IndexError::ShardName(shard) => shard,
                _ => panic!("{error:?}"),
            },
            _ => panic!("{error:?}"),
        };
        assert_eq!(named, shard);
        let asked = |path: &str| path.contains("evil") || path.contains(".py");
        let requests = scene.hub.take_requests();
        assert!(requests.iter().all(|request| !asked(&request.path)));
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
