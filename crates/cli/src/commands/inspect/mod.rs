//! `tlora inspect`.

mod facts;
mod show;

use serde::Serialize;
use tlora_format::{Field, layout};
use tlora_merge::{Measured, UpdateRecord, measure};

use self::facts::Facts;
use crate::arguments::InspectOptions;
use crate::environment::{Environment, warn_about};
use crate::exit::Exit;
use crate::explain::{Subject, not_an_adapter};
use crate::failure::Failure;
use crate::terminal::{print, print_json};
use crate::{adapter_file, base};

/// The version of the JSON's form; see docs/json.md.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct InspectJson {
    version: u32,
    #[serde(flatten)]
    facts: Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<MeasuredJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Vec<FieldJson>>,
}

/// The update by output type; none where a merged weight would be too large for the type.
#[derive(Serialize)]
struct MeasuredJson {
    bf16: Option<UpdateRecord>,
    f16: Option<UpdateRecord>,
    f32: Option<UpdateRecord>,
}

#[derive(Serialize)]
struct FieldJson {
    offset: usize,
    length: usize,
    name: String,
    meaning: String,
}

pub(crate) fn run(options: &InspectOptions) -> Result<Exit, Failure> {
    let adapter = adapter_file::read(&options.file)?;
    let bytes = adapter.to_bytes();
    let fields = if options.bytes {
        Some(layout(&bytes).map_err(|error| not_an_adapter(&options.file, error))?)
    } else {
        None
    };
    let measured = match &options.base {
        Some(base) => Some(measured(options, base, &adapter)?),
        None => None,
    };
    let facts = Facts::new(&adapter, &bytes);
    if options.json {
        let bytes = fields.map(|fields| fields.into_iter().map(FieldJson::from).collect());
        let measured = measured.as_ref().map(MeasuredJson::from);
        return print_json(&InspectJson {
            version: VERSION,
            facts,
            measured,
            bytes,
        });
    }
    print(|out| {
        if let Some(fields) = &fields {
            return show::bytes(out, &bytes, fields);
        }
        show::facts(out, &facts)?;
        match &measured {
            Some(measured) => show::measured(out, measured),
            None => Ok(()),
        }
    })
}

fn measured(
    options: &InspectOptions,
    base: &str,
    adapter: &tlora_format::Adapter,
) -> Result<Measured, Failure> {
    let environment = Environment::new(&options.cache, &options.run)?;
    let checkpoint = base::open(base, &environment.bar)?;
    let subject = Subject {
        base,
        adapters: std::slice::from_ref(&options.file),
    };
    let measured = measure(&checkpoint, adapter, &environment.run())
        .map_err(|error| subject.explain(error))?;
    drop(environment);
    warn_about(&measured.notes);
    Ok(measured)
}

impl From<&Measured> for MeasuredJson {
    fn from(measured: &Measured) -> Self {
        let [bf16, f16, f32] = measured
            .by_dtype
            .each_ref()
            .map(|update| update.as_ref().map(UpdateRecord::from));
        Self { bf16, f16, f32 }
    }
}

impl From<Field> for FieldJson {
    fn from(field: Field) -> Self {
        let Field {
            offset,
            length,
            name,
            meaning,
            ..
        } = field;
        Self {
            offset,
            length,
            name,
            meaning,
        }
    }
}
