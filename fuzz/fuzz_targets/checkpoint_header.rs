//! Any bytes are a safetensors file whose tensors fill it without gap or overlap, or an error.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use tempfile::TempDir;
use tlora_checkpoint::Checkpoint;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("there is a directory for temporary files"));

fn run(bytes: &[u8]) {
    let directory = DIRECTORY.path();
    tlora_fuzz::fs_err::write(directory.join("model.safetensors"), bytes).expect("the temporary directory can be written");
    let Ok(checkpoint) = Checkpoint::open(directory) else { return };
    let mut tensors: Vec<_> = checkpoint.tensors().values().collect();
    tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    let header = u64::from_le_bytes(*bytes.first_chunk().expect("C1: a file has at least 8 bytes"));
    let mut end = 8 + header;
    for tensor in tensors {
        assert_eq!(tensor.offset, end, "{} does not begin where the one before ends", tensor.name);
        end += tensor.bytes;
        let mut data = vec![0; usize::try_from(tensor.bytes).expect("the file is in memory")];
        checkpoint.read_at(tensor, 0, &mut data).expect("an accepted tensor can be read");
    }
    assert_eq!(end, bytes.len() as u64, "the tensors do not end with the file");
}

tlora_fuzz::target!(run);
