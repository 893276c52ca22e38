//! A server with the hub's shape, and a second one in the role of the storage behind it, on two ports of this machine.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

use crate::wire::{Answer, Fault, Request, read_request, take_range, write_answer};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const REPOSITORY: &str = "org/tiny";

#[derive(Default)]
pub(crate) struct State {
    /// Name, bytes, whether the file is in the storage behind the hub.
    pub(crate) files: BTreeMap<String, (Vec<u8>, bool)>,
    /// The commit of `main`.
    pub(crate) commit: String,
    /// The commit that the list of files claims, if another.
    pub(crate) listed_commit: Option<String>,
    pub(crate) token: Option<&'static str>,
    /// Method, end of the path, how often, what.
    pub(crate) faults: Vec<(&'static str, &'static str, usize, Fault)>,
    pub(crate) requests: Vec<Request>,
    storage: String,
}

/// The two servers; their threads end with the test's process.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let (hub, storage) = (listen(), listen());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let endpoint = address(&hub);
        let state = State {
            storage: address(&storage),
            commit: COMMIT.to_owned(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        serve(hub, true, &state);
        serve(storage, false, &state);
        Self { endpoint, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn add(&self, name: &str, bytes: impl Into<Vec<u8>>, in_storage: bool) {
        self.state()
            .files
            .insert(name.to_owned(), (bytes.into(), in_storage));
    }

    pub(crate) fn fail(
        &self,
        method: &'static str,
        path: &'static str,
        times: usize,
        fault: Fault,
    ) {
        self.state().faults.push((method, path, times, fault));
    }

    /// The requests so far, which are forgotten.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The ETag of a file: its SHA-256 in storage, else 40 digits as of a git object.
pub(crate) fn etag(bytes: &[u8], in_storage: bool) -> String {
    let hash = sha256(bytes);
    if in_storage {
        hash
    } else {
        hash[..40].to_owned()
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn serve(listener: TcpListener, on_hub: bool, state: &Arc<Mutex<State>>) {
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, state) = (stream.unwrap(), Arc::clone(&state));
            std::thread::spawn(move || answer(stream, on_hub, &state));
        }
    });
}

fn answer(mut stream: TcpStream, on_hub: bool, state: &Mutex<State>) {
    let Some(request) = read_request(&stream, on_hub) else {
        return;
    };
    let (mut answer, fault) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let fault = state.take_fault(&request);
        let answer = if on_hub {
            state.hub_answer(&request)
        } else {
            state.storage_answer(&request)
        };
        (answer, fault)
    };
    if let (Some(range), 200, "GET") = (
        request.header("range"),
        answer.status,
        request.method.as_str(),
    ) && fault != Some(Fault::IgnoreRange)
    {
        take_range(&mut answer, range);
    }
    // The client may have hung up, which is its right.
    drop(write_answer(&mut stream, &request, answer, fault));
}

impl State {
    fn take_fault(&mut self, request: &Request) -> Option<Fault> {
        let path = request.plain_path();
        let fits = |(method, end, left, _): &&mut (&str, &str, usize, Fault)| {
            *left > 0 && request.method == *method && path.ends_with(*end)
        };
        let (_, _, left, fault) = self.faults.iter_mut().find(fits)?;
        *left -= 1;
        Some(fault.clone())
    }

    fn hub_answer(&self, request: &Request) -> Answer {
        // A set of data of the same name has the same files.
        let path = request.plain_path();
        let path = path.replacen("/api/datasets/", "/api/models/", 1);
        let path = path.strip_prefix("/datasets").unwrap_or(&path);
        let wanted = self.token.map(|token| format!("Bearer {token}"));
        if wanted.is_some() && wanted.as_deref() != request.header("authorization") {
            return Answer::error(401, "GatedRepo");
        }
        let known = |revision: &str| {
            revision == "main" || revision == "refs%2Fpr%2F1" || revision == self.commit
        };
        if let Some(revision) = path.strip_prefix("/api/models/org/tiny/revision/") {
            return if known(revision) {
                self.listing()
            } else {
                Answer::error(404, "RevisionNotFound")
            };
        }
        if let Some(name) = path.strip_prefix("/moved/") {
            return self.file(name, false);
        }
        let rest = path
            .strip_prefix("/org/tiny/resolve/")
            .and_then(|rest| rest.split_once('/'));
        match rest {
            Some((revision, name)) if known(revision) => self.file(name, true),
            _ => Answer::error(404, "RepoNotFound"),
        }
    }

    fn listing(&self) -> Answer {
        let siblings = self.files.iter().map(|(name, (bytes, in_storage))| {
            let mut file = serde_json::json!({ "rfilename": name, "size": bytes.len() });
            if *in_storage {
                file["lfs"] = serde_json::json!({ "sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            file
        });
        let siblings: Vec<_> = siblings.collect();
        let json = serde_json::json!({ "id": REPOSITORY, "sha": self.listed_commit.as_ref().unwrap_or(&self.commit), "siblings": siblings });
        Answer::new(
            200,
            &[("content-type", "application/json".to_owned())],
            json.to_string(),
        )
    }

    fn file(&self, name: &str, may_redirect: bool) -> Answer {
        let Some((bytes, in_storage)) = self.files.get(name) else {
            return Answer::error(404, "EntryNotFound");
        };
        let etag = etag(bytes, *in_storage);
        let commit = ("x-repo-commit", self.commit.clone());
        if *in_storage {
            let location = format!("{}/{etag}?signature=secret", self.storage);
            let linked_etag = ("x-linked-etag", format!("\"{etag}\""));
            let linked_size = ("x-linked-size", bytes.len().to_string());
            let own_etag = ("etag", "\"of-the-pointer\"".to_owned());
            return Answer::new(
                302,
                &[
                    ("location", location),
                    commit,
                    linked_etag,
                    linked_size,
                    own_etag,
                ],
                "found",
            );
        }
        if may_redirect && name == "tokenizer.json" {
            return Answer::new(
                307,
                &[("location", format!("/moved/{name}")), commit],
                "moved",
            );
        }
        let headers = [
            ("etag", format!("\"{etag}\"")),
            commit,
            ("accept-ranges", "bytes".to_owned()),
        ];
        Answer::new(200, &headers, bytes.clone())
    }

    fn storage_answer(&self, request: &Request) -> Answer {
        let hash = request.plain_path().trim_start_matches('/');
        if request.header("authorization").is_some() {
            return Answer::error(400, "TwoWaysToAuthorize");
        }
        let found = self.files.values().find(|(bytes, _)| sha256(bytes) == hash);
        match found {
            Some((bytes, _)) => Answer::new(
                200,
                &[("etag", "\"of-the-storage\"".to_owned())],
                bytes.clone(),
            ),
            None => Answer::error(404, "NoSuchKey"),
        }
    }
}
