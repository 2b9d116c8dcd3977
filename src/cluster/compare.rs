//! What must be the same on all workers: what they train, and each update's outcome.

use std::collections::BTreeMap;

/// How many differences a message names.
const SHOWN: usize = 3;
/// The longest value that a message shows.
const LONGEST: usize = 40;

/// What differs between a worker's facts and the chief's, for people; `None` where nothing does.
pub(super) fn difference(
    worker: &str,
    found: &BTreeMap<String, String>,
    chief: &BTreeMap<String, String>,
) -> Option<String> {
    let value = |of: &BTreeMap<String, String>, key: &str| {
        of.get(key).map_or_else(|| "absent".to_owned(), |value| cut(value))
    };
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(chief.keys()).collect();
    let different: Vec<String> = keys
        .into_iter()
        .filter(|key| found.get(*key) != chief.get(*key))
        .map(|key| format!("`{key}` is {}, the chief's {}", value(found, key), value(chief, key)))
        .collect();
    if different.is_empty() {
        return None;
    }
    let mut shown = different[..different.len().min(SHOWN)].join("; ");
    if different.len() > SHOWN {
        shown += &format!("; and {} more", different.len() - SHOWN);
    }
    Some(format!("{worker} would train something else: {shown}"))
}

fn cut(value: &str) -> String {
    let mut chars = value.chars();
    let start: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}

/// Values that every worker reports once for each step, and that must be equal.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    workers: usize,
    /// By step: the first worker's value, and how many have reported.
    open: BTreeMap<u64, (usize, T, usize)>,
}

impl<T: PartialEq> Ledger<T> {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, open: BTreeMap::new() }
    }

    /// Notes a worker's value; the worker that reported another one for the same step before.
    pub(super) fn note(&mut self, worker: usize, step: u64, value: T) -> Option<usize> {
        match self.open.get_mut(&step) {
            None => {
                self.open.insert(step, (worker, value, 1));
                None
            }
            Some((first, known, count)) => {
                if *known != value {
                    return Some(*first);
                }
                *count += 1;
                if *count == self.workers {
                    self.open.remove(&step);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_first_three_differences_are_named_and_long_values_are_cut() {
        let chief = facts(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")]);
        assert_eq!(difference("worker 1", &chief, &chief), None);
        let long = "x".repeat(99);
        let found = facts(&[("a", "9"), ("b", &long), ("d", "4"), ("e", "0"), ("f", "0")]);
        let text = difference("worker 1", &found, &chief).unwrap();
        assert!(text.contains("`a` is 9, the chief's 1"), "{text}");
        assert!(text.contains("`c` is absent, the chief's 3"), "{text}");
        assert!(text.ends_with("and 2 more") && text.len() < 250, "{text}");
    }

    #[test]
    fn a_value_that_differs_names_both_workers_and_complete_steps_are_forgotten() {
        let mut ledger = Ledger::new(3);
        for step in 0..100 {
            for worker in [2, 0, 1] {
                assert_eq!(ledger.note(worker, step, step * 7), None);
            }
        }
        assert!(ledger.open.is_empty());
        assert_eq!(ledger.note(1, 100, 5), None);
        assert_eq!(ledger.note(2, 100, 6), Some(1));
    }
}
