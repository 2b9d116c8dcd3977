//! Which checkpoints are written and which are deleted: decisions alone, no files.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::settings::RunOptions;

/// When a run is saved, and which checkpoints it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    save_steps: Option<usize>,
    interval: Option<Duration>,
    keep: usize,
}

/// Where a run stands between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Updates done.
    pub step: usize,
    /// The step of the best evaluation so far.
    pub best: Option<usize>,
    /// Whether an evaluation is due after this step.
    pub evaluates: bool,
    /// Whether the run ends here: it is complete, or a signal came.
    pub ends: bool,
    /// Time since the last checkpoint.
    pub since_saved: Duration,
}

/// A checkpoint on disk, and the best step that it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Saved {
    pub step: usize,
    pub best: Option<usize>,
}

/// What is to be done with checkpoints, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Write one of the current step.
    Save,
    /// Delete that of a step, once the new one is complete.
    Delete(usize),
}

impl Retention {
    /// As a run's options ask.
    pub fn new(options: &RunOptions) -> Self {
        let minutes = options.save_minutes;
        Self {
            save_steps: options.save_steps,
            interval: minutes.map(|minutes| Duration::from_secs(60 * minutes as u64)),
            keep: options.keep_checkpoints,
        }
    }

    /// What to do now that the checkpoints `saved` are on disk.
    pub fn actions(&self, now: Moment, saved: &[Saved]) -> Vec<Action> {
        if !self.is_due(now) {
            return Vec::new();
        }
        let mut after = saved.to_vec();
        after.retain(|saved| saved.step != now.step);
        after.push(Saved { step: now.step, best: now.best });
        let deletions = self.deletions(&after).into_iter().map(Action::Delete);
        std::iter::once(Action::Save).chain(deletions).collect()
    }

    /// Whether a checkpoint is to be written now.
    pub fn is_due(&self, now: Moment) -> bool {
        now.evaluates
            || now.ends
            || self.save_steps.is_some_and(|steps| now.step.is_multiple_of(steps))
            || self.is_late(now.since_saved)
    }

    /// Whether so much time since the last checkpoint asks for one.
    pub fn is_late(&self, since_saved: Duration) -> bool {
        self.interval.is_some_and(|interval| since_saved >= interval)
    }

    /// All but the newest `keep` checkpoints, at least the newest and one to fall back to, and the
    /// best that any of these knows, so that the newest can be lost.
    fn deletions(&self, saved: &[Saved]) -> Vec<usize> {
        let mut newest: Vec<Saved> = saved.to_vec();
        newest.sort_unstable_by_key(|saved| std::cmp::Reverse(saved.step));
        let with_best = |some: &[Saved]| -> BTreeSet<usize> {
            some.iter().flat_map(|saved| [Some(saved.step), saved.best]).flatten().collect()
        };
        let mut kept = with_best(&newest[..newest.len().min(self.keep.max(1))]);
        if kept.len() < 2 {
            kept = with_best(&newest[..newest.len().min(2)]);
        }
        let mut steps: Vec<usize> = newest.iter().map(|saved| saved.step).collect();
        steps.retain(|step| !kept.contains(step));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(keep: usize) -> Retention {
        let options = RunOptions { keep_checkpoints: keep, ..RunOptions::default() };
        Retention { save_steps: Some(10), ..Retention::new(&options) }
    }

    fn moment(step: usize, best: Option<usize>) -> Moment {
        Moment { step, best, evaluates: false, ends: false, since_saved: Duration::ZERO }
    }

    fn saved(steps: &[(usize, Option<usize>)]) -> Vec<Saved> {
        steps.iter().map(|&(step, best)| Saved { step, best }).collect()
    }

    /// What is deleted when step 30 is saved.
    fn deleted(keep: usize, before: &[(usize, Option<usize>)], best: Option<usize>) -> Vec<usize> {
        let actions = retention(keep).actions(moment(30, best), &saved(before));
        assert_eq!(actions[0], Action::Save);
        let mut steps: Vec<usize> = actions[1..]
            .iter()
            .map(|action| match action {
                Action::Delete(step) => *step,
                Action::Save => panic!("saved twice"),
            })
            .collect();
        steps.sort_unstable();
        steps
    }

    #[test]
    fn nothing_is_done_where_no_checkpoint_is_due() {
        let before = saved(&[(1, None), (2, None), (3, None)]);
        assert!(retention(1).actions(moment(7, None), &before).is_empty());
    }

    #[test]
    fn steps_evaluations_ends_and_time_each_make_a_checkpoint_due() {
        let minute = Retention::new(&RunOptions { save_minutes: Some(1), ..RunOptions::default() });
        assert!(!minute.is_due(moment(10, None)));
        assert!(minute.is_due(Moment { since_saved: Duration::from_secs(60), ..moment(7, None) }));
        assert!(minute.is_due(Moment { evaluates: true, ..moment(7, None) }));
        assert!(minute.is_due(Moment { ends: true, ..moment(7, None) }));
        assert!(retention(1).is_due(moment(20, None)));
    }

    #[test]
    fn the_best_is_kept_with_the_newest_and_counts_as_the_one_to_fall_back_to() {
        let before = [(5, Some(5)), (10, Some(10)), (20, Some(10))];
        assert_eq!(deleted(1, &before, Some(10)), [5, 20]);
    }

    #[test]
    fn where_the_newest_is_the_best_the_one_before_and_its_best_stay() {
        let before = [(5, Some(5)), (10, Some(5)), (20, Some(10))];
        assert_eq!(deleted(1, &before, Some(30)), [5]);
        assert_eq!(deleted(1, &[(10, None), (20, None)], None), [10]);
    }

    #[test]
    fn so_many_of_the_newest_stay_as_are_asked_for() {
        let before = [(5, None), (10, None), (15, None), (20, None)];
        assert_eq!(deleted(3, &before, None), [5, 10]);
        assert!(deleted(9, &before, None).is_empty());
    }

    #[test]
    fn a_step_that_is_saved_again_takes_its_own_place() {
        assert!(deleted(1, &[(20, None), (30, None)], Some(30)).is_empty());
    }
}
