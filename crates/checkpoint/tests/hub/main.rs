//! Hub ids against a server with the hub's shape. No test leaves this machine or reads its environment.
#![cfg(test)]

mod answers;
mod cache;
mod datasets;
mod faults;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use server::Hub;
use tempfile::TempDir;
use tlora_checkpoint::hub::{HubError, HubId, HubOptions, HubProgress, Resolved, Token, resolve};

const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];
const FIRST_SHARD: &str = SHARDS[0];

/// A hub with one model, and an empty cache.
struct Scene {
    hub: Hub,
    folder: TempDir,
    options: HubOptions,
}

impl Scene {
    /// A model in two shards, with much that must not be fetched.
    fn sharded() -> Self {
        let scene = Self::empty();
        let index = format!(
            r#"{{"metadata":{{}},"weight_map":{{"a":"{}","b":"{}","c":"{}"}}}}"#,
            SHARDS[0], SHARDS[1], SHARDS[0]
        );
        scene
            .hub
            .add("config.json", r#"{"model_type":"qwen2"}"#, false);
        scene.hub.add("model.safetensors.index.json", index, false);
        scene.hub.add(SHARDS[0], shard(1), true);
        scene.hub.add(SHARDS[1], shard(2), true);
        scene.hub.add("tokenizer.json", "{}", false);
        scene.hub.add("generation_config.json", "{ }", false);
        scene
            .hub
            .add("chat_template.jinja", "{{ messages }}", false);
        for name in [
            "README.md",
            "modeling.py",
            "pytorch_model.bin",
            "consolidated.pt",
            "original/config.json",
        ] {
            scene
                .hub
                .add(name, format!("not wanted: {name}"), name.ends_with("bin"));
        }
        for name in [
            "../evil",
            "/tmp/tlora-evil",
            "../../config.json",
            "model-00003-of-00002.safetensors",
        ] {
            scene.hub.add(name, "hostile", false);
        }
        scene
    }

    fn empty() -> Self {
        let (hub, folder) = (Hub::start(), tempfile::tempdir().unwrap());
        let mut options = HubOptions::new(folder.path().join("hub"));
        options.endpoint.clone_from(&hub.endpoint);
        options.first_wait = Duration::from_millis(1);
        options.patience = Duration::from_secs(20);
        options.retries = 3;
        Self {
            hub,
            folder,
            options,
        }
    }

    fn resolve(&self, id: &str) -> Result<Resolved, HubError> {
        resolve(&HubId::parse(id).unwrap(), &self.options, &())
    }

    fn resolve_main(&self) -> Result<Resolved, HubError> {
        self.resolve(server::REPOSITORY)
    }

    fn offline(&self, id: &str) -> Result<Resolved, HubError> {
        let options = HubOptions {
            offline: true,
            ..self.options.clone()
        };
        resolve(&HubId::parse(id).unwrap(), &options, &())
    }

    fn model(&self) -> PathBuf {
        self.options.cache.join("models--org--tiny")
    }

    fn partial(&self) -> PathBuf {
        self.model()
            .join("blobs")
            .join(format!("{}.incomplete", server::sha256(&shard(1))))
    }

    /// Requests for the bytes of the first shard, at the storage.
    fn shard_requests(&self) -> Vec<wire::Request> {
        let path = format!("/{}", server::sha256(&shard(1)));
        self.hub
            .take_requests()
            .into_iter()
            .filter(|request| !request.on_hub && request.path.starts_with(&path))
            .collect()
    }
}

/// The bytes of a shard; two of a kind would hide a mix-up.
fn shard(number: u32) -> Vec<u8> {
    (0..300_000_u32)
        .flat_map(|i| (i * number).to_le_bytes())
        .collect()
}

/// The end of the storage's path for the first shard.
fn stored() -> &'static str {
    // The faults of a server live as long as the test.
    Box::leak(server::sha256(&shard(1)).into_boxed_str())
}

/// The files of a directory, with what is in them.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs_err::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl HubProgress for Told {
    fn resolved(&self, commit: &str) {
        self.note(format!("resolved {commit}"));
    }
    fn planned(&self, files: usize, bytes: u64) {
        self.note(format!("planned {files} files, {bytes} bytes"));
    }
    fn position(&self, file: &str, done: u64, size: u64) {
        if done == 0 || done == size {
            self.note(format!("{file} {done} of {size}"));
        }
    }
    fn finished(&self, file: &str) {
        self.note(format!("{file} finished"));
    }
    fn retrying(&self, what: &str, error: &dyn std::error::Error, _: Duration) {
        self.note(format!("{what} again: {error}"));
    }
}

