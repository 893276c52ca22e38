//! An adapter as PEFT's TinyLoRA: B = UΣ^½, A = Σ^½·Vᵀ, the projections, and v by group.

use tlora_basis::Basis;
use tlora_format::{Adapter, SigmaSide};
use tlora_rebuild::{Prepared, RebuildError};

use super::factors::{Values, heightened, transposed, widened};
use super::names::Placed;
use super::write::Tensor;

/// A, B and P of a module, with the rank that PEFT gives it.
pub(super) fn tensors(placed: &Placed<'_>, u: u16, rank: usize) -> [Tensor; 3] {
    let (rows, columns) = placed.sides(placed.layer.turns_tinylora());
    [
        placed.tensor("tinylora_A", &[rank, columns]),
        placed.tensor("tinylora_B", &[rows, rank]),
        placed.tensor("tinylora_P", &[usize::from(u), rank, rank]),
    ]
}

/// The vector of one of PEFT's groups.
pub(super) fn vector(group: usize, u: u16) -> Tensor {
    Tensor::new(format!("base_model.tinylora_v.{group}"), &[usize::from(u)])
}

/// The values of A, B and P, with zeros up to `rank`.
///
/// # Errors
/// The weight cannot be read or has no such basis.
pub(super) fn values<'a>(
    prepared: &'a Prepared<'_>,
    placed: &Placed<'a>,
    rank: usize,
) -> Result<[Values<'a>; 3], RebuildError> {
    let module = placed.module;
    let factors = prepared.factors(0, module, SigmaSide::Split)?.into_owned();
    let (own, columns) = (factors.rank, factors.columns);
    let (mut b, mut a) = (factors.b, factors.a);
    for (column, negated) in module.negated.iter().enumerate() {
        if *negated {
            b.iter_mut().skip(column).step_by(own).for_each(negate);
            let row = column * columns..(column + 1) * columns;
            a[row].iter_mut().for_each(negate);
        }
    }
    let turned = placed.is_turned(placed.layer.turns_tinylora());
    if turned {
        // (B·R·A)ᵀ = Aᵀ·Rᵀ·Bᵀ.
        (a, b) = (transposed(&b, own), transposed(&a, columns));
    }
    let length = a.len() / own.max(1);
    let p = projections(
        &prepared.adapters[0],
        placed,
        prepared.exact_basis(0, module),
        turned,
        rank,
    );
    Ok([heightened(a, length, rank), widened(b, own, rank), p])
}

fn negate(x: &mut f64) {
    *x = -*x;
}

/// P as PEFT wants it: with the scale, and with Σ^(a − ½) and Σ^(b − ½) around it, since PEFT's Σ is split.
fn projections<'a>(
    adapter: &'a Adapter,
    placed: &Placed<'a>,
    basis: Option<&Basis>,
    turned: bool,
    rank: usize,
) -> Values<'a> {
    let module = placed.module;
    let own = module.weight.rank;
    let roots: Vec<f64> = match basis {
        Some(basis) => basis.sigma.iter().map(|sigma| sigma.sqrt()).collect(),
        None => vec![1.0; own],
    };
    let (side, scale) = (adapter.sigma_side, f64::from(module.scale));
    let entry = move |j: usize, k: usize, p: f64| {
        let (left, right) = (roots[j], roots[k]);
        match side {
            _ if left == 0.0 || right == 0.0 => 0.0,
            SigmaSide::Left => scale * (p * left / right),
            SigmaSide::Split => scale * p,
            SigmaSide::Right => scale * (p / left * right),
        }
    };
    let mut values = module.projections(adapter);
    let matrices = (0..adapter.u).flat_map(move |_| {
        let p: Vec<f64> = values.by_ref().take(own * own).collect();
        let rows = p.chunks_exact(own.max(1)).enumerate();
        let scaled = rows.flat_map(|(j, row)| row.iter().enumerate().map(move |(k, &p)| (j, k, p)));
        let scaled: Vec<f64> = scaled.map(|(j, k, p)| entry(j, k, p)).collect();
        let scaled = if turned {
            transposed(&scaled, own)
        } else {
            scaled
        };
        let wide: Vec<f64> = widened(scaled, own, rank).collect();
        heightened(wide, rank, rank)
    });
    Box::new(matrices)
}
