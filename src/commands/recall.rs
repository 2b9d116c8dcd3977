//! `tfbert train --resume --output RUN` alone: the other arguments are those that the run was started with.
//! The same for `tfbert sweep`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tfbert::error::{Error, Result};
use tfbert::files::names;
use tfbert::run::RunRecord;
use tfbert::sweep::SweepRecord;

/// The flags that say what is trained; with one of them nothing is recalled.
const WHAT: [&str; 2] = ["--task", "--data"];

/// The flag that says which worker a process is: the first command's is the chief's.
const WHICH_WORKER: [&str; 1] = ["--worker-index"];
/// The flags that say which workers there are.
const WORKERS: [&str; 3] = ["--cluster", "--worker-index", "--control-port"];

/// What a run or a sweep records of its first command.
struct Known {
    /// The folder that the command wrote to.
    folder: PathBuf,
    command: Vec<String>,
    directory: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Known {
    fn of_run(folder: &Path, record: RunRecord) -> Self {
        let RunRecord { command, directory, data_dir, .. } = record;
        Self { folder: folder.to_owned(), command, directory, data_dir }
    }
}

/// The arguments of this process, with those of the first command where `--resume` names a run or a
/// sweep and nothing says what to train. The process then works in that command's folder.
///
/// Which worker a process is, is not recalled, and with `by_launch` not which workers there are.
pub fn arguments(given: Vec<OsString>, by_launch: bool) -> Result<Vec<OsString>> {
    let Some((command, output)) = resumed_alone(&given) else { return Ok(given) };
    let is_sweep = output.join(names::SWEEP).is_file();
    let known = match command {
        "sweep" if is_sweep => {
            let SweepRecord { command, directory, data_dir, .. } = SweepRecord::read(&output)?;
            Some(Known { folder: output, command, directory, data_dir })
        }
        "sweep" => None,
        _ if is_sweep => {
            return Err(Error::usage("the folder holds a sweep").at(&output).hint(format!(
                "continue it with `tfbert sweep --resume --output {}`, or name one of its runs",
                output.display()
            )));
        }
        _ => find_run(&output)?,
    };
    let Some(mut known) = known else { return Ok(given) };
    // Without `--cluster` it was `tfbert launch` that chose the port.
    let all_workers = by_launch || !has(&known.command, "--cluster");
    remove_flags(&mut known.command, if all_workers { &WORKERS } else { &WHICH_WORKER });
    let recalled = recalled(&given, &known, command);
    if let Some(directory) = &known.directory {
        std::env::set_current_dir(directory).map_err(|error| {
            Error::io("enter", directory, &error)
                .hint("give the arguments of the first command too")
        })?;
    }
    Ok(recalled)
}

/// Whether a word is a flag, or a flag with its value.
fn is(text: &str, flag: &str) -> bool {
    text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Whether a command has a flag.
fn has(command: &[String], flag: &str) -> bool {
    command.iter().any(|text| is(text, flag))
}

/// Removes flags and their values.
fn remove_flags(command: &mut Vec<String>, flags: &[&str]) {
    let mut is_value = false;
    command.retain(|text| {
        let is_removed = is_value || flags.iter().any(|flag| is(text, flag));
        is_value = !is_value && flags.contains(&text.as_str());
        !is_removed
    });
}

/// The command, `train` or `sweep`, and the absolute folder after `--output`, where it is given with
/// `--resume` and does not say what is trained.
fn resumed_alone(given: &[OsString]) -> Option<(&'static str, PathBuf)> {
    let texts: Vec<String> = given.iter().map(|text| text.to_string_lossy().into_owned()).collect();
    let names_what = texts.iter().any(|text| WHAT.iter().any(|flag| is(text, flag)));
    let command = |text: &String| ["train", "sweep"].into_iter().find(|name| text == name);
    let command = texts.iter().find_map(command)?;
    // `tfbert launch` recalls its workers' command itself.
    let is_launch = texts.iter().take_while(|text| *text != command).any(|text| text == "launch");
    if is_launch || !texts.iter().any(|text| text == "--resume") || names_what {
        return None;
    }
    let at = texts.iter().position(|text| is(text, "--output"))?;
    let value = texts[at].split_once('=').map(|(_, value)| value.to_owned());
    let folder = std::path::absolute(value.or_else(|| texts.get(at + 1).cloned())?).ok()?;
    Some((command, folder))
}

/// What the run in a folder records, or the first of its seeds, with the folder that the first command
/// wrote to.
fn find_run(output: &Path) -> Result<Option<Known>> {
    if output.join(names::RUN_RECORD).is_file() {
        return Ok(Some(Known::of_run(output, RunRecord::read(output)?)));
    }
    let Ok(entries) = fs::read_dir(output) else { return Ok(None) };
    let mut seeds: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    seeds.retain(|path| path.join(names::RUN_RECORD).is_file());
    seeds.sort();
    match seeds.first() {
        Some(seed) => Ok(Some(Known::of_run(output, RunRecord::read(seed)?))),
        None => Ok(None),
    }
}

/// The first command's arguments, then those of this one, which count where both have a flag.
fn recalled(given: &[OsString], known: &Known, name: &str) -> Vec<OsString> {
    let Known { folder, command, .. } = known;
    let has = |flag: &str| has(command, flag);
    let mut all: Vec<OsString> = given.iter().take(1).cloned().collect();
    all.extend(command.iter().skip(1).filter(|text| *text != "--overwrite").map(OsString::from));
    if let Some(data_dir) = known.data_dir.as_ref().filter(|_| !has("--data-dir")) {
        all.extend(["--data-dir".into(), data_dir.clone().into_os_string()]);
    }
    let mut rest = given.iter().skip(1).filter(|text| *text != name);
    while let Some(text) = rest.next() {
        if text == "--output" {
            rest.next();
        } else if !text.to_string_lossy().starts_with("--output=") {
            all.push(text.clone());
        }
    }
    // One of several seeds is continued with the others.
    let of_seeds = name == "train"
        && has("--seeds")
        && folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-"));
    let output = if of_seeds { folder.parent().unwrap_or(folder) } else { folder };
    all.extend(["--output".into(), output.as_os_str().to_owned()]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_launch_is_not_recalled_as_one_of_train() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let train = "train --resume --output run";
        let found = resumed_alone(&words(&format!("tfbert {train}"))).unwrap();
        assert!(found.0 == "train" && found.1.ends_with("run"), "{found:?}");
        assert_eq!(resumed_alone(&words("tfbert sweep --output=x --resume")).unwrap().0, "sweep");
        assert!(resumed_alone(&words(&format!("tfbert launch --workers 2 -- {train}"))).is_none());
    }

    #[test]
    fn flags_are_removed_with_their_values_in_both_forms() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut command =
            words("tfbert train --cluster a:1,b:1 --worker-index=0 --seed 1 --resume");
        remove_flags(&mut command, &WHICH_WORKER);
        assert_eq!(command, words("tfbert train --cluster a:1,b:1 --seed 1 --resume"));
        remove_flags(&mut command, &WORKERS);
        assert_eq!(command, words("tfbert train --seed 1 --resume"));
    }
}
