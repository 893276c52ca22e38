//! The bytes of merged shards and of their index (spec §10).

use std::collections::BTreeMap;

use tlora_checkpoint::{Dtype, LayoutError, ShardLayout, index_json};

use crate::model::{Model, file};

#[test]
fn a_header_is_that_of_the_specification() {
    let layout = ShardLayout::new([
        ("b", Dtype::Bf16, &[2, 3][..]),
        ("z", Dtype::F32, &[]),
        ("a\"\\é\u{2028}/", Dtype::Bf16, &[0]),
    ]);
    let layout = layout.expect("small tensors");
    let mut header =
        r#"{"__metadata__":{"format":"pt"},"z":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
            .to_owned();
    header.push_str(
        "\"a\\\"\\\\é\u{2028}/\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[4,4]},",
    );
    header.push_str(r#""b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]}}"#);
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    assert_eq!(layout.header(), file(&header, &[]));
    let data = layout.header().len() as u64;
    assert_eq!(
        (
            layout.slots()["b"].offset,
            layout.slots()["b"].bytes,
            layout.file_len()
        ),
        (data + 4, 12, data + 16)
    );
}

#[test]
fn what_is_laid_out_can_be_read_back() {
    let tensors = [
        ("q\"\\.weight", Dtype::Bf16, &[2, 3][..]),
        ("é", Dtype::I64, &[2]),
        ("c", Dtype::Bool, &[3]),
        ("d", Dtype::F32, &[]),
    ];
    let layout = ShardLayout::new(tensors).expect("small tensors");
    let data = vec![0; usize::try_from(layout.file_len()).expect("small") - layout.header().len()];
    let checkpoint =
        Model::with(&[("model.safetensors", &[layout.header(), &data].concat())]).open();
    assert_eq!(checkpoint.tensors().len(), 4);
    for (name, dtype, shape) in tensors {
        let (tensor, slot) = (&checkpoint.tensors()[name], layout.slots()[name]);
        assert_eq!((tensor.dtype, tensor.shape.as_slice()), (dtype, shape));
        assert_eq!((tensor.offset, tensor.bytes), (slot.offset, slot.bytes));
    }
}

#[test]
fn the_order_given_does_not_matter() {
    let mut tensors = [
        ("a", Dtype::F32, &[1][..]),
        ("b", Dtype::F16, &[1]),
        ("c", Dtype::I32, &[1]),
    ];
    let one = ShardLayout::new(tensors);
    tensors.reverse();
    assert_eq!(one, ShardLayout::new(tensors));
}

#[test]
fn refuses_what_could_not_be_read_back() {
    let of = |name, shape| ShardLayout::new([(name, Dtype::F32, shape)]).expect_err("a bad tensor");
    let long = "x".repeat(513);
    for name in ["", "__metadata__", "a\n", &long] {
        assert_eq!(of(name, &[1]), LayoutError::Name(name.to_owned()));
    }
    for shape in [&[u64::MAX][..], &[1 << 62], &[1; 9], &[0, 1 << 62]] {
        assert!(
            matches!(of("a", shape), LayoutError::Size { .. }),
            "{shape:?}"
        );
    }
    let twice = ShardLayout::new([("a", Dtype::F32, &[1][..]), ("a", Dtype::F16, &[1])]);
    assert_eq!(twice, Err(LayoutError::Duplicate("a".to_owned())));
    let sum = ShardLayout::new([
        ("a", Dtype::U8, &[1 << 62][..]),
        ("b", Dtype::U8, &[1 << 62]),
    ]);
    assert!(matches!(sum, Err(LayoutError::Size { name, .. }) if name == "b"));
}

#[test]
fn an_index_is_sorted_by_tensor() {
    let map: BTreeMap<_, _> = [("b", "2.safetensors"), ("a", "1.safetensors")]
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .into();
    let wanted = "{\n  \"metadata\": {\n    \"total_size\": 20\n  },\n  \"weight_map\": {\n    \"a\": \"1.safetensors\",\n    \"b\": \"2.safetensors\"\n  }\n}\n";
    assert_eq!(
        String::from_utf8(index_json(&map, 20)),
        Ok(wanted.to_owned())
    );
}
