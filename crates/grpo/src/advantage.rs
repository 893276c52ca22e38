//! Advantages: how much better a completion is than the others of its prompt.

use crate::settings::AdvantageScale;

/// What the rewards of a group say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// They differ: there is something to learn.
    Mixed,
    /// All scorable ones are equal, and positive.
    AllRight,
    /// All scorable ones are equal, and 0 or less.
    AllWrong,
    /// None is scorable.
    Unscorable,
}

/// The advantages of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Advantages {
    /// One for each completion; 0 where the reward is unscorable.
    pub values: Vec<f64>,
    /// One for each group.
    pub spreads: Vec<Spread>,
}

/// (reward − mean of the group) / (standard deviation + `epsilon`), with the sample deviation (n − 1).
///
/// `groups` has the rewards of each group's completions; `None` is unscorable, left out of mean and deviation, and so is a reward
/// that is not finite. A group of one has the advantage 0, as in TRL.
#[must_use]
pub fn advantages(groups: &[Vec<Option<f64>>], scale: AdvantageScale, epsilon: f64) -> Advantages {
    let all: Vec<f64> = groups.iter().flatten().filter_map(scorable).collect();
    let whole = deviation(&all);
    let (mut values, mut spreads) = (Vec::new(), Vec::new());
    for group in groups {
        let rewards: Vec<f64> = group.iter().filter_map(scorable).collect();
        let mean = mean(&rewards);
        let divisor = match scale {
            AdvantageScale::Group => deviation(&rewards) + epsilon,
            AdvantageScale::Batch => whole + epsilon,
            AdvantageScale::None => 1.0,
        };
        let spread = spread(&rewards);
        let advantage = |reward| match (scorable(reward), spread) {
            // Exactly 0 where all are equal, whatever the rounding of the mean.
            (Some(reward), Spread::Mixed) => (reward - mean) / divisor,
            _ => 0.0,
        };
        values.extend(group.iter().map(advantage));
        spreads.push(spread);
    }
    Advantages { values, spreads }
}

fn scorable(reward: &Option<f64>) -> Option<f64> {
    reward.filter(|reward| reward.is_finite())
}

fn spread(rewards: &[f64]) -> Spread {
    match rewards {
        [] => Spread::Unscorable,
        [first, rest @ ..] if rest.iter().all(|reward| reward == first) => {
            if *first > 0.0 {
                Spread::AllRight
            } else {
                Spread::AllWrong
            }
        }
        _ => Spread::Mixed,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of completions")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The sample standard deviation; 0 for less than two.
#[expect(clippy::cast_precision_loss, reason = "counts of completions")]
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// DAPO's soft punishment of long completions: 0 up to `limit` − `buffer` tokens, then falling to −1 at `limit`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
pub fn overlong_penalty(tokens: usize, limit: usize, buffer: usize) -> f64 {
    let start = limit.saturating_sub(buffer);
    if tokens <= start || buffer == 0 {
        return 0.0;
    }
    -(((tokens - start) as f64 / buffer as f64).min(1.0))
}
