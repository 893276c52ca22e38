//! What servers are and can do, found out before the first sample: one kind of weight sync for all, or a refusal that says why.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{Fault, ModelCard, Sampling, Server, ServerError};

/// An adapter that no server has, in a directory that none sees.
const NOBODY: &str = "tlora-probe-nobody";
const NOWHERE: &str = "/nonexistent/tlora-probe-nobody";
/// Tokens that show which log-probabilities a server gives.
const SHOWN: usize = 8;
/// Above this a log-probability is that of a certain token.
const CERTAIN: f32 = -1e-3;

/// What a run needs from its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The rank of the adapters that will be published; none if only the base is sampled.
    pub adapter_rank: Option<u64>,
    /// Whether merged checkpoints may be sent where adapters cannot.
    pub merged: bool,
    /// Whether log-probabilities have to be the processed ones; see [`Sampling::needs_processed`].
    pub processed: bool,
    /// Any token of the vocabulary; what follows it shows which log-probabilities the server gives.
    pub token: u32,
}

/// How weights reach the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPath {
    /// They do not: only the base is sampled.
    Fixed,
    /// A small adapter for each step.
    Adapter,
    /// A merged checkpoint for each step.
    Merged,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its address.
    pub url: String,
    /// Of vLLM.
    pub version: String,
    /// Where its model was loaded from.
    pub root: Option<String>,
    /// Tokens of a prompt and its completion at most.
    pub max_model_len: Option<usize>,
    /// Whether it loads adapters at run time; else what it lacks.
    pub adapters: Result<(), String>,
    /// Largest rank of an adapter, where it says so (in developer mode).
    pub max_lora_rank: Option<u64>,
    /// Whether it is in developer mode, which reloading a checkpoint needs.
    pub developer: bool,
    /// Whether its log-probabilities are the processed ones; none if that was not asked.
    pub processed: Option<bool>,
    /// Engines behind the address, where it says so.
    pub engines: Option<usize>,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// In the order of the settings.
    pub servers: Vec<Found>,
    /// What all of them call the base.
    pub model: String,
    /// How weights reach them.
    pub path: SyncPath,
    /// That and why, in one line.
    pub line: String,
}

/// Why servers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// There are none, or one twice.
    #[error("there are no servers, or one is named twice")]
    Servers,
    /// It cannot be part of a file name.
    #[error(
        "{found:?} is no name for adapters: letters, digits, `-`, `_` and `.` that does not begin it, at most 100"
    )]
    Name {
        /// As it was given.
        found: String,
    },
    /// One does not answer, or not as vLLM does.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It has no version: it is a router, or not vLLM.
    #[error(
        "{url} does not say which vLLM it is: a router or another server. A router hands an adapter to one server only; name the \
         servers themselves"
    )]
    Router {
        /// The address.
        url: String,
    },
    /// It has more engines than one.
    #[error(
        "{url} has {engines} engines (--data-parallel-size): an adapter would reach one of them only; start as many servers instead, \
         each with an address of its own"
    )]
    DataParallel {
        /// The address.
        url: String,
        /// How many.
        engines: usize,
    },
    /// It does not have the model.
    #[error("{url} serves {found:?}, not {wanted:?} (--served-model-name)")]
    Model {
        /// The address.
        url: String,
        /// Its models.
        found: Vec<String>,
        /// The model that is wanted.
        wanted: String,
    },
    /// Its log-probabilities are those of another distribution.
    #[error(
        "{url} gives log-probabilities before temperature, top_p and top_k, which is not what it samples from: start it with \
         --logprobs-mode processed_logprobs, or sample with temperature 1, top_p 1 and top_k 0"
    )]
    Raw {
        /// The address.
        url: String,
    },
    /// Adapters of this rank do not fit.
    #[error("{url} takes adapters up to rank {limit}, not {wanted} (--max-lora-rank)")]
    Rank {
        /// The address.
        url: String,
        /// Its largest rank.
        limit: u64,
        /// The rank that is wanted.
        wanted: u64,
    },
    /// Weights cannot reach it.
    #[error(
        "weights cannot reach {url}: {reason}. Start it with --enable-lora --max-lora-rank 8 (or more) and \
         VLLM_ALLOW_RUNTIME_LORA_UPDATING=True{}",
        if *.merged { ", or with VLLM_SERVER_DEV_MODE=1 for merged checkpoints" } else { "" }
    )]
    NoPath {
        /// The address.
        url: String,
        /// What it lacks.
        reason: String,
        /// Whether merged checkpoints would do.
        merged: bool,
    },
}

