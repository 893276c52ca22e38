//! Which samples are running, which wait, and whose rows of the cache are whose.

use super::sample::{Sampling, Stream, draw};
use super::{Request, Sample};
use crate::decoder::batch::{Batch, Run, aligned};

/// Where a row of logits belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The next token of a running sample, by its slot.
    Slot(usize),
    /// The first token of all samples of a prompt, by the prompt's area.
    Prompt(usize),
}

impl Source {
    pub(super) const fn slot(self) -> Option<usize> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::Prompt(_) => None,
        }
    }

    pub(super) const fn is_slot(self) -> bool {
        matches!(self, Self::Slot(_))
    }
}

/// A prompt that samples run on.
struct Loaded {
    request: usize,
    run: Run,
    /// The logits after its last token, once they are there.
    logits: Option<Vec<f32>>,
    /// Samples that have not ended.
    open: usize,
    /// Samples that have not begun.
    waiting: usize,
}

/// A running sample.
struct Running {
    request: usize,
    number: usize,
    area: usize,
    own: Run,
    stream: Option<Stream>,
    sample: Sample,
}

pub(super) struct Slots<'a> {
    requests: &'a [Request<'a>],
    max_new_tokens: usize,
    prompt_rows: usize,
    own_rows: usize,
    areas: Vec<Option<Loaded>>,
    running: Vec<Option<Running>>,
    /// The request of the next sample, and its number.
    next: (usize, usize),
    done: Vec<Vec<Sample>>,
}

