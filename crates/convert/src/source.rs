//! A source directory, opened: what kind of adapter it is, by its tensors, and which tensor is what.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tlora_checkpoint::{Checkpoint, CheckpointError, TensorInfo};

use crate::ConvertError;
use crate::fields::Fields;
use crate::keys::Key;

const WEIGHTS: &str = "adapter_model.safetensors";
const PICKLES: [&str; 2] = ["adapter_model.bin", "adapter_model.pt"];
const CONFIG: &str = "adapter_config.json";

/// An adapter of another program.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file with its tensors.
    pub(crate) file: Checkpoint,
    /// `adapter_config.json`.
    pub(crate) config: Fields,
    /// What the tensors are.
    pub(crate) tensors: Tensors,
    /// Tensors that mean nothing for the adapter.
    pub(crate) ignored: Vec<String>,
}

/// The tensors of an adapter, by kind.
#[derive(Debug)]
pub(crate) enum Tensors {
    /// TinyLoRA of PEFT.
    TinyLora {
        /// A, B and perhaps P of each module.
        modules: BTreeMap<String, TinyLoraModule>,
        /// v of each group.
        v: Vec<TensorInfo>,
    },
    /// LoRA-XS.
    LoraXs(BTreeMap<String, LoraXsModule>),
}

/// The tensors of one module of TinyLoRA.
#[derive(Debug)]
pub(crate) struct TinyLoraModule {
    pub(crate) factors: Pair,
    pub(crate) p: Option<TensorInfo>,
}

/// The tensors of one module of LoRA-XS.
#[derive(Debug)]
pub(crate) struct LoraXsModule {
    pub(crate) factors: Pair,
    pub(crate) r: TensorInfo,
}

/// B (out × r) and A (r × in).
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) b: TensorInfo,
    pub(crate) a: TensorInfo,
}

impl Source {
    /// Opens a directory and looks at the names of its tensors.
    pub(crate) fn open(dir: &Path) -> Result<Self, ConvertError> {
        let file = match Checkpoint::open_file(dir, WEIGHTS) {
            Err(CheckpointError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(without_weights(dir));
            }
            opened => opened.map_err(ConvertError::Source)?,
        };
        let config =
            Fields::read(dir, CONFIG)?.ok_or_else(|| ConvertError::NoConfig(dir.to_owned()))?;
        let mut sorter = Sorter::default();
        for (name, tensor) in file.tensors() {
            sorter.add(Key::parse(name), tensor);
        }
        let (tensors, ignored) = sorter.finish(dir, &config)?;
        Ok(Self {
            file,
            config,
            tensors,
            ignored,
        })
    }
}

impl Source {
    /// Whether the file has projections.
    pub(crate) fn has_projections(&self) -> bool {
        match &self.tensors {
            Tensors::TinyLora { modules, .. } => modules.values().any(|module| module.p.is_some()),
            Tensors::LoraXs(_) => false,
        }
    }
}

fn without_weights(dir: &Path) -> ConvertError {
    let pickle = PICKLES
        .map(|name| dir.join(name))
        .into_iter()
        .find(|path| path.exists());
    pickle.map_or_else(
        || ConvertError::NoAdapter(dir.to_owned()),
        ConvertError::Pickle,
    )
}

/// Tensors by what they are.
#[derive(Default)]
struct Sorter<'a> {
    tiny_a: BTreeMap<&'a str, &'a TensorInfo>,
    tiny_b: BTreeMap<&'a str, &'a TensorInfo>,
    tiny_p: BTreeMap<&'a str, &'a TensorInfo>,
    tiny_v: BTreeMap<u32, &'a TensorInfo>,
    lora_a: BTreeMap<&'a str, &'a TensorInfo>,
    lora_b: BTreeMap<&'a str, &'a TensorInfo>,
    latent: BTreeMap<&'a str, &'a TensorInfo>,
    embeddings: BTreeMap<&'a str, &'a TensorInfo>,
    biases: Vec<&'a TensorInfo>,
    others: Vec<&'a TensorInfo>,
}

impl<'a> Sorter<'a> {
    fn add(&mut self, key: Key<'a>, tensor: &'a TensorInfo) {
        let before = match key {
            Key::TinyA(module) => self.tiny_a.insert(module, tensor),
            Key::TinyB(module) => self.tiny_b.insert(module, tensor),
            Key::TinyP(module) => self.tiny_p.insert(module, tensor),
            Key::TinyV(group) => self.tiny_v.insert(group, tensor),
            Key::LoraA(module) => self.lora_a.insert(module, tensor),
            Key::LoraB(module) => self.lora_b.insert(module, tensor),
            Key::LatentR(module) => self.latent.insert(module, tensor),
            Key::EmbeddingCopy(module) => self.embeddings.insert(module, tensor),
            Key::Bias => {
                self.biases.push(tensor);
                None
            }
            Key::Other => {
                self.others.push(tensor);
                None
            }
        };
        // Both spellings of one thing: the one that was there first says nothing that the file means.
        self.others.extend(before);
    }

