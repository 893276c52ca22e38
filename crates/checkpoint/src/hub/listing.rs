//! Which files a repository has at a revision, and which of them a checkpoint needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::client::Client;
use super::error::HubError;
use super::id::{is_commit, is_lower_hex};
use crate::companions::reason;
use crate::index::Index;

pub(super) const CONFIG: &str = "config.json";
pub(super) const SINGLE: &str = "model.safetensors";

const MAX_LISTING: u64 = 64 << 20;
const MAX_INDEX: u64 = 100_000_000;

/// The files of a repository at one commit.
pub(super) struct Listing {
    pub(super) commit: String,
    files: BTreeMap<String, Listed>,
}

/// What the list says of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    pub(super) size: Option<u64>,
    /// 64 lower-case hexadecimal digits.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct RevisionJson {
    sha: String,
    siblings: Vec<SiblingJson>,
}

#[derive(Deserialize)]
struct SiblingJson {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<LfsJson>,
}

#[derive(Deserialize)]
struct LfsJson {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Asks the hub.
    pub(super) fn fetch(client: &Client<'_>) -> Result<Self, HubError> {
        let url = client.listing_url();
        let mut reply = client.get(&url, 0)?;
        let mut body = Vec::new();
        let mut reader = reply.response.body_mut().as_reader().take(MAX_LISTING);
        reader
            .read_to_end(&mut body)
            .map_err(|source| broken(&url, source))?;
        Self::parse(&url, &body)
    }

    fn parse(url: &str, body: &[u8]) -> Result<Self, HubError> {
        let json: RevisionJson = serde_json::from_slice(body).map_err(|source| {
            HubError::answer(
                url,
                format!("not the description of a repository: {source}"),
            )
        })?;
        if !is_commit(&json.sha) {
            return Err(HubError::answer(
                url,
                format!("{:?} is not a commit", json.sha),
            ));
        }
        let files = json
            .siblings
            .into_iter()
            .map(|file| (file.rfilename, Listed::from_json(file.size, file.lfs)));
        Ok(Self {
            commit: json.sha,
            files: files.collect(),
        })
    }

    /// What is known of a file, if the model has it.
    pub(super) fn file(&self, name: &str) -> Option<&Listed> {
        self.files.get(name)
    }

    /// The files that are wanted beside the config and the weights: what a merged checkpoint needs too.
    pub(super) fn beside(&self) -> impl Iterator<Item = &str> {
        let names = self.files.keys().map(String::as_str);
        names.filter(|name| *name != CONFIG && is_plain(name) && reason(name).is_none())
    }
}

impl Listed {
    fn from_json(size: Option<u64>, lfs: Option<LfsJson>) -> Self {
        let Some(lfs) = lfs else {
            return Self { size, sha256: None };
        };
        Self {
            size: lfs.size.or(size),
            sha256: lfs.sha256.filter(|text| is_sha256(text)),
        }
    }
}

/// The shards that an index file names, as plain names of safetensors files.
pub(super) fn shards(path: &Path) -> Result<BTreeSet<String>, HubError> {
    let mut json = Vec::new();
    fs_err::File::open(path)?
        .take(MAX_INDEX)
        .read_to_end(&mut json)?;
    let path = || path.to_path_buf();
    let index = Index::parse(&json).map_err(|source| HubError::Index {
        path: path(),
        source: Box::new(source),
    })?;
    match index
        .shards()
        .into_iter()
        .find(|shard| !is_shard_name(shard))
    {
        Some(shard) => Err(HubError::ShardName {
            path: path(),
            shard: shard.to_owned(),
        }),
        None => Ok(index.shards().into_iter().map(str::to_owned).collect()),
    }
}

fn is_shard_name(name: &str) -> bool {
    is_plain(name) && name.ends_with(".safetensors")
}

/// Whether a name from the server stands for a file in the directory itself, on every system.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && !name
            .chars()
            .any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

/// A body that could not be read to its end.
pub(super) fn broken(url: &str, source: std::io::Error) -> HubError {
    HubError::Connection {
        url: super::error::without_query(url),
        transient: true,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn listing(names: &[&str]) -> Listing {
        let siblings: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({ "rfilename": name }))
            .collect();
        let json = serde_json::json!({ "sha": COMMIT, "siblings": siblings });
        Listing::parse("http://hub/", json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_what_a_checkpoint_needs_is_wanted() {
        let names = [
            "tokenizer.json",
            "modeling.py",
            "pytorch_model.bin",
            "../evil",
            "/etc/passwd",
            "onnx/tokenizer.json",
            "tokenizer/../../evil.json",
            "tokenizer\\..\\evil.json",
            "tokenizer\0.json",
            "README.md",
        ];
        assert_eq!(
            listing(&names).beside().collect::<Vec<_>>(),
            ["tokenizer.json"]
        );
    }

    #[test]
    fn a_commit_that_is_not_a_hash_is_refused() {
        for sha in ["../../evil", "main", "", &COMMIT.to_uppercase()] {
            let json = serde_json::json!({ "sha": sha, "siblings": [] }).to_string();
            assert!(
                matches!(
                    Listing::parse("http://hub/", json.as_bytes()),
                    Err(HubError::Answer { .. })
                ),
                "{sha}"
            );
        }
    }

    #[test]
    fn shards_lie_beside_their_index() {
        for name in [
            "../model.safetensors",
            "/model.safetensors",
            "a\\b.safetensors",
            "shard.bin",
            ".safetensors",
            "..",
            "c:a.safetensors",
            "a\0.safetensors",
        ] {
            assert!(!is_shard_name(name), "{name:?}");
        }
        assert!(is_shard_name("model-00001-of-00002.safetensors"));
    }
}
