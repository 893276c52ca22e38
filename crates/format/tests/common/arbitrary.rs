//! Arbitrary adapters in canonical form, over every enumeration and every section.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tlora_format::{
    AdapterFields, BaseDigest, BasisKind, Correction, Corrections, Factors, Precision,
    ProjectionKind, Rounding, STANDARD_TARGETS, SeedRule, SigmaSide, TargetModules, TextKey, Tying,
};

/// What the lengths of all lists follow from.
#[derive(Debug, Clone)]
struct Shape {
    rank: u8,
    u: u16,
    modules: u32,
    groups: u32,
    n_tie: u32,
    tying: Tying,
    module_ranks: Option<Vec<u8>>,
    basis: Kind,
    projection: Kind,
}

/// Which way a basis or a projection is given.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Exact, native.
    First,
    /// Rsvd, torch.
    Second,
    Standard,
    Explicit,
}

/// Any adapter with up to 20 modules.
pub fn adapter_fields() -> impl Strategy<Value = AdapterFields> {
    shape().prop_flat_map(fields)
}

fn shape() -> impl Strategy<Value = Shape> {
    let kinds = (
        select(vec![Kind::First, Kind::Second, Kind::Explicit]),
        select(KINDS.to_vec()),
    );
    let numbers = (1_u8..=9, 1_u16..=5, 1_u32..=20);
    (kinds, numbers, any::<bool>()).prop_flat_map(
        |((basis, projection), (rank, u, modules), ranks)| {
            let u = if projection == Kind::Standard {
                u16::from(rank) * u16::from(rank)
            } else {
                u
            };
            (tying(modules), module_ranks(rank, modules, ranks)).prop_map(
                move |((tying, groups, n_tie), module_ranks)| Shape {
                    rank,
                    u,
                    modules,
                    groups,
                    n_tie,
                    tying,
                    module_ranks,
                    basis,
                    projection,
                },
            )
        },
    )
}

const KINDS: [Kind; 4] = [Kind::First, Kind::Second, Kind::Standard, Kind::Explicit];

/// A scheme with G and n_tie.
fn tying(modules: u32) -> BoxedStrategy<(Tying, u32, u32)> {
    let one_group = Just((Tying::Tiled, 1, modules)).boxed();
    if modules < 3 {
        return one_group;
    }
    let runs = (1..modules).prop_flat_map(move |n_tie| (Just(n_tie), 2..=modules.div_ceil(n_tie)));
    let scheme = select(vec![Tying::Tiled, Tying::Structured]);
    let in_runs = (scheme, runs).prop_map(|(scheme, (n_tie, groups))| (scheme, groups, n_tie));
    let rest = vec(
        any::<u16>(),
        usize::try_from(modules - 3).expect("at most 17"),
    );
    let map = rest.prop_map(|rest| {
        // Groups that go down again are never tiled.
        let (mut map, mut groups) = (vec![0, 1, 0], 2);
        for draw in rest {
            let group = draw % (groups + 1);
            groups = groups.max(group + 1);
            map.push(group);
        }
        (Tying::Explicit(map), u32::from(groups), 0)
    });
    prop_oneof![one_group, in_runs, map].boxed()
}

/// No list, or one with both r and something less.
fn module_ranks(rank: u8, modules: u32, wanted: bool) -> BoxedStrategy<Option<Vec<u8>>> {
    if !wanted || rank == 1 || modules < 2 {
        return Just(None).boxed();
    }
    let less = 1..rank;
    let rest = vec(1..=rank, usize::try_from(modules - 2).expect("at most 18"));
    (less, rest)
        .prop_map(move |(less, rest)| Some([&[less, rank][..], &rest].concat()))
        .boxed()
}

