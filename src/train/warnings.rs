//! Settings that train to nothing, or to less than was asked for.

use super::StepPlan;
use crate::dataset::Labels;
use crate::settings::{DEFAULT_LOG_STEPS, TrainSettings};
use crate::text::excerpt;

/// How many labels a warning names.
const SHOWN: usize = 3;

/// What warnings are drawn from.
pub struct Facts<'a> {
    /// What the result depends on.
    pub settings: &'a TrainSettings,
    /// The steps.
    pub plan: &'a StepPlan,
    /// Training features: rows of batches.
    pub features: usize,
    /// The encoder's layers.
    pub layers: usize,
    /// The labels.
    pub labels: &'a Labels,
    /// How many training examples (for `tag`, words) have each label, as far as the last that
    /// occurs.
    pub train_counts: &'a [usize],
    /// The same for each development split, with its name.
    pub dev_counts: &'a [(String, Vec<usize>)],
}

/// Warnings for people, one sentence each, with what to type where a flag helps.
pub fn warnings(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(learning_rate(facts));
    found.extend(frozen(facts));
    found.extend(steps(facts));
    if !facts.labels.is_empty() {
        found.extend(training_labels(facts));
        found.extend(facts.dev_counts.iter().filter_map(|dev| dev_labels(facts, dev)));
    }
    found
}

/// No update, or none at the peak, changes the weights as was asked for.
fn learning_rate(facts: &Facts<'_>) -> Option<String> {
    let schedule = facts.plan.schedule;
    let total = schedule.total;
    if schedule.peak == 0.0 {
        return Some("the learning rate is 0: no update changes a weight".into());
    }
    if (0..total.min(2)).all(|step| schedule.learning_rate(step) == 0.0) {
        return Some(format!(
            "no update changes a weight: the run has {}, and warm-up begins with learning rate 0; \
             train longer with `--epochs` or a smaller `--batch-size`, or give `--warmup 0`",
            count(total, "step")
        ));
    }
    (schedule.warmup >= total && total > 1).then(|| {
        format!(
            "the warm-up takes all {total} steps, so the learning rate never reaches its peak; give \
             a smaller `--warmup`"
        )
    })
}

fn frozen(facts: &Facts<'_>) -> Option<String> {
    let scale = facts.settings.adamw.layer_scale(facts.layers);
    scale.iter().all(|&factor| factor == 0.0).then(|| {
        format!(
            "`--freeze {}` keeps every weight, the head's too: no update changes anything",
            facts.settings.adamw.freeze
        )
    })
}

/// Batches, evaluations and log lines that do not fit the number of steps.
fn steps(facts: &Facts<'_>) -> Vec<String> {
    let settings = facts.settings;
    let total = facts.plan.total();
    let mut found = Vec::new();
    if settings.batch_size > facts.features {
        found.push(format!(
            "a batch of {} is larger than the training file, which gives {}: each epoch is one \
             update on all of them",
            settings.batch_size,
            count(facts.features, "row")
        ));
    }
    if settings.accumulate > settings.batch_size {
        found.push(format!(
            "`--accumulate {}` divides a batch of {} into parts of one row",
            settings.accumulate, settings.batch_size
        ));
    }
    if let Some(steps) = settings.eval_steps.filter(|&steps| steps > total) {
        found.push(format!(
            "`--eval-steps {steps}` is past the run's end: it is evaluated once, after {}",
            count(total, "step")
        ));
    }
    if settings.log_steps > total && settings.log_steps != DEFAULT_LOG_STEPS {
        found.push(format!(
            "`--log-steps {}` is past the run's end, after {}: metrics.jsonl gets evaluations alone",
            settings.log_steps,
            count(total, "step")
        ));
    }
    found
}

/// Labels that training cannot learn to tell apart.
fn training_labels(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let has = |label: usize| facts.train_counts.get(label).is_some_and(|&count| count > 0);
    let (seen, absent): (Vec<usize>, Vec<usize>) =
        (0..facts.labels.len()).partition(|&label| has(label));
    if let [only] = seen[..] {
        found.push(format!(
            "every training label is `{}`: there is nothing to tell apart",
            excerpt(&facts.labels.names()[only])
        ));
    } else if !absent.is_empty() && !seen.is_empty() {
        found.push(format!("no training example has {}", names(facts.labels, &absent)));
    }
    if let (Some(limit), false) = (facts.settings.limit_train, absent.is_empty()) {
        let taken: Vec<String> = seen
            .iter()
            .take(SHOWN)
            .map(|&label| {
                let name = excerpt(&facts.labels.names()[label]);
                format!("`{name}` {}", facts.train_counts[label])
            })
            .collect();
        found.push(format!(
            "`--limit-train {limit}` takes the first examples of the file, which may be sorted by \
             label: it took {}{}; to take others, shuffle the file",
            taken.join(", "),
            if seen.len() > SHOWN { ", …" } else { "" }
        ));
    }
    let weights = &facts.settings.class_weights;
    if !weights.is_empty() && seen.iter().all(|&label| weights.get(label) == Some(&0.0)) {
        found.push("`--class-weights` gives every training example the weight 0".into());
    }
    found
}

