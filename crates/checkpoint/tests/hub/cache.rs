//! What the cache has is used, and it looks as Python's `huggingface_hub` lays it out.

use std::path::Path;

use tlora_checkpoint::hub::HubError;

use crate::server::{COMMIT, etag};
use crate::{FIRST_SHARD, SHARDS, Scene, contents, shard};

#[test]
#[cfg(unix)]
fn files_are_relative_links_to_blobs_named_by_etag() {
    let scene = Scene::sharded();
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(directory, scene.model().join("snapshots").join(COMMIT));
    let files = scene.hub.state().files.clone();
    for name in ["config.json", "tokenizer.json", SHARDS[0], SHARDS[1]] {
        let (bytes, in_storage) = &files[name];
        let target = Path::new("../../blobs").join(etag(bytes, *in_storage));
        assert_eq!(
            fs_err::read_link(directory.join(name)).unwrap(),
            target,
            "{name}"
        );
    }
    assert_eq!(
        fs_err::read_to_string(scene.model().join("refs/main")).unwrap(),
        COMMIT
    );
}

#[test]
fn a_second_call_asks_for_the_list_only() {
    let scene = Scene::sharded();
    let first = scene.resolve_main().unwrap();
    scene.hub.take_requests();
    assert_eq!(scene.resolve_main().unwrap(), first);
    let paths: Vec<_> = scene
        .hub
        .take_requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/api/models/org/tiny/revision/main?blobs=true"]);
}

#[test]
fn offline_makes_no_request() {
    let scene = Scene::sharded();
    let online = scene.resolve_main().unwrap();
    scene.hub.take_requests();
    assert_eq!(scene.offline("org/tiny").unwrap(), online);
    assert_eq!(
        scene.offline(&format!("org/tiny@{COMMIT}")).unwrap(),
        online
    );
    assert!(scene.hub.take_requests().is_empty());
}

#[test]
fn offline_names_what_is_missing() {
    let scene = Scene::sharded();
    let missing = |id: &str| match scene.offline(id) {
        Err(HubError::Offline { missing, .. }) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing("org/tiny"), ["the revision main"]);
    assert_eq!(
        missing(&format!("org/tiny@{COMMIT}")),
        ["config.json", "model.safetensors"]
    );
    let directory = scene.resolve_main().unwrap().directory;
    fs_err::remove_file(directory.join(SHARDS[1])).unwrap();
    assert_eq!(missing("org/tiny"), [SHARDS[1]]);
    assert!(
        scene
            .offline("org/tiny")
            .unwrap_err()
            .to_string()
            .contains("HF_HUB_OFFLINE")
    );
}

#[test]
#[cfg(unix)]
fn a_link_to_a_blob_that_is_gone_is_missing() {
    let scene = Scene::sharded();
    let directory = scene.resolve_main().unwrap().directory;
    let blob = fs_err::canonicalize(directory.join(FIRST_SHARD)).unwrap();
    fs_err::remove_file(&blob).unwrap();
    assert!(matches!(
        scene.offline("org/tiny"),
        Err(HubError::Offline { .. })
    ));
    scene.resolve_main().unwrap();
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
}

#[test]
fn a_snapshot_of_plain_files_is_used() {
    // As Python leaves them where the file system has no links.
    let scene = Scene::sharded();
    let directory = scene.model().join("snapshots").join(COMMIT);
    fs_err::create_dir_all(&directory).unwrap();
    fs_err::write(directory.join(FIRST_SHARD), shard(1)).unwrap();
    scene.resolve_main().unwrap();
    assert!(scene.shard_requests().is_empty());
}

#[test]
fn a_blob_of_another_commit_is_not_downloaded_again() {
    let scene = Scene::sharded();
    scene.resolve_main().unwrap();
    scene.hub.take_requests();
    scene.hub.state().commit = "f".repeat(40);
    let directory = scene.resolve_main().unwrap().directory;
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
    assert!(scene.shard_requests().is_empty());
    assert_eq!(scene.offline("org/tiny").unwrap().commit, "f".repeat(40));
}

#[test]
fn a_damaged_blob_is_replaced() {
    let scene = Scene::sharded();
    let directory = scene.resolve_main().unwrap().directory;
    let blob = fs_err::canonicalize(directory.join(FIRST_SHARD)).unwrap();
    fs_err::write(&blob, "half").unwrap();
    scene.resolve_main().unwrap();
    assert_eq!(contents(&directory)[FIRST_SHARD], shard(1));
}

#[test]
fn a_revision_never_stands_for_an_incomplete_commit() {
    let scene = Scene::sharded();
    let old = scene.resolve_main().unwrap();
    scene.hub.state().commit = "f".repeat(40);
    scene.hub.add(FIRST_SHARD, shard(3), true);
    scene.hub.fail(
        "HEAD",
        FIRST_SHARD,
        1,
        crate::wire::Fault::Status(404, "EntryNotFound"),
    );
    scene.resolve_main().unwrap_err();
    assert_eq!(scene.offline("org/tiny").unwrap(), old);
}

#[test]
fn a_model_at_once_in_four_threads_is_downloaded_once() {
    let scene = Scene::sharded();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| scene.resolve_main().unwrap()))
            .collect();
        for thread in threads {
            assert_eq!(
                contents(&thread.join().unwrap().directory)[FIRST_SHARD],
                shard(1)
            );
        }
    });
    assert_eq!(scene.shard_requests().len(), 1);
}
