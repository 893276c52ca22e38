//! The one form of fields that could say the same in several ways.

use crate::modules::{all_equal, tiled_n_tie};
use crate::{AdapterFields, BasisKind, Precision, ProjectionKind, Tying};

/// Brings fields into the form that the file wants, without a change of what they mean. Wrong fields stay wrong.
pub(crate) fn canonicalize(fields: &mut AdapterFields) {
    drop_negative_zeros(fields);
    fields
        .module_ranks
        .take_if(|ranks| all_equal(ranks) == Some(&fields.rank));
    if let Some(scale) = fields.module_scales.as_deref().and_then(all_equal).copied() {
        fields.scale = scale;
        fields.module_scales = None;
    }
    fields.transposed.take_if(|bits| !bits.contains(&true));
    fields.signs.take_if(|bits| !bits.contains(&true));
    if let Tying::Explicit(map) = &fields.tying
        && map
            .iter()
            .max()
            .map(|&last| u32::from(last).saturating_add(1))
            == Some(fields.group_count)
        && let Some(n_tie) = tiled_n_tie(map, fields.group_count)
        && fields.n_tie == 0
    {
        fields.n_tie = n_tie;
        fields.tying = Tying::Tiled;
    }
}

fn drop_negative_zeros(fields: &mut AdapterFields) {
    positive_zeros(fields.precision, &mut fields.v);
    if let BasisKind::Explicit { precision, factors } = &mut fields.basis {
        for pair in factors {
            positive_zeros(*precision, &mut pair.b);
            positive_zeros(*precision, &mut pair.a);
        }
    }
    if let ProjectionKind::Explicit {
        precision, values, ..
    } = &mut fields.projection
    {
        positive_zeros(*precision, values);
    }
}

fn positive_zeros(precision: Precision, patterns: &mut [u32]) {
    for bits in patterns {
        *bits = precision.positive_zero(*bits);
    }
}
