//! Torch projections against numbers that torch itself drew; `torch_normals.py` made them.

use tlora_basis::{torch_projections, torch_seed};
use tlora_format::{Rounding, SeedRule};

#[test]
fn every_number_is_the_one_that_torch_drew() {
    let lines = include_str!("torch_normals.txt").lines();
    let mut count = 0;
    for line in lines {
        let [seed, u, rank, rounding, bits] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let rounding = match rounding {
            "bf16" => Rounding::Bf16,
            "f16" => Rounding::F16,
            _ => Rounding::None,
        };
        let (u, rank) = (u.parse().unwrap(), rank.parse().unwrap());
        let found: Vec<u64> = torch_projections(seed.parse().unwrap(), u, rank, rounding)
            .map(f64::to_bits)
            .collect();
        let expected: Vec<u64> = bits
            .split(',')
            .map(|hex| {
                let value = f32::from_bits(u32::from_str_radix(hex, 16).unwrap());
                f64::from(value).to_bits()
            })
            .collect();
        assert_eq!(found, expected, "{line}");
        count += expected.len();
    }
    assert!(count > 4_000, "only {count} numbers");
}

#[test]
fn a_modules_seed_follows_its_rule() {
    assert_eq!(torch_seed(42, SeedRule::PerModule, 7), 49);
    assert_eq!(torch_seed(u64::MAX, SeedRule::PerModule, 3), 2);
    assert_eq!(torch_seed(42, SeedRule::Shared, 7), 42);
}

#[test]
fn numbers_are_drawn_as_they_are_asked_for() {
    // 4 · 10⁹ values, of which three are looked at.
    let first: Vec<f64> = torch_projections(1, 65_535, 255, Rounding::None)
        .take(3)
        .collect();
    assert_eq!(first.len(), 3);
}
