//! Many servers that sample under one published version.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Connect, Need, Probe, ProbeError, Server, ServerError, SyncPath, probe};

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// Addresses of independent `vllm serve` processes, each with one engine.
    pub servers: Vec<String>,
    /// What the servers call the base; none takes the first name that each has.
    pub model: Option<String>,
    /// How adapters are called: `{name}-v{step}`. It has to be new for each process that publishes, because a server keeps adapters, and
    /// prefixes computed under them, by name.
    pub name: String,
    /// Samples that a server draws at once at most.
    pub concurrency: usize,
    /// How each is reached.
    pub connect: Connect,
}

/// Under which weights samples are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The base without an adapter.
    Base,
    /// What was published as of this step.
    Step(u64),
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Base => formatter.write_str("the base"),
            Self::Step(step) => write!(formatter, "step {step}"),
        }
    }
}

/// A server and what is known of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) server: Arc<Server>,
    /// The adapters that it has.
    pub(crate) steps: BTreeSet<u64>,
    /// The checkpoint in the place of the base; none is the base.
    pub(crate) merged: Option<u64>,
    /// The log-probabilities of a text under the base, for when a checkpoint has taken its place.
    pub(crate) base_scores: Option<(Vec<u32>, Vec<f32>)>,
    /// Why it is not used until the next version is published.
    pub(crate) lost: Option<ServerError>,
}

/// Many servers.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) members: Vec<Member>,
    pub(crate) base: String,
    pub(crate) name: String,
    pub(crate) concurrency: usize,
    pub(crate) max_model_len: Option<usize>,
    pub(crate) processed: bool,
    pub(crate) path: SyncPath,
    pub(crate) current: Version,
    /// Directories of the versions that servers have.
    pub(crate) published: BTreeMap<u64, PathBuf>,
    /// Directories of those that they had until the last call of `retire`.
    pub(crate) unloaded: BTreeMap<u64, PathBuf>,
}

impl Fleet {
    /// Asks every server what it is and can do. The probe's line is for the user.
    ///
    /// # Errors
    /// A server does not answer, has another model, more than one engine, or lacks what `need` names.
    pub fn connect(settings: &FleetSettings, need: &Need) -> Result<(Self, Probe), ProbeError> {
        let urls: BTreeSet<&str> = settings
            .servers
            .iter()
            .map(|url| url.trim_end_matches('/'))
            .collect();
        if urls.is_empty() || urls.len() != settings.servers.len() {
            return Err(ProbeError::Servers);
        }
        if !is_name(&settings.name) {
            return Err(ProbeError::Name {
                found: settings.name.clone(),
            });
        }
        let servers = settings
            .servers
            .iter()
            .map(|url| Server::new(url, &settings.connect));
        let servers: Vec<Server> = servers.collect::<Result<_, _>>()?;
        let probe = probe::probe(&servers, settings.model.as_deref(), need)?;
        let lengths = probe.servers.iter().filter_map(|found| found.max_model_len);
        let fleet = Self {
            base: probe.model.clone(),
            name: settings.name.clone(),
            concurrency: settings.concurrency.max(1),
            max_model_len: lengths.min(),
            processed: probe
                .servers
                .iter()
                .all(|found| found.processed == Some(true)),
            path: probe.path,
            current: Version::Base,
            published: BTreeMap::new(),
            unloaded: BTreeMap::new(),
            members: servers.into_iter().map(Member::new).collect(),
        };
        Ok((fleet, probe))
    }

    /// The newest version that all servers have.
    #[must_use]
    pub const fn current(&self) -> Version {
        self.current
    }

    /// How weights reach the servers.
    #[must_use]
    pub const fn path(&self) -> SyncPath {
        self.path
    }

    /// What requests call the version of a step.
    #[must_use]
    pub fn model_of(&self, step: u64) -> String {
        format!("{}-v{step}", self.name)
    }

    /// The servers that are not used until the next version is published, and why.
    pub fn lost(&self) -> impl Iterator<Item = &ServerError> {
        self.members
            .iter()
            .filter_map(|member| member.lost.as_ref())
    }

    /// What a server calls this version; nothing if it does not have it.
    pub(crate) fn model_at(&self, member: &Member, version: Version) -> Option<String> {
        match version {
            Version::Base => member.merged.is_none().then(|| self.base.clone()),
            Version::Step(step) if member.merged == Some(step) => Some(self.base.clone()),
            Version::Step(step) => member.steps.contains(&step).then(|| self.model_of(step)),
        }
    }
}

impl Member {
    fn new(server: Server) -> Self {
        Self {
            server: Arc::new(server),
            steps: BTreeSet::new(),
            merged: None,
            base_scores: None,
            lost: None,
        }
    }
}

/// Names become file names and parts of requests.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}
