//! `tlora convert`.

mod explain;
mod show;

use serde::Serialize;
use tlora_checkpoint::write_file_atomically;
use tlora_convert::{Converted, Report, convert};
use tlora_merge::file_digest;

use crate::arguments::ConvertOptions;
use crate::base;
use crate::commands::init::{counted, ensure_vacant};
use crate::environment::{Environment, warn_about};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::output;
use crate::failure::Failure;
use crate::terminal::{note, print, print_json};

pub(crate) fn run(options: &ConvertOptions) -> Result<Exit, Failure> {
    if !options.checkpoint.is_dir() {
        let path = options.checkpoint.display();
        let failure = Failure::unknown(format!("no directory {path}"));
        return Err(failure.hint("give the directory that has adapter_model.safetensors in it"));
    }
    ensure_vacant(&options.output, options.force)?;
    let environment = Environment::new(&options.cache, &options.run)?;
    let checkpoint = base::open(&options.base, &environment.bar)?;
    let how = tlora_convert::ConvertOptions {
        max_residual: options.max_residual,
        rounding: !options.no_rounding,
        embed_basis: options.embed_basis,
        flatten: options.flatten,
        precision: options.precision.map(Into::into),
    };
    let converted = convert(&options.checkpoint, &checkpoint, &how, &environment.run());
    let converted = converted.map_err(|error| explain::explain(error, options))?;
    drop(environment);
    warn_about(&converted.notes);
    show::warn_about(&converted.report.notes);
    write_file_atomically(&options.output, &converted.bytes, options.force).map_err(output)?;
    if !options.run.quiet {
        say_written(options, &converted);
    }
    if options.json {
        print_json(&Document::new(&converted))
    } else {
        print(|out| show::report(out, &converted))
    }
}

fn say_written(options: &ConvertOptions, converted: &Converted) {
    let (path, adapter) = (Untrusted(options.output.display()), &converted.adapter);
    let modules = counted(adapter.module_count, "module");
    let (groups, numbers) = (
        counted(adapter.group_count, "group"),
        counted(adapter.u, "number"),
    );
    note(format_args!(
        "wrote {path}: {} bytes, {modules} in {groups} of {numbers}",
        converted.bytes.len()
    ));
}

/// The document of `--json`; docs/json.md describes it.
#[derive(Serialize)]
struct Document<'a> {
    version: u8,
    file: File,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Serialize)]
struct File {
    bytes: usize,
    blake3: String,
    base: String,
    modules: u32,
    groups: u32,
    u: u16,
    rank: u8,
}

impl<'a> Document<'a> {
    fn new(converted: &'a Converted) -> Self {
        let adapter = &converted.adapter;
        Self {
            version: 1,
            file: File {
                bytes: converted.bytes.len(),
                blake3: file_digest(&converted.bytes),
                base: adapter.base.to_string(),
                modules: adapter.module_count,
                groups: adapter.group_count,
                u: adapter.u,
                rank: adapter.rank,
            },
            report: &converted.report,
        }
    }
}