/// Asks all servers.
pub(crate) fn probe(
    servers: &[Server],
    wanted: Option<&str>,
    need: &Need,
) -> Result<Probe, ProbeError> {
    let mut model = wanted.map(ToOwned::to_owned);
    let mut all = Vec::with_capacity(servers.len());
    for server in servers {
        server.health()?;
        let Some(version) = server.version()? else {
            return Err(ProbeError::Router {
                url: server.url().to_owned(),
            });
        };
        let card = base(server, &mut model)?;
        all.push(find(server, version, card, need)?);
    }
    let path = path(&all, need)?;
    let model = model.unwrap_or_default();
    Ok(Probe {
        // Names are the servers', and go to a terminal.
        line: line(&all, &model, path).replace(char::is_control, " "),
        servers: all,
        model,
        path,
    })
}

/// The base of a server: the one that is wanted, or its first, which is what the next servers have to have.
fn base(server: &Server, model: &mut Option<String>) -> Result<ModelCard, ProbeError> {
    let models = server.models()?;
    let bases: Vec<ModelCard> = models
        .into_iter()
        .filter(|card| card.parent.is_none())
        .collect();
    let found = match &*model {
        Some(wanted) => bases.iter().find(|card| card.id == *wanted),
        None => bases.first(),
    };
    if let Some(card) = found {
        *model = Some(card.id.clone());
        return Ok(card.clone());
    }
    Err(ProbeError::Model {
        url: server.url().to_owned(),
        found: bases.into_iter().map(|card| card.id).collect(),
        wanted: model.clone().unwrap_or_else(|| "any model".to_owned()),
    })
}

fn find(
    server: &Server,
    version: String,
    card: ModelCard,
    need: &Need,
) -> Result<Found, ProbeError> {
    let url = || server.url().to_owned();
    let info = server_info(server)?;
    let at = |pointer: &str| info.as_ref().and_then(|info| info.pointer(pointer));
    let engines =
        match at("/vllm_config/parallel_config/data_parallel_size").and_then(Value::as_u64) {
            Some(engines) => usize::try_from(engines).ok(),
            None => engines(server)?,
        };
    if let Some(engines) = engines.filter(|engines| *engines > 1) {
        return Err(ProbeError::DataParallel {
            url: url(),
            engines,
        });
    }
    let adapters = match need.adapter_rank {
        Some(_) => adapters(server)?,
        None => Err("nobody asked".to_owned()),
    };
    let max_lora_rank = at("/vllm_config/lora_config/max_lora_rank").and_then(Value::as_u64);
    if let (Some(limit), Some(wanted), Ok(())) = (max_lora_rank, need.adapter_rank, &adapters)
        && wanted > limit
    {
        return Err(ProbeError::Rank {
            url: url(),
            limit,
            wanted,
        });
    }
    let processed = if need.processed {
        Some(is_processed(server, &card.id, need.token)?)
    } else {
        None
    };
    if processed == Some(false) {
        return Err(ProbeError::Raw { url: url() });
    }
    Ok(Found {
        url: url(),
        version,
        root: card.root,
        max_model_len: card.max_model_len,
        adapters,
        max_lora_rank,
        developer: info.is_some(),
        processed,
        engines,
    })
}

/// The server's configuration, which it shows in developer mode.
fn server_info(server: &Server) -> Result<Option<Value>, ServerError> {
    let answer = server.get("/server_info?config_format=json")?;
    let parsed: Option<Value> = serde_json::from_slice(&answer.body).ok();
    Ok(parsed.filter(|info| answer.status == 200 && info.get("vllm_config").is_some()))
}

