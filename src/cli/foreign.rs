//! Flags of Hugging Face's scripts, answered with the flag that does it here.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A flag of `run_glue.py` and its kin, and what to type instead.
const FLAGS: [(&str, &str); 39] = [
    ("--adam-beta1", "leave it out: it is 0.9 here"),
    ("--adam-beta2", "leave it out: it is 0.999 here"),
    ("--adam-epsilon", "leave it out: it is 1e-6 here, as in the paper"),
    ("--bf16", "give `--precision bf16`"),
    ("--config-name", "leave it out: the export of `--model` has its configuration"),
    ("--dataloader-num-workers", "leave it out: files are read as a stream"),
    ("--dataset-name", "give the name of a task with `--task`, or a file with `--data`"),
    ("--do-eval", "leave it out: `tfbert train` evaluates, and so does `tfbert eval`"),
    ("--do-predict", "leave it out, and type `tfbert predict`"),
    ("--do-train", "leave it out: `tfbert train` trains"),
    ("--eval-file", "give `--data` for the training file and `--dev`"),
    ("--eval-strategy", "give `--eval-steps`, or nothing for once an epoch"),
    ("--evaluation-strategy", "give `--eval-steps`, or nothing for once an epoch"),
    ("--fp16", "give `--precision bf16`"),
    (
        "--gradient-accumulation-steps",
        "give `--accumulate`; `--batch-size` is then the whole update's",
    ),
    ("--label-column-name", "give `--label`"),
    ("--logging-steps", "give `--log-steps`"),
    ("--lr", "give `--learning-rate`"),
    ("--lr-scheduler-type", "give `--lr-scheduler`"),
    ("--max-eval-samples", "give `--limit-dev`"),
    ("--max-seq-length", "give `--max-length`"),
    ("--max-train-samples", "give `--limit-train`"),
    ("--metric-for-best-model", "put it first under `metrics` in a task file"),
    ("--model-name-or-path", "give an export with `--model`; `python -m python_export` makes one"),
    ("--num-train-epochs", "give `--epochs`"),
    ("--output-dir", "give `--output`"),
    ("--overwrite-output-dir", "give `--overwrite`"),
    ("--pad-to-max-length", "leave it out: each batch is padded to its longest row"),
    ("--per-device-eval-batch-size", "give `--eval-batch-size`"),
    ("--per-device-train-batch-size", "give `--batch-size`"),
    ("--per-gpu-train-batch-size", "give `--batch-size`"),
    ("--resume-from-checkpoint", "give `--resume`, and the run's folder with `--output`"),
    ("--save-total-limit", "give `--keep-checkpoints`"),
    ("--task-name", "give `--task`"),
    ("--text-column-name", "give `--text`"),
    ("--tokenizer-name", "leave it out: the export of `--model` has its tokenizer"),
    ("--train-file", "give `--data`"),
    ("--validation-file", "give `--dev`"),
    ("--warmup-ratio", "give `--warmup`"),
];

/// Adds a tip to an error: for an unknown flag that is one of Hugging Face's, the flag here; for a missing
/// `--task`, what else can be given.
pub(super) fn answer(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        if let Some(tip) = instead_of_task(&error) {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        return error;
    }
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let Some(answer) = instead(flag) else { return error };
    error.remove(ContextKind::SuggestedArg);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(answer)]));
    error
}

/// What else can be given where `--task` is missing.
fn instead_of_task(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if !missing.iter().any(|flag| flag.starts_with("--task ")) {
        return None;
    }
    let usage = error.get(ContextKind::Usage)?.to_string();
    if usage.contains("tfbert train") || usage.contains("tfbert sweep") {
        return Some("or give `--data FILE`, to train on a file of your own");
    }
    (usage.contains("tfbert predict") || usage.contains("tfbert eval"))
        .then_some("or give `--model DIR`, the folder of a trained model or of its run")
}

/// What to type for a flag of Hugging Face's, whose words may be joined by `_` or `-`.
fn instead(flag: &str) -> Option<&'static str> {
    let name = flag.split('=').next().unwrap_or(flag).replace('_', "-");
    FLAGS.iter().find(|(known, _)| *known == name).map(|(_, answer)| *answer)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_flag_of_hugging_face_is_answered_with_the_one_that_does_it() {
        for flag in ["--num_train_epochs", "--num-train-epochs", "--num_train_epochs=3"] {
            let error = Cli::try_parse_from(["tfbert", "train", "--task", "sst2", flag, "3"]);
            let message = answer(error.unwrap_err()).to_string();
            assert!(message.contains("tip: give `--epochs`"), "{message}");
            assert!(!message.contains("similar"), "{message}");
        }
        let error = Cli::try_parse_from(["tfbert", "train", "--task", "sst2", "--epoch", "3"]);
        let message = answer(error.unwrap_err()).to_string();
        assert!(message.contains("--epochs"), "clap's own suggestion stays: {message}");
    }

    #[test]
    fn a_missing_task_is_answered_with_the_flag_that_can_replace_it() {
        for (command, flag) in
            [("train", "`--data FILE`"), ("predict", "`--model DIR`"), ("eval", "`--model DIR`")]
        {
            let error = Cli::try_parse_from(["tfbert", command]).unwrap_err();
            let message = answer(error).to_string();
            assert!(message.contains(flag), "{message}");
        }
    }

    #[test]
    fn the_flags_that_are_named_exist_and_the_flags_of_hugging_face_do_not() {
        let cli = Cli::command();
        let train = cli.find_subcommand("train").unwrap();
        let known: Vec<String> =
            train.get_arguments().filter_map(|a| a.get_long()).map(|f| format!("--{f}")).collect();
        assert!(FLAGS.is_sorted());
        for (flag, answer) in FLAGS {
            assert!(!known.iter().any(|known| known == flag), "{flag} is a flag");
            for word in answer.split('`').skip(1).step_by(2).filter(|word| word.starts_with("--")) {
                let named = word.split(' ').next().unwrap().to_owned();
                assert!(known.contains(&named), "{flag}: {answer}");
            }
        }
    }
}