fn fields(shape: Shape) -> impl Strategy<Value = AdapterFields> {
    let modules = usize::try_from(shape.modules).expect("at most 20");
    let v_length = usize::try_from(shape.groups * u32::from(shape.u)).expect("small");
    let v = precision()
        .prop_flat_map(move |precision| (Just(precision), patterns(precision, v_length)));
    let header = (
        v,
        sides(shape.basis),
        scale(),
        any::<[u8; 32]>(),
        any::<[u8; 8]>(),
    );
    let sections = (
        targets(&shape),
        proptest::option::of(some_different_scales(modules)),
        proptest::option::of(bits_with_one_set(vec![true; modules])),
        proptest::option::of(bits_with_one_set(sign_places(&shape))),
        btree_map(
            select(TEXT_KEYS.to_vec()),
            "[ -~\n\u{a1}-\u{2ff}]{1,20}",
            0..=5,
        ),
        btree_map(129_u8..=255, vec(any::<u8>(), 0..20), 0..3),
        corrections(),
    );
    (header, sections, basis(&shape), projection(&shape)).prop_map(
        move |(header, sections, basis, projection)| {
            let ((precision, v), (sigma_side, basis_rounding), scale, base, basis_check) = header;
            let (targets, module_scales, transposed, signs, text, unknown, corrections) = sections;
            let module_scales = module_scales.flatten();
            AdapterFields {
                precision,
                v,
                rank: shape.rank,
                u: shape.u,
                module_count: shape.modules,
                group_count: shape.groups,
                n_tie: shape.n_tie,
                tying: shape.tying.clone(),
                targets,
                sigma_side,
                basis,
                basis_rounding,
                projection,
                scale: if module_scales.is_some() { 1.0 } else { scale },
                base: BaseDigest(base),
                basis_check,
                module_ranks: shape.module_ranks.clone(),
                module_scales,
                transposed,
                signs: signs.filter(|bits| bits.contains(&true) && shape.basis != Kind::Explicit),
                corrections: if basis_rounding == Rounding::None {
                    Corrections::default()
                } else {
                    corrections
                },
                text,
                unknown,
            }
        },
    )
}

const TEXT_KEYS: [TextKey; 5] = [
    TextKey::Name,
    TextKey::Description,
    TextKey::Licence,
    TextKey::BaseModel,
    TextKey::TrainingSummary,
];

fn precision() -> impl Strategy<Value = Precision> {
    select(vec![Precision::F32, Precision::Bf16, Precision::F16])
}

/// Bit patterns that a file may hold.
fn patterns(precision: Precision, length: usize) -> impl Strategy<Value = Vec<u32>> {
    let (width, top_exponent_bit, sign) = match precision {
        Precision::F32 => (u32::MAX, 0x4000_0000, 0x8000_0000),
        Precision::Bf16 | Precision::F16 => (0xFFFF, 0x4000, 0x8000),
    };
    let finite = any::<u32>().prop_map(move |bits| bits & width & !top_exponent_bit);
    vec(
        finite.prop_map(move |bits| if bits == sign { 0 } else { bits }),
        length,
    )
}

fn sides(basis: Kind) -> BoxedStrategy<(SigmaSide, Rounding)> {
    if matches!(basis, Kind::Second | Kind::Explicit) {
        return Just((SigmaSide::Left, Rounding::None)).boxed();
    }
    let side = select(vec![SigmaSide::Left, SigmaSide::Right]);
    prop_oneof![
        side.prop_map(|side| (side, Rounding::None)),
        rounding().prop_map(|rounding| (SigmaSide::Split, rounding)),
    ]
    .boxed()
}

/// Corrections of up to ten entries, near and far.
fn corrections() -> impl Strategy<Value = Corrections> {
    let gap = prop_oneof![3 => 1_u64..300, 1 => 1_u64..1 << 59];
    let steps = prop_oneof![Just(1_i64), Just(-1), -300_i64..0, 1_i64..300];
    vec((gap, steps), 0..10).prop_map(|moves| {
        let mut end = 0;
        Corrections::new(moves.into_iter().map(|(gap, steps)| {
            end += gap;
            let entry = end - 1;
            Correction { entry, steps }
        }))
        .expect("the entries ascend")
    })
}

fn rounding() -> impl Strategy<Value = Rounding> {
    select(vec![Rounding::None, Rounding::Bf16, Rounding::F16])
}

fn scale() -> impl Strategy<Value = f32> {
    proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL
}

fn some_different_scales(modules: usize) -> impl Strategy<Value = Option<Vec<f32>>> {
    vec(scale(), modules)
        .prop_map(|scales| (scales.iter().any(|scale| *scale != scales[0])).then_some(scales))
}

/// Bits that may be set where `places` says so; the first such place is.
fn bits_with_one_set(places: Vec<bool>) -> impl Strategy<Value = Vec<bool>> {
    vec(any::<bool>(), places.len()).prop_map(move |bits| {
        let first = places.iter().position(|place| *place);
        let set = |(index, bit): (usize, bool)| places[index] && (bit || Some(index) == first);
        bits.into_iter().enumerate().map(set).collect()
    })
}

/// Columns 1 … r − 1 of each module; a column is beyond the rank of some.
fn sign_places(shape: &Shape) -> Vec<bool> {
    let modules = usize::try_from(shape.modules).expect("at most 20");
    let ranks = shape
        .module_ranks
        .clone()
        .unwrap_or_else(|| vec![shape.rank; modules]);
    ranks
        .iter()
        .flat_map(|&rank| (1..shape.rank).map(move |column| column < rank))
        .collect()
}

