//! Merged checkpoints: only what a server survives is sent, and it always goes on.

use std::path::Path;

use fs_err as fs;
use serde_json::json;
use tempfile::TempDir;
use tlora_vllm::{Fleet, MergedDirectory, Need, SyncError, SyncPath, Version};

use crate::given::{all, need, prompts, sampling, settings};
use crate::mock::{Mock, Setup};

/// A checkpoint of f32 vectors with such names and lengths.
fn checkpoint(tensors: &[(&str, u64)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.json"), "{}").unwrap();
    safetensors(&directory.path().join("model.safetensors"), tensors);
    directory
}

fn safetensors(path: &Path, tensors: &[(&str, u64)]) {
    let (mut header, mut end) = (json!({"__metadata__": {"format": "pt"}}), 0);
    for (name, length) in tensors {
        header[name] =
            json!({"dtype": "F32", "shape": [length], "data_offsets": [end, end + length * 4]});
        end += length * 4;
    }
    let header = header.to_string();
    let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; usize::try_from(end).unwrap()]);
    fs::write(path, bytes).unwrap();
}

fn developer() -> Setup {
    Setup {
        lora: false,
        developer: true,
        ..Setup::default()
    }
}

fn fleet(mocks: &[&Mock]) -> Fleet {
    let need = Need {
        merged: true,
        ..need()
    };
    Fleet::connect(&settings(mocks), &need).unwrap().0
}

#[test]
fn a_directory_has_the_tensors_of_the_base() {
    let base = checkpoint(&[("gate", 2), ("up", 3)]);
    let verify = |directory: &TempDir| {
        MergedDirectory::verify(directory.path(), base.path()).map_err(|error| error.to_string())
    };
    verify(&checkpoint(&[("gate", 2), ("up", 3)])).unwrap();
    for tensors in [
        &[("gate", 2)][..],
        &[("gate", 2), ("up", 4)],
        &[("gate", 2), ("more", 1), ("up", 3)],
    ] {
        let text = verify(&checkpoint(tensors)).unwrap_err();
        assert!(text.contains(", the base has "), "{text}");
    }
    let extra = checkpoint(&[("gate", 2), ("up", 3)]);
    safetensors(
        &extra.path().join("adapter_model.safetensors"),
        &[("lora", 1)],
    );
    assert!(
        verify(&extra)
            .unwrap_err()
            .contains("has Some([1]) for lora, the base has None")
    );
    let cut = checkpoint(&[("gate", 2), ("up", 3)]);
    let file = cut.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    for (length, reason) in [
        (4, "it is shorter than 8 bytes"),
        (40, "its header is longer"),
        (bytes.len() - 1, "it is longer or shorter"),
    ] {
        fs::write(&file, &bytes[..length]).unwrap();
        assert!(verify(&cut).unwrap_err().contains(reason));
    }
    let shards = checkpoint(&[("gate", 2), ("up", 3)]);
    let index = json!({"weight_map": {"gate": "model.safetensors", "up": "gone.safetensors"}});
    fs::write(
        shards.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    assert!(verify(&shards).unwrap_err().ends_with("do not fit: up"));
    fs::write(shards.path().join("config.json"), "[]").unwrap();
    assert!(
        verify(&shards)
            .unwrap_err()
            .ends_with("is no configuration of a model")
    );
}

#[test]
fn a_checkpoint_takes_the_place_of_the_base() {
    let (a, b) = (Mock::new(developer()), Mock::new(developer()));
    let mut fleet = fleet(&[&a, &b]);
    assert_eq!(fleet.path(), SyncPath::Merged);
    let base = checkpoint(&[("gate", 2)]);
    let directory = MergedDirectory::verify(base.path(), base.path()).unwrap();
    fleet.reload(1, &directory).unwrap();
    let wanted = json!({"method": "reload_weights", "kwargs": {"weights_path": directory.path()}});
    assert_eq!(b.asked("/collective_rpc"), [wanted]);
    for path in ["/pause?mode=keep", "/reset_prefix_cache", "/resume"] {
        assert_eq!(a.asked(path).len(), 1, "{path}");
    }
    let prompts = prompts(4, 2);
    let generated = fleet
        .generate(&prompts, &sampling(), Version::Step(1), &mut |_, _| {})
        .unwrap();
    assert_eq!(generated.samples, all(&prompts));
    // The base is not there any more.
    fleet
        .generate(&prompts, &sampling(), Version::Base, &mut |_, _| {})
        .unwrap_err();
    let wrong = fleet.publish(2, base.path()).unwrap_err();
    assert!(matches!(
        wrong,
        SyncError::Path {
            path: SyncPath::Merged
        }
    ));
}

#[test]
fn a_server_that_refuses_is_resumed_and_not_used() {
    let (a, b) = (Mock::new(developer()), Mock::new(developer()));
    let mut fleet = fleet(&[&a, &b]);
    let base = checkpoint(&[("gate", 2)]);
    let directory = MergedDirectory::verify(base.path(), base.path()).unwrap();
    b.setup.lock().unwrap().refuses = Some((500, "reload failed"));
    let error = fleet.reload(1, &directory).unwrap_err();
    assert!(matches!(error, SyncError::Refused { .. }), "{error}");
    assert_eq!(
        (fleet.current(), b.asked("/resume").len()),
        (Version::Base, 1)
    );
    b.setup.lock().unwrap().refuses = None;
    let published = fleet.reload(1, &directory).unwrap();
    assert_eq!(published.servers, 2);
}
