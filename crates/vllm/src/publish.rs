//! Versions come and go: an adapter is loaded on every server before a request names it, and unloaded some steps later.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::fleet::Member;
use crate::{Fault, Fleet, Server, ServerError, SyncError, SyncPath, Version};

/// How often a server has to list an adapter: one of two behind a router would not the second time.
const ASKED: usize = 4;

/// A version that servers have.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The version.
    pub version: Version,
    /// What requests call it.
    pub model: String,
    /// Seconds until all had it.
    pub seconds: f64,
    /// Servers that have it.
    pub servers: usize,
    /// Servers that were away and are back.
    pub back: Vec<String>,
    /// Servers that do not answer, and why.
    pub lost: Vec<String>,
}

/// What a call of [`Fleet::retire`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retired {
    /// Steps whose adapters servers were told to unload.
    pub unloaded: Vec<u64>,
    /// Directories that were removed.
    pub removed: Vec<PathBuf>,
    /// What did not go well. None of it changes a sample.
    pub problems: Vec<String>,
}

/// What became of a load on one server.
enum Loaded {
    Yes,
    /// It does not answer.
    Away(ServerError),
    No(SyncError),
}

impl Fleet {
    /// Loads the adapter in a directory on every server, as `{name}-v{step}`; servers that were lost and answer again included. Only then it
    /// is [`current`](Self::current). The directory stays until [`retire`](Self::retire) removes it.
    ///
    /// # Errors
    /// A server refuses: the others unload it again and the version stays. Servers that do not answer are given up, unless all are.
    pub fn publish(&mut self, step: u64, directory: &Path) -> Result<Published, SyncError> {
        let begun = Instant::now();
        if self.path != SyncPath::Adapter {
            return Err(SyncError::Path { path: self.path });
        }
        if self.published.contains_key(&step) || self.unloaded.contains_key(&step) {
            return Err(SyncError::Again { step });
        }
        let no_adapter = || SyncError::NoAdapter {
            path: directory.to_owned(),
        };
        let directory = std::path::absolute(directory).map_err(|_none| no_adapter())?;
        if !is_adapter(&directory) {
            return Err(no_adapter());
        }
        let (model, version) = (self.model_of(step), Version::Step(step));
        let base = &self.base;
        let results: Vec<Loaded> =
            self.at_once(|member| load(member, base, &model, version, &directory));
        let mut refusal = None;
        let mut have = Vec::new();
        let mut away = Vec::new();
        for (place, result) in results.into_iter().enumerate() {
            match result {
                Loaded::Yes => have.push(place),
                Loaded::Away(error) => away.push((place, error)),
                Loaded::No(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        if let Some(error) = refusal {
            self.take_back(&have, &model);
            return Err(error);
        }
        let published = self.settle(version, model, &have, away)?;
        self.published.insert(step, directory);
        for &place in &have {
            if let Some(member) = self.members.get_mut(place) {
                member.steps.insert(step);
            }
        }
        Ok(Published {
            seconds: begun.elapsed().as_secs_f64(),
            ..published
        })
    }

    /// Keeps the newest `keep` versions (at least one). Older ones are unloaded; their directories are removed by the next call, because a
    /// server may still be reading, and never unless they are named as the version is.
    pub fn retire(&mut self, keep: usize) -> Retired {
        let mut retired = Retired::default();
        self.remove_unloaded(&mut retired);
        self.unload(keep.max(1), &mut retired);
        retired
    }

    /// Unloads every version and removes its directory, at the end of a run. Merged checkpoints stay where they are.
    pub fn close(&mut self) -> Retired {
        let mut retired = Retired::default();
        self.unload(0, &mut retired);
        self.remove_unloaded(&mut retired);
        self.current = Version::Base;
        retired
    }

    fn remove_unloaded(&mut self, retired: &mut Retired) {
        for (step, directory) in std::mem::take(&mut self.unloaded) {
            let named = directory
                .file_name()
                .is_some_and(|name| *name == *self.model_of(step));
            if !named {
                continue;
            }
            match fs_err::remove_dir_all(&directory) {
                Ok(()) => retired.removed.push(directory),
                Err(error) => retired.problems.push(error.to_string()),
            }
        }
    }

    fn unload(&mut self, keep: usize, retired: &mut Retired) {
        while self.published.len() > keep {
            let Some((step, directory)) = self.published.pop_first() else {
                break;
            };
            let model = self.model_of(step);
            for member in &mut self.members {
                if !member.steps.remove(&step) || member.lost.is_some() {
                    continue;
                }
                if let Err(error) = member.server.unload_adapter(&model) {
                    retired.problems.push(error.to_string());
                }
            }
            self.unloaded.insert(step, directory);
            retired.unloaded.push(step);
        }
    }

    /// The version moves: servers that have it are in use, those that are away are not.
    pub(crate) fn settle(
        &mut self,
        version: Version,
        model: String,
        have: &[usize],
        away: Vec<(usize, ServerError)>,
    ) -> Result<Published, SyncError> {
        let lost: Vec<String> = away.iter().map(|(_, error)| error.to_string()).collect();
        for (place, error) in away {
            if let Some(member) = self.members.get_mut(place) {
                member.lost = Some(error);
            }
        }
        if have.is_empty() {
            return Err(SyncError::AllDown { faults: lost });
        }
        let mut back = Vec::new();
        for &place in have {
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            if member.lost.take().is_some() {
                // It may have been started anew, without what it had.
                member.steps.clear();
                member.merged = None;
                back.push(member.server.url().to_owned());
            }
        }
        self.current = version;
        Ok(Published {
            version,
            model,
            seconds: 0.0,
            servers: have.len(),
            back,
            lost,
        })
    }

    /// The same with every server at once, in the order of the servers.
    pub(crate) fn at_once<T: Send>(&self, job: impl Fn(&Member) -> T + Sync) -> Vec<T> {
        let job = &job;
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .members
                .iter()
                .map(|member| scope.spawn(move || job(member)))
                .collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn take_back(&self, have: &[usize], model: &str) {
        for member in have.iter().filter_map(|&place| self.members.get(place)) {
            // The refusal is what is told; a leftover adapter changes no sample, since nothing names it.
            member.server.unload_adapter(model).ok();
        }
    }
}

fn load(member: &Member, base: &str, model: &str, version: Version, directory: &Path) -> Loaded {
    let server = &member.server;
    if member.lost.is_some()
        && let Err(error) = returned(server, base)
    {
        return Loaded::Away(error);
    }
    let loaded = server.load_adapter(model, directory);
    let retried = loaded.as_ref().map_or(true, |retries| *retries > 0);
    if let Err(error) = loaded {
        // A broken connection can hide a load that went well; then the server lists it.
        let taken = matches!(&error.fault, Fault::Status { status: 400, tries, .. } if *tries > 1);
        if !taken {
            return fate(server, version, error);
        }
    }
    match listed(server, model, directory, retried) {
        Ok(None) => Loaded::Yes,
        Ok(Some(error)) => Loaded::No(error),
        Err(error) => fate(server, version, error),
    }
}

/// A server that is broken is away; one that lives has refused.
pub(crate) fn is_away(server: &Server, error: &ServerError) -> bool {
    matches!(error.fault, Fault::Connection { .. } | Fault::Slow { .. })
        || error.fault.passes() && server.health().is_err()
}

fn fate(server: &Server, version: Version, source: ServerError) -> Loaded {
    if is_away(server, &source) {
        return Loaded::Away(source);
    }
    Loaded::No(SyncError::Refused { version, source })
}

/// Whether a lost server is back, with the same base.
pub(crate) fn returned(server: &Server, base: &str) -> Result<(), ServerError> {
    server.health()?;
    let models = server.models()?;
    if models
        .iter()
        .any(|card| card.id == base && card.parent.is_none())
    {
        return Ok(());
    }
    Err(server.error(Fault::NoModel {
        model: base.to_owned(),
        text: "it came back with another model".to_owned(),
    }))
}

/// Whether the server lists the adapter, every time; else what it lists.
fn listed(
    server: &Server,
    model: &str,
    directory: &Path,
    retried: bool,
) -> Result<Option<SyncError>, ServerError> {
    let (mut seen, mut found) = (0, None);
    for _ in 0..ASKED {
        let models = server.models()?;
        let Some(card) = models.into_iter().find(|card| card.id == model) else {
            continue;
        };
        // Only an answer "taken" makes it matter whose the adapter is.
        if !retried || card.root.as_deref() == directory.to_str() {
            seen += 1;
        }
        found = card.root;
    }
    Ok((seen < ASKED).then(|| SyncError::NotListed {
        url: server.url().to_owned(),
        model: model.to_owned(),
        seen,
        asked: ASKED,
        found,
    }))
}

/// Whether a directory can be the one of an adapter.
fn is_adapter(directory: &Path) -> bool {
    ["adapter_config.json", "adapter_model.safetensors"]
        .iter()
        .all(|name| directory.join(name).is_file())
}
