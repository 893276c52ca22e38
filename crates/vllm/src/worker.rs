//! What the threads of a step share, and what each of them does: it takes a sample, has it drawn, and tells.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::schedule::{Job, Schedule};
use crate::{Fault, Prompt, Sample, Sampling, Server, ServerError, Throughput};

/// What a thread tells.
pub(crate) enum Event {
    Drawn(Job, Sample),
    Fatal(ServerError),
    AllDown,
}

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) sampling: Sampling,
    pub(crate) begun: Instant,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

pub(crate) struct State {
    pub(crate) schedule: Schedule,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) lost: BTreeMap<usize, ServerError>,
    pub(crate) stop: bool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next sample of a server; nothing if there will be none.
    fn next(&self, server: usize) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stop || state.schedule.is_done() || !state.schedule.is_usable(server) {
                return None;
            }
            if let Some(job) = state.schedule.take(server) {
                return Some(job);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn going(&self, server: usize) -> bool {
        let state = self.lock();
        !state.stop && state.schedule.is_usable(server)
    }

    /// Enters what became of a sample.
    fn settle(
        &self,
        server: &Server,
        place: usize,
        job: Job,
        result: Result<Sample, Fault>,
        retries: u32,
    ) -> Option<Event> {
        let mut state = self.lock();
        let seconds = self.begun.elapsed().as_secs_f64();
        if let Some(record) = state.throughput.get_mut(place) {
            let retries = usize::try_from(retries).unwrap_or(usize::MAX);
            record.retries += retries;
            record.requests += retries + 1;
            if let Ok(sample) = &result {
                record.samples += 1;
                record.tokens += sample.tokens.len();
                record.seconds = seconds;
            }
        }
        let event = match result {
            Ok(sample) => {
                state.schedule.done(place);
                Some(Event::Drawn(job, sample))
            }
            Err(fault) if fault.moves() => {
                state.schedule.lose(place, job);
                // The first fault is the cause; what follows are its effects.
                state
                    .lost
                    .entry(place)
                    .or_insert_with(|| server.error(fault));
                state.schedule.is_stranded().then_some(Event::AllDown)
            }
            Err(fault) => Some(Event::Fatal(server.error(fault))),
        };
        state.stop |= matches!(event, Some(Event::AllDown | Event::Fatal(_)));
        drop(state);
        self.changed.notify_all();
        event
    }

    /// One thread of a server.
    pub(crate) fn work(&self, server: &Server, place: usize, model: &str, events: &Sender<Event>) {
        while let Some(job) = self.next(place) {
            let Some((prompt, &seed)) = self
                .prompts
                .get(job.group)
                .and_then(|prompt| Some((prompt, prompt.seeds.get(job.sample)?)))
            else {
                return;
            };
            let mut retries = 0;
            let going = || self.going(place);
            let result = server.sample_while(
                model,
                &prompt.tokens,
                &self.sampling,
                seed,
                &mut retries,
                &going,
            );
            if let Some(event) = self.settle(server, place, job, result, retries) {
                // Nobody hears it once the step has failed.
                events.send(event).ok();
            }
        }
    }
}
