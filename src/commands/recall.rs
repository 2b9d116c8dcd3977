//! `tfbert train --resume --output RUN` alone: the other arguments are those that the run was started with.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tfbert::error::{Error, Result};
use tfbert::files::names;
use tfbert::run::RunRecord;

/// The flags that say what is trained; with one of them nothing is recalled.
const WHAT: [&str; 2] = ["--task", "--data"];

/// The flag that says which worker a process is: the first command's is the chief's.
const WHICH_WORKER: [&str; 1] = ["--worker-index"];
/// The flags that say which workers there are.
const WORKERS: [&str; 3] = ["--cluster", "--worker-index", "--control-port"];

/// The arguments of this process, with those of the run's first command where `--resume` names a run and
/// nothing says what to train. The process then works in that command's folder.
///
/// Which worker a process is, is not recalled, and with `by_launch` not which workers there are.
pub fn arguments(given: Vec<OsString>, by_launch: bool) -> Result<Vec<OsString>> {
    let Some(output) = resumed_alone(&given) else { return Ok(given) };
    let Some((folder, mut record)) = find_record(&output)? else { return Ok(given) };
    // Without `--cluster` it was `tfbert launch` that chose the port.
    let all_workers = by_launch || !has(&record.command, "--cluster");
    remove_flags(&mut record.command, if all_workers { &WORKERS } else { &WHICH_WORKER });
    let recalled = recalled(&given, &record, &folder);
    if let Some(directory) = &record.directory {
        std::env::set_current_dir(directory).map_err(|error| {
            Error::io("enter", directory, &error)
                .hint("give the arguments of the run's first command too")
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

/// The absolute folder after `--output`, where the command is `train --resume` and does not say what is
/// trained.
fn resumed_alone(given: &[OsString]) -> Option<PathBuf> {
    let texts: Vec<String> = given.iter().map(|text| text.to_string_lossy().into_owned()).collect();
    let names_what = texts.iter().any(|text| WHAT.iter().any(|flag| is(text, flag)));
    // `tfbert launch` recalls its workers' command itself.
    let is_launch = texts.iter().take_while(|text| *text != "train").any(|text| text == "launch");
    if is_launch
        || !texts.iter().any(|text| text == "train")
        || !texts.iter().any(|text| text == "--resume")
        || names_what
    {
        return None;
    }
    let at = texts.iter().position(|text| is(text, "--output"))?;
    let value = texts[at].split_once('=').map(|(_, value)| value.to_owned());
    std::path::absolute(value.or_else(|| texts.get(at + 1).cloned())?).ok()
}

/// The record of the run in a folder, or of the first of its seeds, and the folder that the first command
/// wrote to.
fn find_record(output: &Path) -> Result<Option<(PathBuf, RunRecord)>> {
    if output.join(names::RUN_RECORD).is_file() {
        return Ok(Some((output.to_owned(), RunRecord::read(output)?)));
    }
    let Ok(entries) = fs::read_dir(output) else { return Ok(None) };
    let mut seeds: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    seeds.retain(|path| path.join(names::RUN_RECORD).is_file());
    seeds.sort();
    match seeds.first() {
        Some(seed) => Ok(Some((output.to_owned(), RunRecord::read(seed)?))),
        None => Ok(None),
    }
}

/// The first command's arguments, then those of this one, which count where both have a flag.
fn recalled(given: &[OsString], record: &RunRecord, folder: &Path) -> Vec<OsString> {
    let command = &record.command;
    let has = |flag: &str| has(command, flag);
    let mut all: Vec<OsString> = given.iter().take(1).cloned().collect();
    all.extend(command.iter().skip(1).filter(|text| *text != "--overwrite").map(OsString::from));
    if let Some(data_dir) = record.data_dir.as_ref().filter(|_| !has("--data-dir")) {
        all.extend(["--data-dir".into(), data_dir.clone().into_os_string()]);
    }
    let mut rest = given.iter().skip(1).filter(|text| *text != "train");
    while let Some(text) = rest.next() {
        if text == "--output" {
            rest.next();
        } else if !text.to_string_lossy().starts_with("--output=") {
            all.push(text.clone());
        }
    }
    // One of several seeds is continued with the others.
    let of_seeds = has("--seeds")
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
        assert!(resumed_alone(&words(&format!("tfbert {train}"))).is_some());
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
