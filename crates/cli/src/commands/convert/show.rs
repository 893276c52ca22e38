//! A conversion for people.

use std::io::{self, Write};

use tlora_convert::{
    BasisOrigin, BasisReport, Converted, Note, ProjectionOrigin, ProjectionReport, SourceKind,
    SourceReport,
};

use crate::commands::init::counted;
use crate::escape::Untrusted;
use crate::terminal::warn;

/// Warns about what a user would not expect.
pub(super) fn warn_about(notes: &[Note]) {
    for note in notes {
        match note {
            Note::FactorsEmbedded { module } => warn(format_args!(
                "the factors are in the file: those of {} could not be rebuilt from the base",
                Untrusted(module)
            )),
            Note::ProjectionsNotStored => warn(format_args!(
                "the checkpoint does not have its projections: they were drawn from its seed, and not compared"
            )),
            Note::ProjectionsEmbedded => warn(format_args!(
                "the projections are in the file: no seed that could have drawn them gives them bit for bit"
            )),
            Note::Ignored { tensor } => warn(format_args!(
                "{} was left out: it is the base's own",
                Untrusted(tensor)
            )),
            _ => {}
        }
    }
}

pub(super) fn report(out: &mut dyn Write, converted: &Converted) -> io::Result<()> {
    let report = &converted.report;
    writeln!(out, "source            {}", source(&report.source))?;
    writeln!(out, "basis             {}", basis(&report.basis))?;
    writeln!(
        out,
        "projections       {}",
        projections(&report.projections)
    )?;
    let (limit, largest) = (report.residual.limit, &report.residual.largest);
    let module = Untrusted(&largest.name);
    writeln!(
        out,
        "largest residual  {:.1e} in {module}; at most {limit:.1e} is allowed",
        largest.residual
    )?;
    let with_rounding = report
        .residual
        .modules
        .iter()
        .filter_map(|module| module.residual_with_rounding_of_v);
    if let Some(largest) = with_rounding.max_by(f64::total_cmp) {
        writeln!(out, "with rounded v    {largest:.1e}")?;
    }
    Ok(())
}

fn source(source: &SourceReport) -> String {
    let kind = match source.kind {
        SourceKind::PeftTinylora => "PEFT TinyLoRA",
        SourceKind::LoraXs => "LoRA-XS",
        _ => "an adapter",
    };
    let version = source
        .peft_version
        .as_ref()
        .map(|version| format!(" of peft {}", Untrusted(version)));
    format!(
        "{kind}{}, {} bytes",
        version.unwrap_or_default(),
        source.bytes
    )
}

fn basis(basis: &BasisReport) -> String {
    let kind = match basis.kind {
        BasisOrigin::Exact => "exact",
        BasisOrigin::Rsvd => "randomised SVD of scikit-learn",
        BasisOrigin::Explicit => "in the file",
        _ => "other",
    };
    let rounding = match basis.rounding {
        "none" => String::new(),
        rounding => format!(", rounded to {rounding}"),
    };
    let mut text = format!("{kind}{rounding}");
    if basis.negated_columns > 0 {
        text += &format!(", {}", counted(basis.negated_columns, "negated column"));
    }
    if basis.corrected_entries > 0 {
        let corrections = counted(basis.corrected_entries, "correction");
        text += &format!(", {corrections} in {} bytes", basis.correction_bytes);
    }
    text
}

fn projections(projections: &ProjectionReport) -> String {
    let kind = match projections.kind {
        ProjectionOrigin::TorchPerModule => "torch, a seed for each module",
        ProjectionOrigin::TorchShared => "torch, one seed for all modules",
        ProjectionOrigin::Standard => "standard: R is trained itself",
        ProjectionOrigin::Explicit => "in the file",
        _ => "other",
    };
    let seed = projections
        .seed
        .map(|seed| format!(" from {seed} on"))
        .filter(|_| projections.kind == ProjectionOrigin::TorchPerModule);
    let seed = seed
        .or_else(|| projections.seed.map(|seed| format!(", {seed}")))
        .unwrap_or_default();
    let compared = if projections.compared {
        ", equal to the stored ones"
    } else {
        ""
    };
    format!("{kind}{seed}{compared}")
}
