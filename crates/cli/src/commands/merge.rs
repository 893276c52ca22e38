//! `tlora merge`.

mod gate;

use std::io::{self, Write};

use tlora_checkpoint::{Companions, LeftOut};
use tlora_merge::{Merged, RECORD, Strength, merge, merge_approved};

use crate::arguments::{DtypeOption, MergeOptions};
use crate::environment::{Environment, warn_about};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::Subject;
use crate::failure::Failure;
use crate::table::strengths;
use crate::terminal::{note, print, print_json, warn};
use crate::{adapter_file, base};

/// The share of the update that has to survive rounding for nothing to be said.
const KEPT_ENOUGH: f64 = 0.95;

pub(crate) fn run(options: &MergeOptions) -> Result<Exit, Failure> {
    // The same bytes are judged and merged.
    let (adapters, approval) = match &options.trust.policy {
        Some(policy) => {
            gate::approve(options, policy).map(|(adapters, approval)| (adapters, Some(approval)))?
        }
        None => (adapter_file::read_all(&options.adapters)?, None),
    };
    let environment = Environment::new(&options.cache, &options.run)?;
    let base = options.base.base.as_str();
    let checkpoint = base::open(base, &environment.bar)?;
    let how = tlora_merge::MergeOptions {
        dtype: options.dtype.map(Into::into),
        force: options.force,
    };
    let (output, run) = (&options.output, environment.run());
    let merged = match &approval {
        Some(approval) => merge_approved(&checkpoint, &adapters, output, &how, approval, &run),
        None => merge(&checkpoint, &adapters, output, &how, &run),
    };
    let merged = merged.map_err(|error| {
        Subject {
            base,
            adapters: &options.adapters,
        }
        .explain(error)
    })?;
    drop(environment);
    warn_about(&merged.notes);
    warn_about_rounding(&merged.strengths.total, options.dtype);
    warn_about_companions(&merged.companions);
    if !options.run.quiet {
        note(format_args!(
            "wrote {} and the record {RECORD} in it",
            Untrusted(options.output.display())
        ));
    }
    let dtype = options.dtype.map_or("", DtypeOption::name);
    if options.json {
        print_json(&merged.record)
    } else {
        print(|out| show(out, &merged, dtype))
    }
}

fn show(out: &mut dyn Write, merged: &Merged, dtype: &str) -> io::Result<()> {
    writeln!(out, "merged digest  {}", merged.digest)?;
    writeln!(out)?;
    strengths(out, &[(dtype, Some(&merged.strengths))])
}

fn warn_about_rounding(total: &Strength, dtype: Option<DtypeOption>) {
    let Some(kept) = total.kept_fraction().filter(|&kept| kept < KEPT_ENOUGH) else {
        return;
    };
    let advice = match dtype {
        Some(DtypeOption::F32) => "",
        Some(DtypeOption::F16) => "; --dtype f32 keeps more",
        Some(DtypeOption::Bf16) | None => "; --dtype f32 or f16 keeps more",
    };
    warn(format_args!(
        "rounding to the output type kept {kept:.3} of the update{advice}"
    ));
}

fn warn_about_companions(companions: &Companions) {
    for (name, reason) in &companions.left_out {
        if *reason == LeftOut::NotAFile {
            warn(format_args!("{} was not copied: {reason}", Untrusted(name)));
        }
    }
    if companions.needs_remote_code {
        warn(format_args!(
            "the model needs Python code of its base, which was not copied"
        ));
    }
}
