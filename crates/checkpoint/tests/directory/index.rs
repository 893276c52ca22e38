//! Sharded checkpoints: the index decides, and must be right.

use tlora_checkpoint::{CheckpointError, IndexError};

use crate::model::{Model, Tensor, message, tensors, two};

const INDEX: &str = "model.safetensors.index.json";

/// The two tensors in two shards, under an index with this weight map.
fn sharded(weight_map: &str) -> Model {
    let [b, a] = two();
    let index = format!(r#"{{"metadata":{{"total_size":20}},"weight_map":{weight_map}}}"#);
    Model::with(&[
        ("1.safetensors", &tensors(&[b])),
        ("2.safetensors", &tensors(&[a])),
        (INDEX, index.as_bytes()),
    ])
}

fn fault(model: &Model) -> IndexError {
    match model.try_open() {
        Err(CheckpointError::Index { fault, .. }) => fault,
        other => panic!("wanted an error of the index, found {other:?}"),
    }
}

const RIGHT: &str = r#"{"b.weight":"1.safetensors","a":"2.safetensors"}"#;

#[test]
fn finds_each_tensor_in_its_shard() {
    let checkpoint = sharded(RIGHT).open();
    assert!(checkpoint.has_index());
    let shard_of = |name: &str| checkpoint.shards()[checkpoint.tensors()[name].shard].name();
    assert_eq!(
        (shard_of("b.weight"), shard_of("a")),
        ("1.safetensors", "2.safetensors")
    );
    let mut bytes = [0; 8];
    checkpoint
        .read_at(&checkpoint.tensors()["a"], 0, &mut bytes)
        .expect("8 bytes");
    assert_eq!(bytes, [100, 101, 102, 103, 104, 105, 106, 107]);
}

#[test]
fn other_safetensors_files_do_not_count() {
    let model = sharded(RIGHT);
    model.write("consolidated.safetensors", b"not even valid");
    model.write("model.safetensors", b"nor this");
    assert_eq!(model.open().tensors().len(), 2);
}

#[test]
fn a_tensor_in_another_shard_than_named_is_missing() {
    let swapped = sharded(r#"{"a":"1.safetensors","b.weight":"2.safetensors"}"#);
    assert!(matches!(fault(&swapped), IndexError::Missing { tensor, .. } if tensor == "a"));
    let unknown =
        sharded(r#"{"b.weight":"1.safetensors","a":"2.safetensors","c":"2.safetensors"}"#);
    assert!(matches!(fault(&unknown), IndexError::Missing { tensor, .. } if tensor == "c"));
}

#[test]
fn a_tensor_that_the_index_lacks_is_extra() {
    let model = sharded(RIGHT);
    let [b, a] = two();
    let c: Tensor<'_> = ("c", "U8", &[1], vec![7]);
    model.write("2.safetensors", &tensors(&[a, c]));
    model.write("1.safetensors", &tensors(&[b]));
    assert!(
        matches!(fault(&model), IndexError::Extra { tensor, shard } if tensor == "c" && shard == "2.safetensors")
    );
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let model = sharded(RIGHT);
    model.write("2.safetensors", &tensors(&two()));
    assert!(matches!(fault(&model), IndexError::Double { tensor, .. } if tensor == "b.weight"));
}

#[test]
fn shard_names_stay_in_the_directory() {
    let outside = Model::of(&two());
    let absolute = outside.file("model.safetensors");
    for name in [
        "../1.safetensors",
        "sub/1.safetensors",
        r"..\\1.safetensors",
        ".",
        "..",
        "",
        r"1\u0000",
        absolute.to_str().expect("UTF-8"),
    ] {
        let model = sharded(&format!(r#"{{"a":"{name}"}}"#));
        assert!(matches!(fault(&model), IndexError::ShardName(_)), "{name}");
    }
}

#[test]
fn an_index_is_an_object_without_repeated_names() {
    let twice = sharded(r#"{"a":"1.safetensors","a":"2.safetensors"}"#);
    assert!(message(&fault(&twice)).contains(r#"tensor "a" occurs twice"#));
    for weight_map in ["[]", r#"{"a":1}"#, "null"] {
        assert!(
            matches!(fault(&sharded(weight_map)), IndexError::Json(_)),
            "{weight_map}"
        );
    }
    assert!(matches!(fault(&sharded("{}")), IndexError::Empty));
    assert!(matches!(
        fault(&sharded(r#"{},"weight_map":{}"#)),
        IndexError::Json(_)
    ));
}

#[test]
fn a_missing_shard_is_named() {
    let model = sharded(RIGHT);
    fs_err::remove_file(model.file("2.safetensors")).expect("the shard");
    assert!(message(&model.try_open().expect_err("no shard")).contains("2.safetensors"));
}

#[test]
fn an_empty_directory_has_no_weights() {
    let model = Model::with(&[("config.json", b"{}")]);
    assert!(matches!(
        model.try_open(),
        Err(CheckpointError::NoWeights(_))
    ));
    let file = tlora_checkpoint::Checkpoint::open(model.file("config.json"));
    assert!(matches!(file, Err(CheckpointError::NotADirectory(_))));
}
