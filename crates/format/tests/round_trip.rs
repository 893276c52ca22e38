//! `parse` and `to_bytes` are each other's inverse, for arbitrary adapters and for arbitrary changes to their files.

use proptest::prelude::*;
use tlora_format::{Adapter, InvalidAdapter, layout, size_limit};

mod common;
use common::arbitrary::adapter_fields;
use common::with_checksum;

proptest! {
    #[test]
    fn what_is_written_is_read_again(fields in adapter_fields()) {
        let adapter = Adapter::new(fields.clone()).expect("the generator makes valid adapters");
        prop_assert_eq!(&*adapter, &fields);
        let bytes = adapter.to_bytes();
        prop_assert_eq!(Adapter::parse(&bytes), Ok(adapter.clone()));
        prop_assert_eq!(Adapter::read_from(&bytes[..]).expect("as parse"), adapter);
        prop_assert!(bytes.len() as u64 <= size_limit(&bytes).expect("a header"));
    }

    #[test]
    fn the_layout_covers_every_byte_once(fields in adapter_fields()) {
        let bytes = Adapter::new(fields).expect("the generator makes valid adapters").to_bytes();
        let mut end = 0;
        for field in layout(&bytes).expect("the file is valid") {
            prop_assert_eq!(field.offset, end);
            prop_assert!(field.length > 0);
            end += field.length;
        }
        prop_assert_eq!(end, bytes.len());
    }

    #[test]
    fn a_changed_file_is_rejected_or_says_something_else(
        fields in adapter_fields(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of((any::<prop::sample::Index>(), 0_usize..6)),
    ) {
        let adapter = Adapter::new(fields).expect("the generator makes valid adapters");
        let mut bytes = adapter.to_bytes();
        for (place, value) in edits {
            let index = place.index(bytes.len());
            bytes[index] = value;
        }
        if let Some((place, length)) = cut {
            let start = place.index(bytes.len());
            bytes.drain(start..bytes.len().min(start + length));
        }
        let bytes = with_checksum(bytes);
        if let Ok(read) = Adapter::parse(&bytes) {
            prop_assert_eq!(&read.to_bytes(), &bytes);
            prop_assert_eq!(bytes == adapter.to_bytes(), read == adapter);
        }
    }

    #[test]
    fn arbitrary_lengths_of_lists_are_errors_and_never_a_different_adapter(
        fields in adapter_fields(), longer in any::<bool>(), which in 0_u8..7,
    ) {
        let mut changed = fields.clone();
        let delta = |length: usize| if longer { length + 1 } else { length - 1 };
        match which {
            0 => changed.v.resize(delta(changed.v.len()), 1),
            1 => changed.module_count = changed.module_count.wrapping_add(1),
            2 => changed.group_count = changed.group_count.wrapping_sub(1),
            3 => if let Some(ranks) = &mut changed.module_ranks { ranks.resize(delta(ranks.len()), 1) },
            4 => if let Some(scales) = &mut changed.module_scales { scales.resize(delta(scales.len()), 2.0) },
            5 => if let Some(bits) = &mut changed.transposed { bits.resize(delta(bits.len()), true) },
            _ => if let Some(bits) = &mut changed.signs { bits.resize(delta(bits.len()), true) },
        }
        match Adapter::new(changed.clone()) {
            Ok(adapter) => prop_assert_eq!(Adapter::parse(&adapter.to_bytes()), Ok(adapter)),
            Err(error) => {
                prop_assert_ne!(&changed, &fields);
                prop_assert!(!matches!(error, InvalidAdapter::Ambiguous), "an error with no name");
            }
        }
    }
}
