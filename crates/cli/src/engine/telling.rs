//! What is said of servers on the way, and what `timing.jsonl` has of them.

use std::fmt::Display;

use serde_json::{Value, json};
use tlora_vllm::{Published, SyncCheck, Throughput};

use crate::escape::Untrusted;
use crate::terminal::{note, warn};

/// Records since the last step.
#[derive(Default)]
pub(super) struct Telling {
    published: Vec<Value>,
    generated: Vec<Value>,
}

impl Telling {
    /// A version is on the servers.
    pub(super) fn published(&mut self, version: u64, published: &Published, written: f64) {
        for url in &published.back {
            note(format_args!("{} is back", Untrusted(url)));
        }
        self.lost(&published.lost);
        self.published.push(json!({
            "policy_step": version, "model": published.model, "servers": published.servers,
            "write_seconds": written, "load_seconds": published.seconds,
        }));
    }

    /// Servers that do not answer.
    pub(super) fn lost(&self, reasons: impl IntoIterator<Item = impl Display>) {
        for reason in reasons {
            warn(format_args!(
                "a server is left out until the next version: {}",
                Untrusted(reason)
            ));
        }
    }

    /// The servers moved as the learner did.
    pub(super) fn checked(&mut self, checks: &[SyncCheck]) {
        let Some(last) = self.published.last_mut() else {
            return;
        };
        let checks = checks.iter().map(|check| {
            json!({
                "url": check.url, "learner": check.learner, "server": check.server,
                "difference": check.difference, "decided": check.decided,
            })
        });
        last["checks"] = checks.collect();
    }

    /// Samples of some prompts are drawn.
    pub(super) fn generated(&mut self, servers: &[Throughput]) {
        for server in servers {
            if let Some(reason) = &server.lost {
                warn(format_args!(
                    "a server is left out until the next version, and the others draw what it had not: {}",
                    Untrusted(reason)
                ));
            }
        }
        let servers = servers.iter().map(|server| {
            json!({
                "url": server.url, "tokens": server.tokens, "samples": server.samples,
                "requests": server.requests, "retries": server.retries,
                "seconds": server.seconds, "lost": server.lost,
            })
        });
        self.generated.push(servers.collect());
    }

    /// All since the last call.
    pub(super) fn take(&mut self) -> Value {
        let Self {
            published,
            generated,
        } = std::mem::take(self);
        json!({ "published": published, "generated": generated })
    }
}

/// What did not go well, and changes no sample.
pub(super) fn problems(problems: &[String]) {
    for problem in problems {
        warn(format_args!(
            "old weights were not cleared away: {}",
            Untrusted(problem)
        ));
    }
}
