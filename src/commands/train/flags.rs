//! Flags to settings.

use tfbert::cli::TrainArgs;
use tfbert::dataset::Labels;
use tfbert::error::{Error, Result};
use tfbert::feature::Summary;
use tfbert::model::Precision;
use tfbert::run::RunMode;
use tfbert::settings::{RunOptions, TrainSettings};
use tfbert::task::{Head, Task};

/// The task's defaults with the flags over them.
pub(super) fn settings(args: &TrainArgs, task: &Task, precision: Precision) -> TrainSettings {
    fn set<T>(into: &mut T, flag: Option<T>) {
        if let Some(value) = flag {
            *into = value;
        }
    }
    let mut settings = TrainSettings::for_task(task, precision);
    set(&mut settings.epochs, args.epochs);
    settings.max_steps = args.max_steps;
    set(&mut settings.batch_size, args.batch_size);
    set(&mut settings.accumulate, args.accumulate);
    set(&mut settings.eval_batch_size, args.eval_batch_size);
    set(&mut settings.learning_rate, args.learning_rate);
    // Through text, so that 0.1 stays 0.1 and not the nearest 32-bit number.
    set(&mut settings.warmup, args.warmup.and_then(|warmup| warmup.to_string().parse().ok()));
    settings.warmup_steps = args.warmup_steps;
    set(&mut settings.lr_scheduler, args.lr_scheduler);
    settings.patience = args.patience;
    settings.min_delta = args.min_delta;
    settings.adamw = args.adamw.clone();
    set(&mut settings.dropout, args.dropout);
    set(&mut settings.label_smoothing, args.label_smoothing);
    set(&mut settings.features.max_length, args.max_length);
    set(&mut settings.features.doc_stride, args.doc_stride);
    set(&mut settings.seed, args.seed);
    settings.limit_train = args.limit_train;
    settings.limit_dev = args.limit_dev;
    settings.eval_steps = args.eval_steps;
    set(&mut settings.log_steps, args.log_steps);
    settings
}

/// `--class-weights`: numbers, or `balanced` for `examples / (labels · examples of the label)`
/// (scikit-learn's `compute_class_weight`). For the head `multilabel` a weight is that of a label where it
/// is right, and `balanced` is `examples without the label / examples with it` (PyTorch's `pos_weight`).
pub(super) fn class_weights(
    given: &[String],
    head: Head,
    labels: &Labels,
    train: &Summary,
) -> Result<Vec<f32>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if labels.is_empty() {
        return Err(Error::usage("`--class-weights` is for tasks with labels"));
    }
    if given == ["balanced"] {
        let counts = &train.label_counts;
        let total: usize = counts.iter().sum();
        let balanced = |label| {
            let count = counts.get(label).copied().unwrap_or(0).max(1);
            if head.predicts_label_sets() {
                return (train.examples.saturating_sub(count)) as f32 / count as f32;
            }
            total as f32 / (labels.len() as f32 * count as f32)
        };
        return Ok((0..labels.len()).map(balanced).collect());
    }
    let weights: Option<Vec<f32>> = given
        .iter()
        .map(|text| text.trim().parse().ok().filter(|w: &f32| w.is_finite() && *w >= 0.0))
        .collect();
    weights.filter(|weights| weights.len() == labels.len()).ok_or_else(|| {
        Error::usage(format!(
            "`--class-weights {}`: expected `balanced`, or {} numbers for {}",
            given.join(","),
            labels.len(),
            labels.names().join(", ")
        ))
    })
}

/// How the run is saved.
pub(super) fn options(args: &TrainArgs) -> RunOptions {
    RunOptions {
        save_steps: args.save_steps,
        save_minutes: args.save_minutes,
        keep_checkpoints: args.keep_checkpoints,
        on_nan: args.on_nan,
    }
}

/// How the run begins.
pub(super) fn mode(args: &TrainArgs) -> RunMode {
    if args.resume {
        RunMode::Resume
    } else if args.overwrite {
        RunMode::Overwrite
    } else {
        RunMode::New
    }
}
