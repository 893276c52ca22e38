//! One file of a set of data, whose name has folders.

use std::path::Path;

use tlora_checkpoint::hub::{HubError, HubId, HubOptions, RepositoryKind, Resolved, resolve_file};

use crate::Scene;
use crate::server::{COMMIT, etag};

const FILE: &str = "main/train-00000-of-00001.parquet";

fn scene() -> Scene {
    let scene = Scene::empty();
    scene.hub.add(FILE, "the problems", true);
    scene.hub.add("README.md", "not wanted", false);
    scene
}

fn fetch(scene: &Scene, id: &str, file: &str, offline: bool) -> Result<Resolved, HubError> {
    let options = HubOptions {
        offline,
        ..scene.options.clone()
    };
    let id = HubId::of_kind(RepositoryKind::Dataset, id).unwrap();
    resolve_file(&id, file, &options, &())
}

#[test]
fn it_is_fetched_alone_to_where_python_has_it() {
    let scene = scene();
    let found = fetch(&scene, "org/tiny", FILE, false).unwrap();
    let folder = scene.options.cache.join("datasets--org--tiny");
    assert_eq!(found.directory, folder.join("snapshots").join(COMMIT));
    let path = found.directory.join(FILE);
    assert_eq!(fs_err::read(&path).unwrap(), b"the problems");
    if cfg!(unix) {
        let blob = Path::new("../../../blobs").join(etag(b"the problems", true));
        assert_eq!(fs_err::read_link(&path).unwrap(), blob);
    }
    assert!(!found.directory.join("README.md").exists());
    let paths: Vec<String> = scene
        .hub
        .take_requests()
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(paths[0], "/api/datasets/org/tiny/revision/main?blobs=true");
    let resolved = format!("/datasets/org/tiny/resolve/{COMMIT}/{FILE}");
    assert!(
        paths[1..]
            .iter()
            .all(|path| *path == resolved || !path.contains("/resolve/"))
    );
    // Then it is there without the hub.
    assert_eq!(fetch(&scene, "org/tiny", FILE, true).unwrap(), found);
    assert!(scene.hub.take_requests().is_empty());
}

#[test]
fn what_is_not_there_and_what_is_no_name_are_refused() {
    let scene = scene();
    let missing = fetch(&scene, "org/tiny", "main/other.parquet", false).unwrap_err();
    assert!(matches!(missing, HubError::NoFile { .. }), "{missing}");
    let offline = fetch(&scene, "org/tiny", FILE, true).unwrap_err();
    assert!(matches!(offline, HubError::Offline { .. }), "{offline}");
    for name in [
        "../evil",
        "main/../../evil",
        "/etc/passwd",
        "main//x",
        "",
        "main\\x",
    ] {
        scene.hub.take_requests();
        let error = fetch(&scene, "org/tiny", name, false).unwrap_err();
        assert!(
            matches!(error, HubError::FileName { .. }),
            "{name}: {error}"
        );
        assert!(scene.hub.take_requests().is_empty());
    }
}
