//! Which model a command works with: the one that is named, or the one that its task needs.

use std::path::{Path, PathBuf};

use tfbert::error::{Error, Result};
use tfbert::files::names;
use tfbert::run::SeedsResult;
use tfbert::saved_model::places::{FoundModel, MODELS_FOLDER, PlaceKind, Places, is_saved_model};
use tfbert::sweep::SweepRecord;
use tfbert::task::Head;

/// The encoder whose export is used where none is named.
const DEFAULT_ENCODER: &str = "minilm-l6";

/// The export with a head, where none is named.
pub fn default_export(head: Head) -> Result<PathBuf> {
    let places = Places::of_process();
    match places.find(Path::new(DEFAULT_ENCODER), head.name()) {
        Some(found) => Ok(announced(found)),
        None => Err(missing(&places, DEFAULT_ENCODER, head.name())),
    }
}

/// What training starts from, by the value of `--model`: a folder, a run, an encoder's folder, or a
/// name that is looked up.
pub fn model_to_train(named: &Path, head: Head) -> Result<PathBuf> {
    if !named.exists() {
        let places = Places::of_process();
        return match places.find(named, head.name()) {
            Some(found) => Ok(announced(found)),
            None => Err(missing(&places, &named.display().to_string(), head.name())),
        };
    }
    let of_head = named.join(head.name());
    if !is_saved_model(named) && is_saved_model(&of_head) {
        return Ok(of_head);
    }
    model_folder(named)
}

/// The folder of the export of an encoder with a head, where there is one.
pub fn find_export(encoder: &str, head: Head) -> Option<PathBuf> {
    Places::of_process().find(Path::new(encoder), head.name()).map(|found| found.dir)
}

/// The folder of a trained model: the one that is named, or of a run that is named its model, of runs
/// with several seeds and of a sweep that of the best. A name that is no path here is looked up.
pub fn model_folder(dir: &Path) -> Result<PathBuf> {
    let dir = best_run(dir)?;
    let dir = dir.as_path();
    let model = dir.join(names::MODEL);
    if dir.join(names::RUN_RECORD).is_file() {
        if model.is_dir() {
            return Ok(model);
        }
        let what = match dir.join(names::RESULT).is_file() {
            true => "the run's model was removed, as a sweep does with all but the best",
            false => "the run has no model yet",
        };
        return Err(Error::usage(what)
            .at(dir)
            .hint(format!("train it with `tfbert train --resume --output {}`", dir.display())));
    }
    if !is_saved_model(dir) && is_saved_model(&model) {
        return Ok(model);
    }
    if !dir.exists()
        && let Some(found) = Places::of_process().find(dir, names::MODEL)
    {
        return Ok(announced(found));
    }
    Ok(dir.to_owned())
}

/// Of the folder of several seeds or of a sweep the folder of the best run; any other folder as it is.
pub fn best_run(dir: &Path) -> Result<PathBuf> {
    if dir.join(names::RUN_RECORD).is_file() {
        return Ok(dir.to_owned());
    }
    if dir.join(names::SEEDS_RESULT).is_file() {
        let seed = SeedsResult::read(dir)?.best_seed;
        log::info!("{}: seed {seed} is the best", dir.display());
        return best_run(&dir.join(format!("seed-{seed}")));
    }
    if dir.join(names::SWEEP).is_file() {
        let Some(best) = SweepRecord::read(dir)?.best else {
            return Err(Error::new("the sweep has not ended, so it has no best run yet")
                .at(dir)
                .hint(format!(
                    "continue it with `tfbert sweep --resume --output {}`",
                    dir.display()
                )));
        };
        log::info!("{}: {} is the best", dir.display(), best.display());
        return best_run(&dir.join(best));
    }
    Ok(dir.to_owned())
}

/// The command that exports an encoder with a head.
pub fn export_command(encoder: &str, head: &str) -> String {
    // In a project that has an environment the export goes to the project.
    if Path::new("python_export/__main__.py").is_file() && Path::new(".venv/bin/python").is_file() {
        return format!(
            "make it with `.venv/bin/python -m python_export --encoder {encoder} --head {head} \
             --output {MODELS_FOLDER}`"
        );
    }
    format!("make it with `tfbert setup --encoder {encoder} --head {head}`")
}

/// Says where a model was found, unless it is where everybody would look first.
fn announced(found: FoundModel) -> PathBuf {
    if found.by != PlaceKind::WorkingFolder {
        log::info!("model {} ({})", found.dir.display(), found.by);
    }
    found.dir
}

/// No folder has the model: names them, and the command that makes it.
fn missing(places: &Places, name: &str, head: &str) -> Error {
    let name = name.trim_end_matches('/').trim_end_matches(&format!("/{head}"));
    let encoder = name.trim_start_matches(&format!("{MODELS_FOLDER}/"));
    let what =
        format!("the export `{encoder}/{head}` was not found; looked in {}", places.describe());
    let is_known = encoder.contains('/') || [DEFAULT_ENCODER, "tiny"].contains(&encoder);
    let how = match is_known {
        true => export_command(encoder, head),
        // A name alone is none on the Hub.
        false => export_command(&format!("OWNER/{encoder}"), head),
    };
    Error::new(what).hint(format!("{how}, or name another export with `--model DIR`"))
}
