//! Micro-batches: groups of samples that are computed together, by a budget of tokens.

use tlora_model::PromptGroup;

/// Samples of one prompt in one micro-batch, by their numbers in the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The group.
    pub group: usize,
    /// Its first sample here.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// Divides the groups into micro-batches of at most `budget` tokens each. A group that is larger is divided too, and its prompt
/// then computed for each part; a single sample is never divided.
pub(crate) fn micro_batches(groups: &[PromptGroup<'_>], budget: usize) -> Vec<Vec<Piece>> {
    let mut batches = vec![Vec::new()];
    let mut left = budget;
    for (number, group) in groups.iter().enumerate() {
        let mut piece: Option<Piece> = None;
        for (sample, completion) in group.completions.iter().enumerate() {
            let more = completion.len().saturating_sub(1);
            let opening = group.prompt.len() + more;
            let fits = if piece.is_some() {
                more <= left
            } else {
                opening <= left
            };
            if !fits {
                close(&mut batches, &mut piece);
                // An empty micro-batch takes anything: there is nothing smaller to try.
                if batches.last().is_some_and(|batch| !batch.is_empty()) {
                    batches.push(Vec::new());
                }
                left = budget;
            }
            match &mut piece {
                Some(piece) => {
                    piece.count += 1;
                    left = left.saturating_sub(more);
                }
                None => {
                    piece = Some(Piece {
                        group: number,
                        first: sample,
                        count: 1,
                    });
                    left = left.saturating_sub(opening);
                }
            }
        }
        close(&mut batches, &mut piece);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

fn close(batches: &mut [Vec<Piece>], piece: &mut Option<Piece>) {
    if let (Some(piece), Some(batch)) = (piece.take(), batches.last_mut()) {
        batch.push(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group<'a>(prompt: &'a [u32], completions: &[&'a [u32]]) -> PromptGroup<'a> {
        PromptGroup {
            prompt,
            completions: completions.to_vec(),
        }
    }

    fn piece(group: usize, first: usize, count: usize) -> Piece {
        Piece {
            group,
            first,
            count,
        }
    }

    #[test]
    fn a_prompt_is_counted_once_for_its_samples() {
        let groups = [
            group(&[1; 4], &[&[1; 3], &[1; 3]]),
            group(&[1; 4], &[&[1; 3], &[1; 3]]),
        ];
        // 4 + 2 + 2 tokens a group.
        assert_eq!(
            micro_batches(&groups, 16),
            [[piece(0, 0, 2), piece(1, 0, 2)]]
        );
        assert_eq!(
            micro_batches(&groups, 15),
            [vec![piece(0, 0, 2), piece(1, 0, 1)], vec![piece(1, 1, 1)]]
        );
    }

    #[test]
    fn a_sample_larger_than_the_budget_is_alone() {
        let groups = [group(&[1; 4], &[&[1; 30], &[1; 2]])];
        assert_eq!(
            micro_batches(&groups, 8),
            [vec![piece(0, 0, 1)], vec![piece(0, 1, 1)]]
        );
    }

    #[test]
    fn every_sample_is_in_one_place() {
        let groups = [
            group(&[1; 9], &[&[1; 3], &[1; 17], &[1; 2]]),
            group(&[1; 2], &[&[1; 1]]),
            group(&[1; 5], &[&[1; 9], &[1; 9]]),
        ];
        for budget in 1..60 {
            let pieces = micro_batches(&groups, budget).concat();
            let samples: Vec<(usize, usize)> = pieces
                .iter()
                .flat_map(|piece| {
                    (piece.first..piece.first + piece.count).map(|s| (piece.group, s))
                })
                .collect();
            let all = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)];
            assert_eq!(samples, all, "budget {budget}");
        }
    }
}