/// Labels of a development file that training never shows.
fn dev_labels(facts: &Facts<'_>, (split, counts): &(String, Vec<usize>)) -> Option<String> {
    let unseen = |label: &usize| facts.train_counts.get(*label).is_none_or(|&count| count == 0);
    let present: Vec<usize> = (0..counts.len()).filter(|&label| counts[label] > 0).collect();
    let missing: Vec<usize> = present.iter().copied().filter(unseen).collect();
    if missing.is_empty() {
        return None;
    }
    let which = names(facts.labels, &missing);
    Some(if missing.len() == present.len() {
        format!("no label of {split} occurs in training ({which}): scores will mean nothing")
    } else {
        format!("{split} has examples of {which}, which training has none of")
    })
}

/// The first few labels by name.
fn names(labels: &Labels, which: &[usize]) -> String {
    let shown: Vec<String> = which
        .iter()
        .take(SHOWN)
        .map(|&label| format!("`{}`", excerpt(&labels.names()[label])))
        .collect();
    let rest = which.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Precision;

    /// The warnings of a run of 44 rows in batches of 4, changed by `change`.
    fn warned(
        change: impl FnOnce(&mut TrainSettings),
        train: &[usize],
        dev: &[usize],
    ) -> Vec<String> {
        let task = crate::task::find("sst2").unwrap();
        let mut settings = TrainSettings::for_task(&task, Precision::F32);
        settings.batch_size = 4;
        change(&mut settings);
        let plan = StepPlan::new(&settings, 44);
        warnings(&Facts {
            settings: &settings,
            plan: &plan,
            features: 44,
            layers: 2,
            labels: &Labels::new(vec!["bad".into(), "good".into()]),
            train_counts: train,
            dev_counts: &[("dev".into(), dev.to_vec())],
        })
    }

    #[track_caller]
    fn assert_one(found: &[String], part: &str) {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part), "{found:?}");
        assert!(found[0].len() < 300);
    }

    #[test]
    fn ordinary_settings_give_no_warning() {
        assert_eq!(warned(|_| {}, &[20, 24], &[10, 11]), Vec::<String>::new());
    }

    #[test]
    fn a_run_whose_only_update_has_learning_rate_0_is_pointed_out() {
        let found = warned(|settings| settings.max_steps = Some(1), &[20, 24], &[10, 11]);
        assert!(found[0].contains("no update changes a weight: the run has 1 step"), "{found:?}");
        let found = warned(|settings| settings.learning_rate = 0.0, &[20, 24], &[10, 11]);
        assert_one(&found, "the learning rate is 0");
        let one = |settings: &mut TrainSettings| {
            (settings.max_steps, settings.warmup, settings.log_steps) = (Some(1), 0.0, 1);
        };
        assert!(
            warned(one, &[20, 24], &[10, 11]).is_empty(),
            "without warm-up it has the full rate"
        );
    }

    #[test]
    fn a_warm_up_of_the_whole_run_and_a_frozen_head_are_pointed_out() {
        assert_one(
            &warned(|settings| settings.warmup = 1.0, &[20, 24], &[10, 11]),
            "takes all 33 steps",
        );
        assert_one(
            &warned(|settings| settings.adamw.freeze = 4, &[20, 24], &[10, 11]),
            "`--freeze 4`",
        );
        assert!(warned(|settings| settings.adamw.freeze = 3, &[20, 24], &[10, 11]).is_empty());
    }

    #[test]
    fn batches_and_evaluations_past_the_data_are_pointed_out() {
        let found = warned(|settings| settings.batch_size = 64, &[20, 24], &[10, 11]);
        assert!(found[0].contains("a batch of 64 is larger"), "{found:?}");
        let found = warned(|settings| settings.eval_steps = Some(99), &[20, 24], &[10, 11]);
        assert_one(&found, "after 33 steps");
        assert_one(
            &warned(|settings| settings.accumulate = 8, &[20, 24], &[10, 11]),
            "parts of one row",
        );
        assert_one(
            &warned(|settings| settings.log_steps = 34, &[20, 24], &[10, 11]),
            "metrics.jsonl",
        );
    }

    #[test]
    fn labels_that_training_lacks_are_pointed_out_by_name() {
        assert_one(&warned(|_| {}, &[44], &[21]), "every training label is `bad`");
        let found = warned(|settings| settings.limit_train = Some(44), &[44], &[21]);
        assert!(found[1].contains("takes the first examples of the file"), "{found:?}");
        assert!(found[1].contains("it took `bad` 44; to take"), "{found:?}");
        assert!(warned(|settings| settings.limit_train = Some(44), &[20, 24], &[10]).is_empty());
        let found = warned(|_| {}, &[44], &[0, 21]);
        assert!(found[1].contains("no label of dev occurs in training (`good`)"), "{found:?}");
        let found = warned(|_| {}, &[44], &[10, 11]);
        assert!(found[1].contains("dev has examples of `good`, which training"), "{found:?}");
        let zero = |settings: &mut TrainSettings| settings.class_weights = vec![0.0, 0.0];
        assert_one(&warned(zero, &[20, 24], &[10, 11]), "the weight 0");
    }
}
