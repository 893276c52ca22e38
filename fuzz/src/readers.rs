//! What must hold of any bytes, for each reader of bytes from elsewhere. The fuzz targets and `tests/mutations.rs` call
//! these.

use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, layout};
use tlora_provenance::{Bundle, Policy, PublicKey};

/// A key of the provenance crate's tests, which signed what is in the corpus.
const KEY: &str = include_str!("../../crates/provenance/tests/fixtures/keys/p256.pub");

/// An adapter that is written back as the same bytes, or an error.
pub fn adapter(bytes: &[u8]) {
    let Ok(adapter) = Adapter::parse(bytes) else {
        assert!(
            layout(bytes).is_err(),
            "a file that does not parse has a layout"
        );
        return;
    };
    assert_eq!(
        adapter.to_bytes(),
        bytes,
        "an accepted file is not canonical"
    );
    let fields = layout(bytes).expect("the file parses");
    let covered: usize = fields.iter().map(|field| field.length).sum();
    assert_eq!(covered, bytes.len(), "the layout does not cover the file");
}

/// A safetensors file whose tensors fill it without gap or overlap, or an error.
pub fn checkpoint(bytes: &[u8]) {
    thread_local! {
        static DIRECTORY: TempDir = tempfile::tempdir().expect("there is a directory for temporary files");
    }
    DIRECTORY.with(|directory| {
        write(&directory.path().join("model.safetensors"), bytes)
            .expect("the directory can be written");
        if let Ok(checkpoint) = Checkpoint::open(directory.path()) {
            is_covered(&checkpoint, bytes);
        }
    });
}

/// Writes a file again without truncating it first: file systems flush a file that is, which takes longer than all else.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

fn is_covered(checkpoint: &Checkpoint, bytes: &[u8]) {
    let mut tensors: Vec<_> = checkpoint.tensors().values().collect();
    tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    let header = u64::from_le_bytes(
        *bytes
            .first_chunk()
            .expect("C1: a file has at least 8 bytes"),
    );
    let mut end = 8 + header;
    for tensor in tensors {
        assert_eq!(
            tensor.offset, end,
            "{} does not begin where the one before ends",
            tensor.name
        );
        end += tensor.bytes;
        let mut data = vec![0; usize::try_from(tensor.bytes).expect("the file is in memory")];
        checkpoint
            .read_at(tensor, 0, &mut data)
            .expect("an accepted tensor can be read");
    }
    assert_eq!(
        end,
        bytes.len() as u64,
        "the tensors do not end with the file"
    );
}

/// A bundle, or an error; and what the key signed is one of the bundles of the corpus, however it is written.
pub fn bundle(bytes: &[u8]) {
    let key = PublicKey::from_pem(KEY).expect("a key");
    if let Ok(bundle) = Bundle::parse(bytes)
        && let Ok(verified) = bundle.verify_with_key(&key)
    {
        let known = [
            "https://example.com/predicate/v1",
            "https://model_signing/signature/v1.0",
        ];
        let found = verified.statement().predicate_type.as_str();
        assert!(known.contains(&found), "the key never signed {found}");
    }
    let lines = Bundle::parse_lines(bytes).map(|lines| lines.bundles.len());
    let most = bytes.split(|&byte| byte == b'\n').count();
    assert!(lines.unwrap_or(0) <= most, "more bundles than lines");
}

/// A policy, the same however often it is read, or an error. No key is read that the text does not name.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let read = || {
        Policy::parse(text, &mut |path: &Path| {
            let name = path.to_str().expect("the text is UTF-8");
            assert!(!name.is_empty(), "a key without a name was read");
            Ok(KEY.as_bytes().to_vec())
        })
    };
    if let (Ok(first), Ok(second)) = (read(), read()) {
        assert_eq!(
            format!("{first:?}"),
            format!("{second:?}"),
            "two readings differ"
        );
    }
}