fn targets(shape: &Shape) -> BoxedStrategy<TargetModules> {
    let in_order = subsequence(STANDARD_TARGETS.to_vec(), 1..=7);
    let standard = in_order.prop_map(|names| names.iter().map(ToString::to_string).collect());
    let own = vec("[a-z_]{1,4}", 1..4).prop_map(|words| {
        let numbered = words.iter().enumerate();
        numbered
            .map(|(index, word)| format!("{word}.own{index}"))
            .chain(["q_proj".to_owned()])
            .collect()
    });
    let swapped = Just(vec!["o_proj".to_owned(), "k_proj".to_owned()]);
    let suffixes = prop_oneof![standard, own, swapped].prop_map(TargetModules::Suffixes);
    if shape.tying == Tying::Structured {
        return suffixes.boxed();
    }
    let names = (0..shape.modules)
        .rev()
        .map(|module| format!("model.layers.{module}.mlp"))
        .collect();
    prop_oneof![3 => suffixes, 1 => Just(TargetModules::Modules(names))].boxed()
}

fn basis(shape: &Shape) -> BoxedStrategy<BasisKind> {
    let ranks = shape.module_ranks.clone();
    let (rank, modules) = (shape.rank, shape.modules);
    match shape.basis {
        Kind::Explicit => precision()
            .prop_flat_map(move |precision| {
                let of_module =
                    |module: u32| ranks.as_ref().map_or(rank, |ranks| ranks[module as usize]);
                let pairs: Vec<_> = (0..modules)
                    .map(|module| pair(precision, of_module(module)))
                    .collect();
                pairs.prop_map(move |factors| BasisKind::Explicit { precision, factors })
            })
            .boxed(),
        Kind::Second => (any::<u32>(), 0_u16..=100, 0_u16..=100)
            .prop_map(|(seed, n_iter, oversample)| BasisKind::Rsvd {
                seed,
                n_iter,
                oversample,
            })
            .boxed(),
        Kind::First | Kind::Standard => Just(BasisKind::Exact).boxed(),
    }
}

fn pair(precision: Precision, rank: u8) -> impl Strategy<Value = Factors> {
    (1_u32..4, 1_u32..4).prop_flat_map(move |(out_features, in_features)| {
        let length = |size: u32| size as usize * usize::from(rank);
        (
            patterns(precision, length(out_features)),
            patterns(precision, length(in_features)),
        )
            .prop_map(move |(b, a)| Factors {
                out_features,
                in_features,
                b,
                a,
            })
    })
}

fn projection(shape: &Shape) -> BoxedStrategy<ProjectionKind> {
    let square = |rank: u8| usize::from(rank) * usize::from(rank);
    let once = square(shape.rank) * usize::from(shape.u);
    let ranks = shape.module_ranks.clone();
    let all = ranks
        .as_ref()
        .map_or(once * shape.modules as usize, |ranks| {
            ranks
                .iter()
                .map(|&rank| square(rank) * usize::from(shape.u))
                .sum()
        });
    match shape.projection {
        Kind::First => any::<u64>()
            .prop_map(|seed| ProjectionKind::Native { seed })
            .boxed(),
        Kind::Second => (
            any::<u64>(),
            select(vec![SeedRule::PerModule, SeedRule::Shared]),
            rounding(),
        )
            .prop_map(|(seed, seed_rule, rounding)| ProjectionKind::Torch {
                seed,
                seed_rule,
                rounding,
            })
            .boxed(),
        Kind::Standard => Just(ProjectionKind::Standard).boxed(),
        Kind::Explicit => (precision(), any::<bool>())
            .prop_flat_map(move |(precision, shared)| {
                let shared = shared && ranks.is_none();
                patterns(precision, if shared { once } else { all }).prop_map(move |values| {
                    ProjectionKind::Explicit {
                        precision,
                        shared,
                        values,
                    }
                })
            })
            .boxed(),
    }
}

/// A small adapter to start from: 13 bf16 values for 196 modules, as in the paper.
pub fn paper_fields() -> AdapterFields {
    AdapterFields {
        precision: Precision::Bf16,
        v: vec![0x3C00; 13],
        rank: 2,
        u: 1,
        module_count: 196,
        group_count: 13,
        n_tie: 15,
        tying: Tying::Tiled,
        targets: TargetModules::standard(),
        sigma_side: SigmaSide::Left,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: ProjectionKind::Native { seed: 42 },
        scale: 1.0,
        base: BaseDigest([7; 32]),
        basis_check: [9; 8],
        module_ranks: None,
        module_scales: None,
        transposed: None,
        signs: None,
        corrections: Corrections::default(),
        text: BTreeMap::new(),
        unknown: BTreeMap::new(),
    }
}
