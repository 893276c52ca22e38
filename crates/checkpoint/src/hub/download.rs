//! One file from the hub to a blob: resumed where a partial file is, checked, then renamed into place.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use sha2::{Digest, Sha256};
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use ureq::http::{HeaderMap, HeaderName, StatusCode};

use super::cache::create_parent;
use super::client::{Client, Reply};
use super::error::HubError;
use super::listing::{Listed, broken, is_sha256};
use super::progress::HubProgress;
use super::retry::Backoff;

const REPO_COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");
/// An attempt that brought this much counts as progress, so the number of attempts stays bounded by the size.
const PROGRESS: u64 = 1 << 20;
const CHUNK: usize = 1 << 18;

/// What a file has to become.
pub(super) struct Wanted<'a> {
    file: &'a str,
    url: String,
    /// The name of the blob.
    pub(super) etag: String,
    pub(super) size: u64,
    sha256: Option<String>,
}

impl<'a> Wanted<'a> {
    /// Asks the hub for a file's ETag and size; what the list of files said must agree.
    pub(super) fn ask(
        client: &Client<'_>,
        commit: &str,
        file: &'a str,
        listed: &Listed,
    ) -> Result<Self, HubError> {
        let url = client.file_url(commit, file);
        let reply = client.head(&url)?;
        let wrong = |reason: String| HubError::answer(&url, reason);
        if let Some(other) = text(&reply.hub_headers, &REPO_COMMIT).filter(|other| *other != commit)
        {
            return Err(wrong(format!("it is of commit {other:?}, not {commit}")));
        }
        let etag = etag_of(&reply)
            .ok_or_else(|| wrong("it has no ETag that can name a file".to_owned()))?;
        let size = size_of(&reply)
            .or(listed.size)
            .ok_or_else(|| wrong("it has no size".to_owned()))?;
        if listed.size.is_some_and(|listed| listed != size) {
            return Err(wrong(format!(
                "its size is {size}, but {:?} in the list of files",
                listed.size
            )));
        }
        let named_by_hash = is_sha256(&etag).then(|| etag.clone());
        if named_by_hash
            .as_ref()
            .zip(listed.sha256.as_ref())
            .is_some_and(|(named, listed)| named != listed)
        {
            return Err(wrong(
                "its ETag is another hash than the one in the list of files".to_owned(),
            ));
        }
        let sha256 = listed.sha256.clone().or(named_by_hash);
        Ok(Self {
            file,
            url,
            etag,
            size,
            sha256,
        })
    }

    /// Downloads to the blob's path, which has the whole file or does not change.
    pub(super) fn download(
        &self,
        client: &Client<'_>,
        blob: &Path,
        progress: &dyn HubProgress,
    ) -> Result<(), HubError> {
        let mut partial = Partial::open(blob, self.size)?;
        let mut backoff = Backoff::new(client.options(), progress, self.file);
        progress.position(self.file, partial.length, self.size);
        while partial.length < self.size {
            let before = partial.length;
            if let Err(error) = self.receive(client, &mut partial, progress) {
                if partial.length >= before.saturating_add(PROGRESS) {
                    backoff.reset();
                }
                backoff.pause(error)?;
            }
        }
        self.check(&partial)?;
        partial.file.sync_all()?;
        fs_err::rename(&partial.path, blob)?;
        Ok(())
    }

    /// One request, as far as its answer goes.
    fn receive(
        &self,
        client: &Client<'_>,
        partial: &mut Partial,
        progress: &dyn HubProgress,
    ) -> Result<(), HubError> {
        let mut reply = client.get(&self.url, partial.length)?;
        match (reply.response.status(), starts_at(&reply, self.size)) {
            (StatusCode::PARTIAL_CONTENT, Some(start)) if start == partial.length => {}
            (StatusCode::OK, _) => partial.clear()?,
            _ => {
                partial.remove()?;
                return Err(HubError::answer(
                    &reply.url,
                    "it is not the part of the file that was asked for",
                ));
            }
        }
        if let Some(rest) =
            length_of(&reply).filter(|rest| partial.length.checked_add(*rest) != Some(self.size))
        {
            return Err(self.wrong_size(partial, partial.length.saturating_add(rest)));
        }
        self.copy(&mut reply, partial, progress)
    }

    fn copy(
        &self,
        reply: &mut Reply,
        partial: &mut Partial,
        progress: &dyn HubProgress,
    ) -> Result<(), HubError> {
        let mut body = reply.response.body_mut().as_reader();
        let mut chunk = vec![0; CHUNK];
        while partial.length <= self.size {
            match body.read(&mut chunk) {
                Ok(0) if partial.length == self.size => return Ok(()),
                Ok(0) => return Err(broken(&reply.url, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => partial.append(&chunk[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(broken(&reply.url, source)),
            }
            progress.position(self.file, partial.length.min(self.size), self.size);
        }
        Err(self.wrong_size(partial, partial.length))
    }

    fn wrong_size(&self, partial: &Partial, found: u64) -> HubError {
        let error = HubError::Size {
            file: self.file.to_owned(),
            expected: self.size,
            found,
        };
        partial.remove().map_or_else(HubError::Cache, |()| error)
    }

    fn check(&self, partial: &Partial) -> Result<(), HubError> {
        let Some(expected) = &self.sha256 else {
            return Ok(());
        };
        let found = hex(&partial.hash.clone().finalize());
        if found == *expected {
            return Ok(());
        }
        partial.remove()?;
        Err(HubError::Digest {
            file: self.file.to_owned(),
            expected: expected.clone(),
            found,
        })
    }
}

/// A download that is under way, `BLOB.incomplete`, with the hash of what it has.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Sha256,
}

impl Partial {
    /// Opens what an earlier download left, or nothing if that is longer than the file.
    fn open(blob: &Path, size: u64) -> io::Result<Self> {
        create_parent(blob)?;
        let mut name = blob.as_os_str().to_owned();
        name.push(".incomplete");
        let path = PathBuf::from(name);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)?;
        let mut hash = Sha256::new();
        let length = io::copy(&mut file, &mut HashWriter(&mut hash))?;
        let mut partial = Self {
            path,
            file,
            length,
            hash,
        };
        if length > size {
            partial.clear()?;
        }
        Ok(partial)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.hash.reset();
        self.length = 0;
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        fs_err::remove_file(&self.path)
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where in the file a part begins, if it is a part of this file.
fn starts_at(reply: &Reply, size: u64) -> Option<u64> {
    let range = text(reply.response.headers(), &CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let same_size = total == "*" || total.parse() == Ok(size);
    first.parse().ok().filter(|_| same_size)
}

/// The ETag of the file's bytes, not of the pointer to them, if it can be the name of a file.
fn etag_of(reply: &Reply) -> Option<String> {
    let etag =
        text(&reply.hub_headers, &LINKED_ETAG).or_else(|| text(reply.response.headers(), &ETAG))?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    ((1..=128).contains(&etag.len()) && etag.bytes().all(allowed)).then(|| etag.to_owned())
}

fn size_of(reply: &Reply) -> Option<u64> {
    let linked = text(&reply.hub_headers, &LINKED_SIZE);
    linked.map_or_else(|| length_of(reply), |size| size.parse().ok())
}

/// The number of bytes of an answer that is not a redirect.
fn length_of(reply: &Reply) -> Option<u64> {
    let length = text(reply.response.headers(), &CONTENT_LENGTH)?
        .parse()
        .ok()?;
    reply.response.status().is_success().then_some(length)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
