//! The median rule: a run ends early whose best metric so far is worse than the median of the complete
//! runs' at the same epoch.
//!
//! It is Optuna's `MedianPruner`, with epochs in place of steps, since runs with other batch sizes have
//! other steps: the best value so far of a run is compared with the values, not the best values, that the
//! complete runs had at that time. Runs that the rule itself stopped do not count. Google's Vizier has a
//! variant with running means (Golovin et al. 2017, section 3.2.2).

use crate::metric::MetricName;

/// Epochs are steps divided by steps per epoch. Two that differ by less than this differ by rounding alone.
const SAME_EPOCH: f64 = 1e-6;

/// The rule, with the runs that it compares with.
#[derive(Debug, Clone)]
pub struct MedianRule {
    metric: MetricName,
    /// Complete runs that there must be (Optuna's `n_startup_trials`).
    startup_runs: usize,
    /// Epochs in which no run is ended (Optuna's `n_warmup_steps`).
    warmup_epochs: f64,
    /// Of each complete run the epochs of its evaluations and the metric, in their order.
    complete: Vec<Vec<(f64, Option<f64>)>>,
}

impl MedianRule {
    /// The rule for a metric, before any run is complete.
    pub fn new(metric: MetricName, startup_runs: usize, warmup_epochs: f64) -> Self {
        Self { metric, startup_runs, warmup_epochs, complete: Vec::new() }
    }

    /// Adds a complete run: epoch and metric of each evaluation, in their order.
    pub fn add(&mut self, evaluations: Vec<(f64, Option<f64>)>) {
        self.complete.push(evaluations);
    }

    /// Why a run ends that stands at `epoch` with `best` as its best value so far; `None` if it goes on.
    pub fn ends(&self, epoch: f64, best: f64) -> Option<String> {
        if self.complete.len() < self.startup_runs || epoch + SAME_EPOCH < self.warmup_epochs {
            return None;
        }
        let at_epoch = self.complete.iter().filter_map(|run| value_at(run, epoch));
        let values: Vec<f64> = at_epoch.collect();
        let median = median(&values)?;
        self.metric.is_better(median, best).then(|| {
            format!(
                "the best `{}` so far, {best:.4}, is worse than {median:.4}, the median of {} runs at \
                 epoch {epoch:.2}",
                self.metric.name(),
                values.len()
            )
        })
    }
}

/// The value of a run at an epoch: that of its last evaluation until then, if the run went on so far.
fn value_at(run: &[(f64, Option<f64>)], epoch: f64) -> Option<f64> {
    run.last().filter(|(last, _)| *last + SAME_EPOCH >= epoch)?;
    run.iter().rev().find(|(at, _)| *at <= epoch + SAME_EPOCH)?.1
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule with runs that had these values at epochs 1, 2, ….
    fn rule(metric: MetricName, startup: usize, warmup: f64, runs: &[&[f64]]) -> MedianRule {
        let mut rule = MedianRule::new(metric, startup, warmup);
        for values in runs {
            let evaluations = values.iter().zip(1u8..);
            rule.add(evaluations.map(|(value, epoch)| (f64::from(epoch), Some(*value))).collect());
        }
        rule
    }

    const RUNS: [&[f64]; 3] = [&[0.6, 0.9], &[0.7, 0.8], &[0.8, 0.7, 0.95]];

    #[test]
    fn a_run_below_the_median_at_its_epoch_ends_and_one_at_the_median_goes_on() {
        let rule = rule(MetricName::Accuracy, 3, 0.0, &RUNS);
        // The medians are 0.7 of {0.6, 0.7, 0.8} and 0.8 of {0.9, 0.8, 0.7}.
        assert!(rule.ends(1.0, 0.69).unwrap().contains("worse than 0.7000, the median of 3 runs"));
        assert_eq!(rule.ends(1.0, 0.7), None);
        assert!(rule.ends(2.0, 0.79).is_some());
        assert_eq!(rule.ends(2.0, 0.8), None);
        // One run alone had a third epoch.
        assert!(rule.ends(3.0, 0.94).unwrap().contains("the median of 1 runs"));
    }

    #[test]
    fn too_few_complete_runs_and_warm_up_epochs_end_no_run() {
        assert_eq!(rule(MetricName::Accuracy, 4, 0.0, &RUNS).ends(1.0, 0.0), None);
        let warm = rule(MetricName::Accuracy, 3, 2.0, &RUNS);
        assert_eq!(warm.ends(1.0, 0.0), None);
        assert!(warm.ends(2.0, 0.0).is_some());
        assert_eq!(rule(MetricName::Accuracy, 0, 0.0, &[]).ends(1.0, 0.0), None);
    }

    #[test]
    fn of_a_metric_that_should_be_low_a_run_above_the_median_ends() {
        let rule = rule(MetricName::Perplexity, 1, 0.0, &[&[10.0], &[20.0]]);
        assert!(rule.ends(1.0, 15.1).is_some(), "the median of an even number is the mean of two");
        assert_eq!(rule.ends(1.0, 14.9), None);
    }

    #[test]
    fn evaluations_between_two_of_another_run_are_compared_with_the_earlier_one() {
        let mut rule = MedianRule::new(MetricName::Accuracy, 1, 0.0);
        rule.add(vec![(0.5, None), (1.0, Some(0.8))]);
        assert_eq!(rule.ends(0.25, 0.1), None, "it was not evaluated by then");
        assert_eq!(rule.ends(0.75, 0.1), None, "its metric was undefined then");
        assert!(rule.ends(1.0, 0.1).is_some());
        assert_eq!(rule.ends(1.25, 0.1), None, "it ended before");
    }
}
