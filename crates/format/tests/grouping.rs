//! Which module is in which group (spec §5.3). The expected groups are written out or follow from the paper.
#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]

use std::num::NonZeroU32;

use tlora_format::{
    Adapter, AdapterFields, Grouping, Tying, groups, paper_grouping, peft_grouping,
};

mod common;
use common::arbitrary::paper_fields;

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("tests use counts from 1")
}

fn adapter(modules: u32, grouping: Grouping, tying: Tying) -> Adapter {
    let Grouping { group_count, n_tie } = grouping;
    let fields = paper_fields();
    let v = vec![1; usize::try_from(group_count).expect("small")];
    Adapter::new(AdapterFields {
        module_count: modules,
        group_count,
        n_tie,
        tying,
        v,
        ..fields
    })
    .expect("valid")
}

/// Positions of the targets when every layer has all of `targets`, layer by layer.
fn layers(layers: usize, targets: usize) -> Vec<usize> {
    (0..layers * targets)
        .map(|module| module % targets)
        .collect()
}

#[test]
fn the_papers_196_modules_are_13_groups_the_last_of_16() {
    let grouping = paper_grouping(count(196), count(15));
    assert_eq!(
        grouping,
        Grouping {
            group_count: 13,
            n_tie: 15
        }
    );
    let found =
        groups(&adapter(196, grouping, Tying::Tiled), &layers(28, 7)).expect("196 positions");
    assert_eq!(
        (
            found[0], found[14], found[15], found[179], found[180], found[195]
        ),
        (0, 0, 1, 11, 12, 12)
    );
    assert_eq!(found.iter().filter(|&&group| group == 12).count(), 16);
}

#[test]
fn a_tie_count_beyond_half_the_modules_makes_one_group_of_all() {
    for n_tie in [99, 196, 1000] {
        assert_eq!(
            paper_grouping(count(196), count(n_tie)),
            Grouping {
                group_count: 1,
                n_tie: 196
            }
        );
    }
    assert_eq!(paper_grouping(count(196), count(98)).group_count, 2);
    assert_eq!(
        paper_grouping(count(1), count(1)),
        Grouping {
            group_count: 1,
            n_tie: 1
        }
    );
}

#[test]
fn pefts_rule_divides_by_the_groups() {
    assert_eq!(
        peft_grouping(count(196), count(13)),
        Grouping {
            group_count: 13,
            n_tie: 15
        }
    );
    assert_eq!(
        peft_grouping(count(7), count(4)),
        Grouping {
            group_count: 4,
            n_tie: 1
        }
    );
    assert_eq!(
        peft_grouping(count(3), count(9)),
        Grouping {
            group_count: 3,
            n_tie: 1
        }
    );
    let found = groups(
        &adapter(7, peft_grouping(count(7), count(4)), Tying::Tiled),
        &layers(1, 7),
    );
    assert_eq!(found.expect("7 positions"), [0, 1, 2, 3, 3, 3, 3]);
}

#[test]
fn every_grouping_of_both_rules_makes_a_valid_adapter() {
    for modules in 1..=24 {
        for number in 1..=30 {
            for grouping in [
                paper_grouping(count(modules), count(number)),
                peft_grouping(count(modules), count(number)),
            ] {
                let size = usize::try_from(modules).expect("small");
                let found = groups(&adapter(modules, grouping, Tying::Tiled), &vec![0; size])
                    .expect("all positions");
                let last = grouping.group_count - 1;
                assert_eq!(
                    found.last(),
                    Some(&last),
                    "{modules} modules, {grouping:?}: the last group has a module"
                );
            }
        }
    }
}

#[test]
fn structured_tying_sorts_by_target_first() {
    let halves = Grouping {
        group_count: 2,
        n_tie: 3,
    };
    // Three layers of two targets: all of target 0 are in group 0, all of target 1 in group 1.
    let found = groups(&adapter(6, halves, Tying::Structured), &[0, 1, 0, 1, 0, 1]);
    assert_eq!(found.expect("6 positions"), [0, 1, 0, 1, 0, 1]);
    // The position is what sorts, not the order of appearance; equal ones stay in module order.
    let thirds = Grouping {
        group_count: 3,
        n_tie: 2,
    };
    let found = groups(&adapter(6, thirds, Tying::Structured), &[2, 2, 0, 0, 0, 1]);
    assert_eq!(found.expect("6 positions"), [2, 2, 0, 0, 1, 1]);
}

#[test]
fn a_map_is_used_as_it_stands() {
    let map = Tying::Explicit(vec![0, 1, 0, 2]);
    let found = groups(
        &adapter(
            4,
            Grouping {
                group_count: 3,
                n_tie: 0,
            },
            map,
        ),
        &[9, 9, 9, 9],
    );
    assert_eq!(found.expect("4 positions"), [0, 1, 0, 2]);
}

#[test]
fn refuses_a_base_with_another_number_of_modules() {
    let adapter = adapter(
        6,
        Grouping {
            group_count: 2,
            n_tie: 3,
        },
        Tying::Tiled,
    );
    let error = groups(&adapter, &[0; 5]).expect_err("one is missing");
    assert_eq!(error.to_string(), "5 modules were given; the adapter has 6");
}