/// Engines with metrics of their own.
fn engines(server: &Server) -> Result<Option<usize>, ServerError> {
    let answer = server.get("/metrics")?;
    if answer.status != 200 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let lines = text.lines().filter(|line| line.starts_with("vllm:"));
    let engines: BTreeSet<&str> = lines
        .filter_map(|line| line.split_once("engine=\"")?.1.split('"').next())
        .filter(|engine| !engine.is_empty())
        .collect();
    Ok(Some(engines.len()).filter(|count| *count > 0))
}

/// Whether adapters can be loaded: a server that can says of a directory that is not there that it is not there.
fn adapters(server: &Server) -> Result<Result<(), String>, ServerError> {
    let body = json!({"lora_name": NOBODY, "lora_path": NOWHERE, "load_inplace": false});
    let answer = server.post("/v1/load_lora_adapter", &body)?;
    let text = answer.text();
    if matches!(answer.status, 401 | 403) {
        return Err(server.error(Fault::Forbidden {
            path: "/v1/load_lora_adapter".to_owned(),
            status: answer.status,
        }));
    }
    if text.contains("LoRA is not enabled") {
        return Ok(Err("it was started without --enable-lora".to_owned()));
    }
    if matches!(answer.status, 400 | 404) && text.contains(NOBODY) {
        return Ok(Ok(()));
    }
    if matches!(answer.status, 404 | 405) {
        return Ok(Err(
            "it was started without VLLM_ALLOW_RUNTIME_LORA_UPDATING=True".to_owned(),
        ));
    }
    Ok(Err(format!(
        "it says {} to the question for adapters: {text:?}",
        answer.status
    )))
}

/// With one token to choose from, the processed log-probability is 0 and the raw one is that of the token. After a single token of
/// context no model is certain of all that follows.
fn is_processed(server: &Server, model: &str, token: u32) -> Result<bool, ServerError> {
    let sampling = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        top_k: 1,
        max_new_tokens: SHOWN,
        stop: Vec::new(),
        scored: false,
    };
    let sample = server.sample(model, &[token], &sampling, 0)?;
    Ok(sample.log_probs.iter().all(|value| *value > CERTAIN))
}

fn path(all: &[Found], need: &Need) -> Result<SyncPath, ProbeError> {
    if need.adapter_rank.is_none() {
        return Ok(SyncPath::Fixed);
    }
    let Some((found, reason)) = lacking(all) else {
        return Ok(SyncPath::Adapter);
    };
    if need.merged && all.iter().all(|found| found.developer) {
        return Ok(SyncPath::Merged);
    }
    Err(ProbeError::NoPath {
        url: found.url.clone(),
        reason: reason.to_owned(),
        merged: need.merged,
    })
}

/// The first server that does not load adapters, and what it lacks.
fn lacking(all: &[Found]) -> Option<(&Found, &str)> {
    all.iter()
        .find_map(|found| Some((found, found.adapters.as_ref().err()?.as_str())))
}

fn line(all: &[Found], model: &str, path: SyncPath) -> String {
    let versions: BTreeSet<&str> = all.iter().map(|found| found.version.as_str()).collect();
    let versions = Vec::from_iter(versions).join(", ");
    let who = match all.len() {
        1 => format!("1 vLLM server ({versions}), model {model}"),
        count => format!("{count} vLLM servers ({versions}), model {model}"),
    };
    match path {
        SyncPath::Fixed => format!("{who}: the base is sampled, no weights are sent"),
        SyncPath::Adapter => {
            format!("{who}: weights are sent as adapters, which all of them load while they run")
        }
        SyncPath::Merged => {
            let (url, reason) =
                lacking(all).map_or(("", ""), |(found, reason)| (&found.url, reason));
            format!(
                "{who}: weights are sent as merged checkpoints, because {url} takes no adapters ({reason})"
            )
        }
    }
}