#[test]
fn fetches_what_a_checkpoint_needs_and_nothing_else() {
    let scene = Scene::sharded();
    let resolved = scene.resolve_main().unwrap();
    assert_eq!(resolved.commit, server::COMMIT);
    let wanted = [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "model.safetensors.index.json",
    ];
    let files: BTreeMap<_, _> = scene
        .hub
        .state()
        .files
        .iter()
        .map(|(name, (bytes, _))| (name.clone(), bytes.clone()))
        .collect();
    let is_wanted =
        |name: &String| wanted.contains(&name.as_str()) || SHARDS.contains(&name.as_str());
    let expected: BTreeMap<_, _> = files
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .collect();
    assert_eq!(contents(&resolved.directory), expected);
}

#[test]
fn hostile_names_are_neither_asked_for_nor_written() {
    let scene = Scene::sharded();
    scene.resolve_main().unwrap();
    assert!(
        scene
            .hub
            .take_requests()
            .iter()
            .all(|request| !request.path.contains("evil"))
    );
    assert!(!Path::new("/tmp/tlora-evil").exists());
    assert_eq!(names(scene.folder.path()), ["hub"]);
    assert_eq!(names(&scene.model()), ["blobs", "refs", "snapshots"]);
    assert_eq!(names(&scene.options.cache), [".locks", "models--org--tiny"]);
}

#[test]
fn progress_tells_plan_positions_and_ends() {
    let scene = Scene::sharded();
    let told = Told::default();
    resolve(&HubId::parse("org/tiny").unwrap(), &scene.options, &told).unwrap();
    let told = told.0.into_inner().unwrap();
    assert_eq!(told[0], format!("resolved {}", server::COMMIT));
    let text = 2 + 3 + 14;
    assert!(
        told.contains(&format!("planned 5 files, {} bytes", 2 * 1_200_000 + text)),
        "{told:?}"
    );
    for shard in SHARDS {
        for step in ["0 of 1200000", "1200000 of 1200000", "finished"] {
            assert!(told.contains(&format!("{shard} {step}")), "{told:?}");
        }
    }
}

#[test]
fn the_token_stays_with_the_hub() {
    let mut scene = Scene::sharded();
    scene.hub.state().token = Some("hf_secret");
    scene.options.token = Token::parse("hf_secret", "the test").unwrap();
    scene.resolve_main().unwrap();
    let (hub, storage): (Vec<_>, Vec<_>) = scene
        .hub
        .take_requests()
        .into_iter()
        .partition(|request| request.on_hub);
    assert!(
        hub.iter()
            .all(|request| request.header("authorization") == Some("Bearer hf_secret"))
    );
    assert!(
        hub.iter()
            .any(|request| request.path == "/moved/tokenizer.json")
    );
    assert_eq!(storage.len(), 2);
    assert!(
        storage
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[test]
fn a_commit_is_used_as_it_is() {
    let scene = Scene::sharded();
    let resolved = scene
        .resolve(&format!("org/tiny@{}", server::COMMIT))
        .unwrap();
    assert_eq!(resolved.commit, server::COMMIT);
    assert!(!scene.model().join("refs").exists());
}

#[test]
fn another_commit_than_the_pinned_one_is_refused() {
    let scene = Scene::sharded();
    scene.hub.state().listed_commit = Some("f".repeat(40));
    let error = scene
        .resolve(&format!("org/tiny@{}", server::COMMIT))
        .unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error:?}");
}

#[test]
fn a_revision_with_a_slash_is_one_part_of_the_url() {
    let scene = Scene::sharded();
    scene.resolve("org/tiny@refs/pr/1").unwrap();
    let commit = fs_err::read_to_string(scene.model().join("refs/refs/pr/1")).unwrap();
    assert_eq!(commit, server::COMMIT);
}

#[test]
fn a_single_file_model_needs_no_index() {
    let scene = Scene::empty();
    scene.hub.add("config.json", "{}", false);
    scene.hub.add("model.safetensors", shard(1), true);
    let resolved = scene.resolve_main().unwrap();
    assert_eq!(
        contents(&resolved.directory)
            .into_keys()
            .collect::<Vec<_>>(),
        ["config.json", "model.safetensors"]
    );
}

#[test]
fn an_empty_file_is_a_file() {
    let scene = Scene::sharded();
    scene.hub.add("added_tokens.json", "", false);
    let resolved = scene.resolve_main().unwrap();
    assert_eq!(contents(&resolved.directory)["added_tokens.json"], b"");
}

#[test]
fn a_base_location_fetches_its_id() {
    let scene = Scene::sharded();
    let base = tlora_checkpoint::BaseLocation::parse("org/tiny@main")
        .unwrap()
        .fetch(&scene.options, &())
        .unwrap();
    assert_eq!(base.commit.as_deref(), Some(server::COMMIT));
    assert!(base.directory.join("config.json").is_file());
}
