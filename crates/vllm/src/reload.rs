//! The path for servers without adapters: a merged checkpoint takes the place of the base, in developer mode.

use std::time::Instant;

use serde_json::json;

use crate::fleet::Member;
use crate::publish::{is_away, returned};
use crate::{Fault, Fleet, MergedDirectory, Published, ServerError, SyncError, SyncPath, Version};

impl Fleet {
    /// Every server pauses, reads the checkpoint, forgets what it computed under the old one, and goes on. From then on only this version can be
    /// sampled; requests call it by the base's name.
    ///
    /// # Errors
    /// A server refuses. The servers then differ, and nothing can be sampled under the base or this version where it failed, until a reload
    /// goes well everywhere.
    pub fn reload(
        &mut self,
        step: u64,
        directory: &MergedDirectory,
    ) -> Result<Published, SyncError> {
        let begun = Instant::now();
        if self.path != SyncPath::Merged {
            return Err(SyncError::Path { path: self.path });
        }
        let version = Version::Step(step);
        let base = &self.base;
        let results = self.at_once(|member| reload(member, base, directory));
        let (mut have, mut away, mut refusal) = (Vec::new(), Vec::new(), None);
        for (place, result) in results.into_iter().enumerate() {
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            match result {
                Ok(()) => have.push(place),
                Err(error) if is_away(&member.server, &error) => away.push((place, error)),
                Err(source) => {
                    // Which weights it has is not known.
                    member.lost = Some(member.server.error(Fault::NoModel {
                        model: version.to_string(),
                        text: source.to_string(),
                    }));
                    refusal.get_or_insert(SyncError::Refused { version, source });
                }
            }
        }
        let settled = match refusal {
            Some(error) => Err(error),
            None => self.settle(version, self.base.clone(), &have, away),
        };
        for &place in &have {
            if let Some(member) = self.members.get_mut(place) {
                member.merged = Some(step);
            }
        }
        Ok(Published {
            seconds: begun.elapsed().as_secs_f64(),
            ..settled?
        })
    }
}

fn reload(member: &Member, base: &str, directory: &MergedDirectory) -> Result<(), ServerError> {
    let server = &member.server;
    if member.lost.is_some() {
        returned(server, base)?;
    }
    let path = directory.path();
    let path = path.to_str().ok_or_else(|| {
        server.error(Fault::Path {
            path: path.display().to_string(),
        })
    })?;
    server.order("/pause?mode=keep", &json!({}))?;
    let body = json!({"method": "reload_weights", "kwargs": {"weights_path": path}});
    let reloaded = server
        .order("/collective_rpc", &body)
        .and_then(|()| server.order("/reset_prefix_cache", &json!({})));
    // It goes on even if that failed: a paused server would answer nothing at all.
    let resumed = server.order("/resume", &json!({}));
    reloaded.and(resumed)
}
