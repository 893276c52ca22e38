//! From a hub id to a snapshot directory that has all of a checkpoint, or one file of a repository.

use std::path::PathBuf;

use super::cache::{RepositoryCache, is_whole};
use super::client::Client;
use super::download::Wanted;
use super::error::HubError;
use super::id::{HubId, is_commit};
use super::listing::{CONFIG, Listed, Listing, SINGLE, is_plain, shards};
use super::options::HubOptions;
use super::progress::HubProgress;
use super::retry::Backoff;
use crate::checkpoint::INDEX;

/// A model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The directory of the commit's files.
    pub directory: PathBuf,
    /// The commit, 40 lower-case hexadecimal digits.
    pub commit: String,
}

/// Gives the directory of a model's files: config, safetensors weights, tokenizer, generation config, chat template.
///
/// What the cache has is used. The hub is asked for the revision's list of files (one request), and for each file that
/// is missing; with [`HubOptions::offline`] it is not asked at all, and the cache must have the config and the weights.
///
/// # Errors
///
/// See [`HubError`]. What was downloaded until then stays, and the next call goes on from there.
pub fn resolve(
    id: &HubId,
    options: &HubOptions,
    progress: &dyn HubProgress,
) -> Result<Resolved, HubError> {
    let cache = RepositoryCache::new(id, options);
    if options.offline {
        return resolve_offline(id, options, &cache);
    }
    fetch(id, options, cache, progress, |fetch| fetch.all())
}

/// Gives the directory of a snapshot that has this file, whose name may have folders in it.
///
/// # Errors
///
/// See [`HubError`].
pub fn resolve_file(
    id: &HubId,
    file: &str,
    options: &HubOptions,
    progress: &dyn HubProgress,
) -> Result<Resolved, HubError> {
    if !file.split('/').all(is_plain) {
        return Err(HubError::FileName {
            file: file.to_owned(),
        });
    }
    let cache = RepositoryCache::new(id, options);
    if options.offline {
        return from_cache(id, options, &cache, |_| Ok(vec![file.to_owned()]));
    }
    fetch(id, options, cache, progress, |fetch| {
        fetch.announce(&[file.to_owned()])?;
        fetch.one(file)
    })
}

/// Asks the hub for the commit of a revision, and has `work` fetch what is wanted of it.
fn fetch(
    id: &HubId,
    options: &HubOptions,
    cache: RepositoryCache,
    progress: &dyn HubProgress,
    work: impl FnOnce(&Fetch<'_>) -> Result<(), HubError>,
) -> Result<Resolved, HubError> {
    let client = Client::new(id, options)?;
    let listing =
        Backoff::new(options, progress, "the list of files").run(|| Listing::fetch(&client))?;
    if is_commit(id.revision()) && listing.commit != id.revision() {
        let reason = format!(
            "it is of commit {}, not of the one that was asked for",
            listing.commit
        );
        return Err(HubError::answer(&client.listing_url(), reason));
    }
    progress.resolved(&listing.commit);
    let fetch = Fetch {
        id,
        client,
        cache,
        listing,
        progress,
    };
    work(&fetch)?;
    // Only now, so that a revision never stands for a commit that is not complete.
    if !is_commit(id.revision()) {
        fetch
            .cache
            .set_commit(id.revision(), &fetch.listing.commit)?;
    }
    Ok(Resolved {
        directory: fetch.cache.snapshot(&fetch.listing.commit),
        commit: fetch.listing.commit,
    })
}

/// Uses the cache alone.
fn resolve_offline(
    id: &HubId,
    options: &HubOptions,
    cache: &RepositoryCache,
) -> Result<Resolved, HubError> {
    from_cache(id, options, cache, |commit| {
        let index = cache.snapshot(commit).join(INDEX);
        let mut needed = vec![CONFIG.to_owned()];
        if is_whole(&index, None) {
            needed.extend(shards(&index)?);
        } else {
            needed.push(SINGLE.to_owned());
        }
        Ok(needed)
    })
}

/// The snapshot of a revision, if the cache has the files that are needed of it.
fn from_cache(
    id: &HubId,
    options: &HubOptions,
    cache: &RepositoryCache,
    needed: impl FnOnce(&str) -> Result<Vec<String>, HubError>,
) -> Result<Resolved, HubError> {
    let offline = |missing| HubError::Offline {
        id: id.clone(),
        cache: options.cache.clone(),
        missing,
    };
    let Some(commit) = cache.commit_of(id.revision()) else {
        return Err(offline(vec![format!("the revision {}", id.revision())]));
    };
    let mut needed = needed(&commit)?;
    needed.retain(|file| !cache.has(&commit, file, None));
    if needed.is_empty() {
        Ok(Resolved {
            directory: cache.snapshot(&commit),
            commit,
        })
    } else {
        Err(offline(needed))
    }
}

/// The download of one commit.
struct Fetch<'a> {
    id: &'a HubId,
    client: Client<'a>,
    cache: RepositoryCache,
    listing: Listing,
    progress: &'a dyn HubProgress,
}

impl Fetch<'_> {
    /// Everything that is wanted and missing; the small files that show what the model is come first.
    fn all(&self) -> Result<(), HubError> {
        let has_index = self.listing.file(INDEX).is_some();
        if !has_index && self.listing.file(SINGLE).is_none() {
            return Err(HubError::NoWeights {
                id: self.id.clone(),
                commit: self.listing.commit.clone(),
            });
        }
        self.one(CONFIG)?;
        let mut files: Vec<String> = self.listing.beside().map(str::to_owned).collect();
        if has_index {
            self.one(INDEX)?;
            files.extend(shards(
                &self.cache.snapshot(&self.listing.commit).join(INDEX),
            )?);
        } else {
            files.push(SINGLE.to_owned());
        }
        self.announce(&files)?;
        files.iter().try_for_each(|file| self.one(file))
    }

    fn announce(&self, files: &[String]) -> Result<(), HubError> {
        let (mut count, mut bytes) = (0, 0_u64);
        for file in files {
            let listed = self.listed(file)?;
            if !self.cache.has(&self.listing.commit, file, listed.size) {
                count += 1;
                bytes = bytes.saturating_add(listed.size.unwrap_or(0));
            }
        }
        self.progress.planned(count, bytes);
        Ok(())
    }

    /// One file, unless the snapshot has it.
    fn one(&self, file: &str) -> Result<(), HubError> {
        let (commit, listed) = (&self.listing.commit, self.listed(file)?);
        if self.cache.has(commit, file, listed.size) {
            return Ok(());
        }
        let wanted = Backoff::new(self.client.options(), self.progress, file)
            .run(|| Wanted::ask(&self.client, commit, file, listed))?;
        let lock = self.cache.lock(&wanted.etag, file, self.progress)?;
        let blob = self.cache.blob(&wanted.etag);
        if !is_whole(&blob, Some(wanted.size)) {
            wanted.download(&self.client, &blob, self.progress)?;
        }
        self.cache.link(commit, file, &wanted.etag)?;
        drop(lock);
        self.progress.finished(file);
        Ok(())
    }

    fn listed(&self, file: &str) -> Result<&Listed, HubError> {
        let missing = || HubError::NoFile {
            id: self.id.clone(),
            commit: self.listing.commit.clone(),
            file: file.to_owned(),
        };
        self.listing.file(file).ok_or_else(missing)
    }
}
