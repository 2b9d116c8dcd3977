//! `tfbert train --seeds`: one run a seed, and what they came to together.

use std::path::{Path, PathBuf};

use tfbert::cli::TrainArgs;
use tfbert::error::Result;
use tfbert::files::names;
use tfbert::run::{RunFolder, SeedRun, SeedsResult};
use tfbert::task::Task;

use super::{Trainer, flags, output};
use crate::commands::print_line;

/// The folder and the arguments of each run: of the command itself, or of each of its seeds. A seed
/// that has no run to resume is begun.
pub(super) fn runs(args: &TrainArgs, output: &Path) -> Vec<(PathBuf, TrainArgs)> {
    let Some(seeds) = &args.seeds else { return vec![(output.to_owned(), args.clone())] };
    let of_seed = |&seed: &u64| {
        let folder = output.join(format!("seed-{seed}"));
        let mut args = args.clone();
        args.resume &= folder.join(names::RUN_RECORD).is_file();
        args.output = Some(folder.clone());
        args.seed = Some(seed);
        args.seeds = None;
        // The last line is of all seeds.
        args.json = false;
        (folder, args)
    };
    seeds.list().iter().map(of_seed).collect()
}

/// Trains with each seed, one after the other.
pub(super) fn run(args: &TrainArgs, task: &Task, trainer: &mut Trainer) -> Result<()> {
    let output = output(args, task);
    let runs = runs(args, &output);
    // What the last folder would refuse is not found out after hours.
    for (folder, args) in &runs {
        RunFolder::check(folder, flags::mode(args))?;
    }
    let mut complete = Vec::new();
    let mut split = String::new();
    for (folder, args) in &runs {
        let seed = args.seed.unwrap_or_default();
        log::info!("seed {seed}: {}", folder.display());
        let run =
            trainer.train(args, task).map_err(|error| error.context(format!("seed {seed}")))?;
        let Some(run) = run else { continue };
        complete.push(SeedRun::read(folder, task, run.labels, &run.result)?);
        split = run.result.split;
    }
    let result = SeedsResult::new(task, &split, complete)?;
    super::task::write(args, task, &output)?;
    result.write(&output)?;
    result.lines(task).iter().try_for_each(print_line)?;
    if args.json {
        print_line(result.to_json()?)?;
    }
    Ok(())
}
