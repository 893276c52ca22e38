//! Queries that share no rows of the cache.

use std::ops::Range;

use crate::cache::Query;
use crate::simd::LANES;

/// Consecutive queries, and rows of the cache that they alone touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) queries: Range<usize>,
    /// Whole blocks of 16.
    pub(super) rows: Range<usize>,
}

/// The queries in groups that share no rows; one group if they are not in such an order.
pub(super) fn independent(queries: &[Query]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, query) in queries.iter().enumerate() {
        let mut rows = query.own_start..query.own_start + query.own_len;
        if query.prefix_len > 0 {
            rows.start = rows.start.min(query.prefix_start);
            rows.end = rows.end.max(query.prefix_start + query.prefix_len);
        }
        rows.end = rows.end.next_multiple_of(LANES);
        match groups.last_mut() {
            Some(last) if rows.start < last.rows.end && last.rows.start < rows.end => {
                last.queries.end = number + 1;
                last.rows.start = last.rows.start.min(rows.start);
                last.rows.end = last.rows.end.max(rows.end);
            }
            _ => groups.push(Group {
                queries: number..number + 1,
                rows,
            }),
        }
    }
    let mut runs: Vec<&Range<usize>> = groups.iter().map(|group| &group.rows).collect();
    runs.sort_by_key(|rows| rows.start);
    if runs.windows(2).all(|two| two[0].end <= two[1].start) {
        return groups;
    }
    let end = runs.iter().map(|rows| rows.end).max().unwrap_or(0);
    vec![Group {
        queries: 0..queries.len(),
        rows: runs[0].start..end,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(prefix: (usize, usize), own: (usize, usize)) -> Query {
        Query {
            prefix_start: prefix.0,
            prefix_len: prefix.1,
            own_start: own.0,
            own_len: own.1,
            skip: 0,
        }
    }

    #[test]
    fn sequences_of_one_prompt_are_one_group_and_other_prompts_are_others() {
        let queries = [
            query((0, 0), (0, 20)),
            query((0, 20), (32, 1)),
            query((0, 20), (48, 3)),
            query((99, 0), (64, 17)),
        ];
        let groups = independent(&queries);
        let of = |queries, rows| Group { queries, rows };
        assert_eq!(groups, [of(0..3, 0..64), of(3..4, 64..96)]);
    }

    #[test]
    fn queries_that_return_to_earlier_rows_are_all_one_group() {
        let queries = [
            query((0, 0), (16, 4)),
            query((0, 0), (32, 4)),
            query((0, 0), (16, 5)),
        ];
        let groups = independent(&queries);
        assert_eq!(groups.len(), 1);
        assert_eq!(
            (groups[0].queries.clone(), groups[0].rows.clone()),
            (0..3, 16..48)
        );
    }

    #[test]
    fn no_queries_are_no_groups() {
        assert!(independent(&[]).is_empty());
    }
}