impl<'a> Slots<'a> {
    /// `ahead` tokens of a sample may be computed after its last one.
    pub(super) fn new(
        requests: &'a [Request<'a>],
        sampling: &Sampling,
        slots: usize,
        ahead: usize,
    ) -> Self {
        let samples: usize = requests.iter().map(|request| request.samples).sum();
        let slots = slots.min(samples).max(1);
        let longest = requests.iter().map(|request| request.prompt.len()).max();
        let fewest = requests.iter().map(|request| request.samples.max(1)).min();
        let areas = (slots / fewest.unwrap_or(1) + 2).min(requests.len().max(1));
        Self {
            requests,
            max_new_tokens: sampling.max_new_tokens,
            prompt_rows: aligned(longest.unwrap_or(1)),
            own_rows: aligned(sampling.max_new_tokens + ahead),
            areas: (0..areas).map(|_| None).collect(),
            running: (0..slots).map(|_| None).collect(),
            next: (0, 0),
            done: requests
                .iter()
                .map(|request| vec![Sample::default(); request.samples])
                .collect(),
        }
    }

    /// Rows of the cache: an area for each prompt that is in use, one for each slot.
    pub(super) fn rows(&self) -> usize {
        self.areas.len() * self.prompt_rows + self.running.len() * self.own_rows
    }

    /// Starts samples in free slots; false if nothing is left to do.
    pub(super) fn refill(&mut self) -> bool {
        for slot in 0..self.running.len() {
            if self.running[slot].is_some() {
                continue;
            }
            while self.next.0 < self.requests.len()
                && self.next.1 >= self.requests[self.next.0].samples
            {
                self.next = (self.next.0 + 1, 0);
            }
            let (request, number) = self.next;
            if request >= self.requests.len() {
                break;
            }
            let Some(area) = self.area(request) else {
                break;
            };
            self.next.1 += 1;
            let start = self.areas.len() * self.prompt_rows + slot * self.own_rows;
            self.running[slot] = Some(Running {
                request,
                number,
                area,
                own: Run { start, len: 0 },
                stream: None,
                sample: Sample::default(),
            });
        }
        self.running.iter().any(Option::is_some)
    }

    /// The area of a prompt, a free one if it has none yet.
    fn area(&mut self, request: usize) -> Option<usize> {
        let of = |area: &Option<Loaded>| area.as_ref().is_some_and(|a| a.request == request);
        if let Some(found) = self.areas.iter().position(of) {
            return Some(found);
        }
        let free = self.areas.iter().position(Option::is_none)?;
        let samples = self.requests[request].samples;
        self.areas[free] = Some(Loaded {
            request,
            run: Run {
                start: free * self.prompt_rows,
                len: 0,
            },
            logits: None,
            open: samples,
            waiting: samples,
        });
        Some(free)
    }

    /// Puts the last token of each running sample and up to `limit` tokens of new prompts into the batch. Gives whose logits
    /// are wanted, with the number of the token in the batch: samples first.
    pub(super) fn fill(&mut self, batch: &mut Batch, limit: usize) -> Vec<(Source, usize)> {
        let mut sources = Vec::new();
        for (slot, running) in self.running.iter_mut().enumerate() {
            let Some(running) = running else { continue };
            let (Some(&last), Some(area)) =
                (running.sample.tokens.last(), &self.areas[running.area])
            else {
                continue;
            };
            let adapter = self.requests[running.request].adapter;
            let number = batch.push_for(adapter, last, area.run, &mut running.own);
            sources.push((Source::Slot(slot), number));
        }
        let mut left = limit;
        for (number, area) in self.areas.iter_mut().enumerate() {
            let Some(area) = area else { continue };
            let Request {
                prompt, adapter, ..
            } = self.requests[area.request];
            let rest = &prompt[area.run.len..];
            let now = rest.len().min(left);
            left -= now;
            let mut last = None;
            for &id in &rest[..now] {
                last = Some(batch.push_for(adapter, id, Run::default(), &mut area.run));
            }
            if let Some(last) = last.filter(|_| area.run.len == prompt.len()) {
                sources.push((Source::Prompt(number), last));
            }
        }
        sources
    }

    /// Keeps the logits after prompts that are now complete: a row for each source.
    pub(super) fn take_prompt_logits(&mut self, sources: &[(Source, usize)], logits: &[f32]) {
        let rows = logits.chunks_exact((logits.len() / sources.len().max(1)).max(1));
        for ((source, _), row) in sources.iter().zip(rows) {
            if let Source::Prompt(area) = source
                && let Some(area) = &mut self.areas[*area]
            {
                area.logits = Some(row.to_vec());
            }
        }
    }

    /// Draws the first token of samples whose prompt is complete; gives how many.
    pub(super) fn draw_first(&mut self, sampling: &Sampling) -> usize {
        let mut drawn = 0;
        for slot in 0..self.running.len() {
            let Some(running) = &self.running[slot] else {
                continue;
            };
            let Some(area) = &mut self.areas[running.area] else {
                continue;
            };
            let Some(logits) = area
                .logits
                .as_ref()
                .filter(|_| running.sample.tokens.is_empty())
            else {
                continue;
            };
            let id = self.requests[running.request].id;
            let mut stream = Stream::new(sampling, id, running.number);
            let token = draw(&mut logits.clone(), sampling, &mut stream);
            area.waiting -= 1;
            if area.waiting == 0 {
                // Nobody needs them any more, and they are as long as the vocabulary.
                area.logits = None;
            }
            self.push(slot, stream, &[token], sampling);
            drawn += 1;
        }
        drawn
    }

    /// The last token of each running sample with the slot, if all samples have one and no prompt is still to be computed.
    #[cfg(feature = "cuda")]
    pub(super) fn decoding(&self) -> Option<Vec<(usize, u32)>> {
        let complete = |area: &Loaded| area.run.len == self.requests[area.request].prompt.len();
        if !self.areas.iter().flatten().all(complete) {
            return None;
        }
        let running = self.running.iter().enumerate();
        let running = running.filter_map(|(slot, running)| Some((slot, running.as_ref()?)));
        running
            .map(|(slot, running)| Some((slot, *running.sample.tokens.last()?)))
            .collect()
    }

    /// Steps until no running sample may go on.
    #[cfg(feature = "cuda")]
    pub(super) fn longest(&self) -> usize {
        let running = self.running.iter().flatten();
        let left = running.map(|running| self.max_new_tokens - running.sample.tokens.len());
        left.max().unwrap_or(0)
    }

    /// Puts a token of a running sample into the batch that is not drawn yet.
    #[cfg(feature = "cuda")]
    pub(super) fn go_ahead(&mut self, slot: usize, batch: &mut Batch) {
        if let Some(running) = &mut self.running[slot]
            && let Some(area) = &self.areas[running.area]
        {
            let adapter = self.requests[running.request].adapter;
            batch.push_for(adapter, 0, area.run, &mut running.own);
        }
    }

    pub(super) fn take_stream(&mut self, slot: usize) -> Option<Stream> {
        self.running[slot].as_mut()?.stream.take()
    }

    /// A sample's next tokens, up to the one that ends it; gives how many. One that ends leaves its slot, and the last one of a
    /// prompt its area.
    pub(super) fn push(
        &mut self,
        slot: usize,
        stream: Stream,
        tokens: &[(u32, f32)],
        sampling: &Sampling,
    ) -> usize {
        let Some(mut running) = self.running[slot].take() else {
            return 0;
        };
        for (&(token, log_prob), taken) in tokens.iter().zip(1..) {
            running.sample.tokens.push(token);
            running.sample.log_probs.push(log_prob);
            let stopped = sampling.stop.contains(&token);
            if stopped || running.sample.tokens.len() >= self.max_new_tokens {
                running.sample.truncated = !stopped;
                self.end(running);
                return taken;
            }
        }
        running.stream = Some(stream);
        self.running[slot] = Some(running);
        tokens.len()
    }

    fn end(&mut self, running: Running) {
        self.done[running.request][running.number] = running.sample;
        if let Some(area) = &mut self.areas[running.area] {
            area.open -= 1;
            if area.open == 0 {
                self.areas[running.area] = None;
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Vec<Sample>> {
        self.done
    }
}
