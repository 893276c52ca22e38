//! `tlora export`.

use serde::Serialize;
use tlora_checkpoint::BaseLocation;
use tlora_checkpoint::hub::HubId;
use tlora_convert::{ExportError, Exported, ExportedTying, export};
use tlora_format::{Adapter, Precision, TextKey};
use tlora_merge::file_digest;

use crate::arguments::{DtypeOption, ExportFormat, ExportOptions};
use crate::commands::init::counted;
use crate::environment::{Environment, warn_about};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::{Subject, no_base, output};
use crate::failure::Failure;
use crate::terminal::{note, print_json, warn};
use crate::{adapter_file, base};

pub(crate) fn run(options: &ExportOptions) -> Result<Exit, Failure> {
    let format = format(options)?;
    let adapter = adapter_file::read(&options.adapter)?;
    let environment = Environment::new(&options.cache, &options.run)?;
    let checkpoint = base::open(&options.base, &environment.bar)?;
    let hub_id = hub_id(&options.base)?;
    let how = tlora_convert::ExportOptions {
        format,
        base_name: hub_id.as_ref().map_or(&options.base, HubId::repository),
        revision: hub_id.as_ref().and_then(named_revision),
        force: options.force,
    };
    let exported = export(
        &checkpoint,
        &adapter,
        &options.output,
        &how,
        &environment.run(),
    );
    let exported = exported.map_err(|error| explain(error, options))?;
    drop(environment);
    warn_about(&exported.notes);
    if exported.tying.is_some_and(|tying| !tying.as_in_adapter) {
        warn(format_args!(
            "PEFT's rule makes no groups like the adapter's: each module has a copy of v, and training would part them"
        ));
    }
    if let Some(embedding) = &exported.tied_embedding {
        warn(format_args!(
            "{} is the output head too, which PEFT and servers leave as it is unless they merge the adapter",
            Untrusted(embedding)
        ));
    }
    if !options.run.quiet {
        note(format_args!(
            "wrote {}: {} of rank {} for {}, {} bytes",
            Untrusted(options.output.display()),
            match options.format {
                ExportFormat::PeftLora => "a LoRA",
                ExportFormat::PeftTinylora => "a TinyLoRA",
            },
            exported.rank,
            counted(exported.modules as u64, "module"),
            exported.bytes
        ));
    }
    if options.json {
        return print_json(&Document::new(options, &adapter, &exported));
    }
    Ok(Exit::Done)
}

fn format(options: &ExportOptions) -> Result<tlora_convert::ExportFormat, Failure> {
    match options.format {
        ExportFormat::PeftLora => Ok(tlora_convert::ExportFormat::PeftLora {
            dtype: options.dtype.map_or(Precision::F32, Into::into),
            pad_rank: options.pad_rank,
        }),
        ExportFormat::PeftTinylora if options.dtype.is_some() || options.pad_rank.is_some() => Err(
            Failure::unknown("--dtype and --pad-rank are options of the format peft-lora")
                .hint("PEFT keeps its TinyLoRA in f32, with the rank of the adapter"),
        ),
        ExportFormat::PeftTinylora => Ok(tlora_convert::ExportFormat::PeftTinyLora),
    }
}

/// The id, if the base is named by one: the settings then name it too, rather than a directory of the cache.
fn hub_id(base: &str) -> Result<Option<HubId>, Failure> {
    match BaseLocation::parse(base).map_err(no_base)? {
        BaseLocation::Hub(id) => Ok(Some(id)),
        BaseLocation::Directory(_) => Ok(None),
    }
}

fn named_revision(id: &HubId) -> Option<&str> {
    Some(id.revision()).filter(|revision| *revision != HubId::DEFAULT_REVISION)
}

fn explain(error: ExportError, options: &ExportOptions) -> Failure {
    let subject = Subject {
        base: &options.base,
        adapters: std::slice::from_ref(&options.adapter),
    };
    match error {
        ExportError::Rebuild(error) => subject.rebuild(error),
        ExportError::Output(error) => output(error),
        ExportError::PadRank { .. } => {
            Failure::unknown("--pad-rank is less than the rank of a module").caused_by(error)
        }
        ExportError::TooLarge { .. } => Failure::no("the update is too large for the output type")
            .caused_by(error)
            .hint("--dtype bf16 or f32 has a larger range"),
        ExportError::Ambiguous { .. }
        | ExportError::UnknownOrder { .. }
        | ExportError::RankAboveSides { .. } => {
            let path = options.adapter.display();
            let format = options.format.name();
            let failure = Failure::no(format!("{path} cannot be written as {format}"));
            let failure = failure.caused_by(error);
            if options.format == ExportFormat::PeftTinylora {
                failure.hint("--format peft-lora can express every update")
            } else {
                failure
            }
        }
        other => Failure::unknown(&other).caused_by(other),
    }
}

/// The document of `--json`; docs/json.md describes it.
#[derive(Serialize)]
struct Document<'a> {
    version: u8,
    format: &'static str,
    base: String,
    adapter: AdapterFacts<'a>,
    modules: usize,
    rank: usize,
    dtype: &'static str,
    bytes: u64,
    tying: Option<TyingFacts>,
}

#[derive(Serialize)]
struct AdapterFacts<'a> {
    blake3: String,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct TyingFacts {
    weight_tying: f64,
    vectors: usize,
    as_in_adapter: bool,
}

impl<'a> Document<'a> {
    fn new(options: &ExportOptions, adapter: &'a Adapter, exported: &Exported) -> Self {
        let tying = |tying: ExportedTying| TyingFacts {
            weight_tying: tying.weight_tying,
            vectors: tying.vectors,
            as_in_adapter: tying.as_in_adapter,
        };
        Self {
            version: 1,
            format: options.format.name(),
            base: adapter.base.to_string(),
            adapter: AdapterFacts {
                blake3: file_digest(&adapter.to_bytes()),
                name: adapter.text.get(&TextKey::Name).map(String::as_str),
            },
            modules: exported.modules,
            rank: exported.rank,
            dtype: options.dtype.map_or("f32", DtypeOption::name),
            bytes: exported.bytes,
            tying: exported.tying.map(tying),
        }
    }
}