    fn finish(self, dir: &Path, config: &Fields) -> Result<(Tensors, Vec<String>), ConvertError> {
        let tinylora = [&self.tiny_a, &self.tiny_b, &self.tiny_p]
            .into_iter()
            .flat_map(BTreeMap::values);
        let tinylora = tinylora.chain(self.tiny_v.values()).next();
        let lora = self.lora_a.values().chain(self.lora_b.values()).next();
        match (tinylora, self.latent.values().next().or(lora)) {
            (Some(tinylora), Some(lora_xs)) => Err(ConvertError::TwoKinds {
                tinylora: tinylora.name.clone(),
                lora_xs: lora_xs.name.clone(),
            }),
            (Some(_), None) => self.tinylora(config),
            (None, Some(_)) if !self.latent.is_empty() => self.lora_xs(config),
            (None, Some(lora)) => Err(ConvertError::PlainLora {
                tensor: lora.name.clone(),
            }),
            (None, None) => Err(ConvertError::UnknownKind(dir.to_owned())),
        }
    }

    fn tinylora(self, config: &Fields) -> Result<(Tensors, Vec<String>), ConvertError> {
        check_settings(config, "TINYLORA")?;
        let mut ignored = Vec::new();
        for (module, tensor) in &self.embeddings {
            if !self.tiny_a.contains_key(module) {
                return Err(unknown(tensor, TINYLORA));
            }
            ignored.push(tensor.name.clone());
        }
        self.refuse_others(TINYLORA)?;
        let names = [&self.tiny_a, &self.tiny_b, &self.tiny_p]
            .into_iter()
            .flat_map(BTreeMap::keys);
        let mut modules = BTreeMap::new();
        for &module in names {
            let tensor = |part: &str, of: &BTreeMap<&str, &TensorInfo>| {
                found(of, module, &format!(".{part}"))
            };
            let factors = Pair {
                b: tensor("tinylora_B", &self.tiny_b)?,
                a: tensor("tinylora_A", &self.tiny_a)?,
            };
            let p = self.tiny_p.get(module).map(|&tensor| tensor.clone());
            modules.insert(module.to_owned(), TinyLoraModule { factors, p });
        }
        // Either all modules have their projections in the file, or none has.
        if !self.tiny_p.is_empty() {
            for &module in self.tiny_a.keys() {
                found(&self.tiny_p, module, ".tinylora_P")?;
            }
        }
        let v = (0..).zip(&self.tiny_v).map(|(wanted, (&group, &tensor))| {
            let missing = || ConvertError::MissingTensor {
                tensor: format!("base_model.tinylora_v.{wanted}"),
            };
            (group == wanted)
                .then(|| tensor.clone())
                .ok_or_else(missing)
        });
        let v = v.collect::<Result<_, _>>()?;
        Ok((Tensors::TinyLora { modules, v }, ignored))
    }

    fn lora_xs(self, config: &Fields) -> Result<(Tensors, Vec<String>), ConvertError> {
        check_settings(config, "LORA")?;
        self.refuse_others(LORA_XS)?;
        if let Some(tensor) = self.embeddings.values().next() {
            return Err(unknown(tensor, LORA_XS));
        }
        let names = [&self.lora_a, &self.lora_b, &self.latent]
            .into_iter()
            .flat_map(BTreeMap::keys);
        let mut modules = BTreeMap::new();
        for &module in names {
            let factors = Pair {
                b: found(&self.lora_b, module, ".lora_B.weight")?,
                a: found(&self.lora_a, module, ".lora_A.weight")?,
            };
            let r = found(&self.latent, module, ".default_lora_latent_mapping.weight")?;
            modules.insert(module.to_owned(), LoraXsModule { factors, r });
        }
        Ok((Tensors::LoraXs(modules), Vec::new()))
    }

    fn refuse_others(&self, kind: &'static str) -> Result<(), ConvertError> {
        if let Some(tensor) = self.biases.first() {
            return Err(ConvertError::BiasTensor {
                tensor: tensor.name.clone(),
            });
        }
        match self.others.first() {
            Some(tensor) => Err(unknown(tensor, kind)),
            None => Ok(()),
        }
    }
}

const TINYLORA: &str = "a TinyLoRA adapter";
const LORA_XS: &str = "a LoRA-XS adapter";

fn unknown(tensor: &TensorInfo, kind: &'static str) -> ConvertError {
    ConvertError::UnknownTensor {
        tensor: tensor.name.clone(),
        kind,
    }
}

fn found(
    of: &BTreeMap<&str, &TensorInfo>,
    module: &str,
    end: &str,
) -> Result<TensorInfo, ConvertError> {
    let missing = || ConvertError::MissingTensor {
        tensor: format!("base_model.model.{module}{end}"),
    };
    of.get(module)
        .map(|&tensor| tensor.clone())
        .ok_or_else(missing)
}

/// The settings that both kinds have, and that would make the adapter more than its factors.
fn check_settings(config: &Fields, wanted: &'static str) -> Result<(), ConvertError> {
    let found: String = config.required("peft_type")?;
    if found != wanted {
        return Err(ConvertError::OtherType { found, wanted });
    }
    if let Some(modules) = config
        .optional::<Vec<String>>("modules_to_save")?
        .filter(|modules| !modules.is_empty())
    {
        return Err(ConvertError::ModulesToSave(modules));
    }
    let bias: String = config.required("bias")?;
    if bias != "none" {
        return Err(ConvertError::TrainedBias { found: bias });
    }
    match config.raw("target_modules") {
        // What peft itself replaces by a list of names.
        Some(serde_json::Value::String(all)) if all == "all-linear" => Ok(()),
        Some(serde_json::Value::String(expression)) => Err(ConvertError::RegexTargets {
            found: expression.clone(),
        }),
        _ => config.required::<Vec<String>>("target_modules").map(drop),
    }
}
