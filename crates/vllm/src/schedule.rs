//! Which server draws which sample next. Groups go, in their order, to the server with the fewest samples outstanding; all samples of
//! a group go to one server, which then computes their prompt once. Those of a lost server go to the others.

use std::collections::VecDeque;

/// A sample that is to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) group: usize,
    pub(crate) sample: usize,
}

#[derive(Debug)]
struct Line {
    usable: bool,
    queue: VecDeque<Job>,
    running: usize,
}

impl Line {
    fn outstanding(&self) -> usize {
        self.queue.len() + self.running
    }
}

/// The samples of a step on their way.
#[derive(Debug)]
pub(crate) struct Schedule {
    lines: Vec<Line>,
    sizes: Vec<usize>,
    servers: Vec<Option<usize>>,
    next: usize,
    /// Samples that a server runs at once.
    places: usize,
    left: usize,
}

impl Schedule {
    /// Groups of so many samples, for servers that can be used or not.
    pub(crate) fn new(sizes: Vec<usize>, usable: &[bool], places: usize) -> Self {
        let lines = usable.iter().map(|&usable| Line {
            usable,
            queue: VecDeque::new(),
            running: 0,
        });
        let mut schedule = Self {
            lines: lines.collect(),
            servers: vec![None; sizes.len()],
            next: 0,
            places: places.max(1),
            left: sizes.iter().sum(),
            sizes,
        };
        schedule.fill();
        schedule
    }

    /// The next sample of a server.
    pub(crate) fn take(&mut self, server: usize) -> Option<Job> {
        let line = self.lines.get_mut(server)?;
        let job = line.queue.pop_front()?;
        line.running += 1;
        Some(job)
    }

    /// A server has drawn a sample.
    pub(crate) fn done(&mut self, server: usize) {
        self.leave(server);
        self.left = self.left.saturating_sub(1);
        self.fill();
    }

    /// A server could not draw a sample and is not used any more; it and all that waited there go to others.
    pub(crate) fn lose(&mut self, server: usize, job: Job) {
        self.leave(server);
        let mut homeless = vec![job];
        if let Some(line) = self.lines.get_mut(server) {
            line.usable = false;
            homeless.extend(line.queue.drain(..));
        }
        for job in homeless {
            self.move_on(job);
        }
        self.fill();
    }

    /// Whether a server takes samples.
    pub(crate) fn is_usable(&self, server: usize) -> bool {
        self.lines.get(server).is_some_and(|line| line.usable)
    }

    /// Whether no server takes samples.
    pub(crate) fn is_stranded(&self) -> bool {
        self.lines.iter().all(|line| !line.usable)
    }

    /// Whether all samples are drawn.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    fn leave(&mut self, server: usize) {
        if let Some(line) = self.lines.get_mut(server) {
            line.running = line.running.saturating_sub(1);
        }
    }

    fn move_on(&mut self, job: Job) {
        let here = self.servers.get(job.group).copied().flatten();
        let here = here.filter(|&server| self.is_usable(server));
        let Some(server) = here.or_else(|| self.idlest()) else {
            return;
        };
        if let Some(place) = self.servers.get_mut(job.group) {
            *place = Some(server);
        }
        if let Some(line) = self.lines.get_mut(server) {
            line.queue.push_back(job);
        }
    }

    /// Gives out groups while a server has a free place.
    fn fill(&mut self) {
        while let Some(&size) = self.sizes.get(self.next) {
            let Some(server) = self.idlest() else { return };
            let Some(line) = self.lines.get_mut(server) else {
                return;
            };
            if line.outstanding() >= self.places {
                return;
            }
            let group = self.next;
            line.queue
                .extend((0..size).map(|sample| Job { group, sample }));
            if let Some(place) = self.servers.get_mut(group) {
                *place = Some(server);
            }
            self.next += 1;
        }
    }

    /// The server with the fewest samples outstanding; the first of equals.
    fn idlest(&self) -> Option<usize> {
        let usable = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.usable);
        usable
            .min_by_key(|(_, line)| line.outstanding())
            .map(|(server, _)| server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(schedule: &mut Schedule, server: usize) -> Vec<Job> {
        std::iter::from_fn(|| schedule.take(server)).collect()
    }

    #[test]
    fn samples_of_a_group_stay_together() {
        let mut schedule = Schedule::new(vec![3, 3, 3, 3], &[true, true], 4);
        let groups = |jobs: Vec<Job>| jobs.iter().map(|job| job.group).collect::<Vec<_>>();
        assert_eq!(groups(drain(&mut schedule, 0)), [0, 0, 0, 2, 2, 2]);
        assert_eq!(groups(drain(&mut schedule, 1)), [1, 1, 1, 3, 3, 3]);
    }

    #[test]
    fn groups_wait_for_a_free_place() {
        let mut schedule = Schedule::new(vec![2, 2, 2], &[true], 2);
        assert_eq!(drain(&mut schedule, 0).len(), 2);
        schedule.done(0);
        assert_eq!(drain(&mut schedule, 0).len(), 2);
        assert!(!schedule.is_done());
    }

    #[test]
    fn a_lost_server_loses_no_sample() {
        let mut schedule = Schedule::new(vec![2; 5], &[true, true], 8);
        let first = schedule.take(0).unwrap();
        let second = schedule.take(0).unwrap();
        schedule.lose(0, first);
        schedule.lose(0, second);
        let mut jobs = drain(&mut schedule, 1);
        jobs.extend(drain(&mut schedule, 0));
        jobs.sort_by_key(|job| (job.group, job.sample));
        let all = (0..5).flat_map(|group| (0..2).map(move |sample| Job { group, sample }));
        assert_eq!(jobs, all.collect::<Vec<_>>());
        assert!(!schedule.is_stranded());
        schedule.lose(1, first);
        assert!(schedule.is_stranded());
    }
}
