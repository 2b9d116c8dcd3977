//! tfbert outside its repository: where exports are found, and what `tfbert setup` makes.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{fail, root, succeed, text, tiny};

/// The binary as it is where it was installed: not in its project. The test's folder is below
/// `target/`, so that a second name of the same file will do.
struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_tfbert"), dir.path().join("bin/tfbert")).unwrap();
        Self { dir }
    }

    /// The user's data folder.
    fn data(&self) -> PathBuf {
        self.dir.path().join("share/tfbert")
    }

    fn tfbert(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.dir.path().join("bin/tfbert"));
        command.current_dir(self.dir.path()).args(words).env("TFBERT_DATA", root().join("data"));
        command.env_remove("TFBERT_MODELS").env("XDG_DATA_HOME", self.dir.path().join("share"));
        command.env("TFBERT_CACHE", self.dir.path().join("cache")).env_remove("RUST_LOG");
        command
    }

    /// `tfbert data check`, which reads the export, on a little of the sample.
    fn check(&self, words: &[&str]) -> Command {
        let mut command = self.tfbert(&["data", "check", "--task", "sst2", "--limit-train", "20"]);
        command.args(["--limit-dev", "8", "--max-length", "64"]).args(words);
        command
    }
}

#[test]
fn an_export_is_found_by_its_name_outside_the_repository_and_the_place_is_said() {
    let installed = Installed::new();
    let exports = root().join("target/exports");
    for name in ["tiny", "tiny/classify", "saved_models/tiny/classify"] {
        let mut command = installed.check(&["--model", name]);
        let output = command.env("TFBERT_MODELS", format!("/none:{}", exports.display())).output();
        let (stdout, stderr) = text(&output.unwrap());
        assert!(stdout.contains("nothing was trained"), "{stderr}");
        let said = format!("model {} (by TFBERT_MODELS)", exports.join("tiny/classify").display());
        assert!(stderr.contains(&said), "{name}: {stderr}");
    }
    // A folder of an encoder is completed by the head.
    succeed(installed.check(&["--model"]).arg(exports.join("tiny")));
    // Without `--model`: what `tfbert setup` wrote.
    fs::create_dir_all(installed.data().join("models/minilm-l6")).unwrap();
    symlink(tiny("classify"), installed.data().join("models/minilm-l6/classify")).unwrap();
    let (_, stderr) = text(&installed.check(&[]).output().unwrap());
    assert!(stderr.contains("models/minilm-l6/classify (of `tfbert setup`)"), "{stderr}");
    let mut doctor = installed.tfbert(&["doctor"]);
    let (stdout, _) = text(&doctor.env("TFBERT_DATA", "none").output().unwrap());
    assert!(stdout.contains("minilm-l6/classify: tiny classify"), "{stdout}");
    assert!(stdout.contains("ok   data: none: no files of built-in tasks"), "{stdout}");
}

#[test]
fn an_export_that_is_nowhere_is_an_error_with_the_places_and_the_command_that_makes_it() {
    let installed = Installed::new();
    let stderr = fail(installed.check(&["--model", "mine"]).env("TFBERT_MODELS", "/a:/b"));
    let models = installed.data().join("models");
    for part in [
        "the export `mine/classify` was not found; looked in `/a` (by TFBERT_MODELS), `/b`",
        "`saved_models`",
        models.to_str().unwrap(),
        "`tfbert setup --encoder OWNER/mine --head classify`",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    let stderr = fail(&mut installed.check(&[]));
    assert!(stderr.contains("`minilm-l6/classify` was not found"), "{stderr}");
    let mut bench = installed.tfbert(&["bench"]);
    let stderr = fail(bench.args(["--tensorflow"]).arg(root().join(".venv")));
    assert!(stderr.contains("`minilm-l6/classify` was not found"), "{stderr}");
}

/// A program that takes Python's arguments, notes them, and does what the file system shows.
const PYTHON: &str = r#"#!/bin/sh
echo "$*" >> "$NOTES"
case "$1 $2" in
-c*) echo "${VERSION:-3.12}" ;;
"-m venv") for dir in "$@"; do :; done; mkdir -p "$dir/bin"; cp "$0" "$dir/bin/python" ;;
"-m pip") exit "${PIP:-0}" ;;
"-P -m") echo "$PYTHONPATH" >> "$NOTES"; test -f "$PYTHONPATH/python_export/__main__.py" && echo /the/export ;;
esac
"#;

fn setup(installed: &Installed, words: &[&str]) -> Command {
    let python = installed.dir.path().join("python");
    fs::write(&python, PYTHON).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = installed.tfbert(&["setup", "--python"]);
    command.arg(python).args(words).env("NOTES", notes(installed));
    command
}

fn notes(installed: &Installed) -> PathBuf {
    installed.dir.path().join("notes")
}

/// What the stand-in of Python was asked to do since the last time.
fn asked(installed: &Installed) -> Vec<String> {
    let text = fs::read_to_string(notes(installed)).unwrap();
    fs::remove_file(notes(installed)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn setup_makes_environment_and_export_and_does_what_is_done_only_once() {
    let installed = Installed::new();
    let data = installed.data();
    let package = data.join("python/python_export");
    let stdout = succeed(&mut setup(&installed, &["--head", "tag"]));
    assert_eq!(stdout, "/the/export\n");
    let found = asked(&installed);
    assert!(found[0].starts_with("-c "), "{found:?}");
    assert_eq!(found[1], format!("-m venv {}", data.join("venv").display()));
    for (line, lock) in [(2, "requirements.lock"), (3, "encoders.lock")] {
        assert!(found[line].starts_with("-m pip"), "{found:?}");
        assert!(found[line].contains("--require-hashes"), "{found:?}");
        assert!(found[line].ends_with(package.join(lock).to_str().unwrap()), "{found:?}");
    }
    let export = format!(
        "-P -m python_export --encoder minilm-l6 --head tag --output {}",
        data.join("models").display()
    );
    assert_eq!(found[4..], [export.as_str(), data.join("python").to_str().unwrap()]);
    // The files are those of the repository.
    for name in ["__main__.py", "families/bert.py", "requirements.lock"] {
        let [own, written] = [root().join("python_export"), package.clone()].map(|d| d.join(name));
        assert_eq!(fs::read(own).unwrap(), fs::read(written).unwrap(), "{name}");
    }
    // Another export needs no second environment; other packages do.
    succeed(&mut setup(&installed, &["--encoder", "some/model", "--force"]));
    let found = asked(&installed);
    assert!(found[0].contains("--encoder some/model --head all"), "{found:?}");
    assert!(found[0].ends_with("--force"), "{found:?}");
    succeed(&mut setup(&installed, &["--gpu"]));
    let found = asked(&installed);
    assert!(found[1].starts_with("-m venv --clear"), "{found:?}");
    assert!(found[2].ends_with("requirements-gpu.lock"), "{found:?}");
}

#[test]
fn a_setup_that_failed_goes_on_where_it_was() {
    let installed = Installed::new();
    let stderr = fail(setup(&installed, &[]).env("PIP", "1"));
    assert!(stderr.contains("could not install the packages"), "{stderr}");
    assert!(stderr.contains("`tfbert setup` with the same flags"), "{stderr}");
    asked(&installed);
    let output = setup(&installed, &[]).env("PIP", "130").output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    asked(&installed);
    succeed(&mut setup(&installed, &[]));
    let pips = asked(&installed).iter().filter(|line| line.starts_with("-m pip")).count();
    assert_eq!(pips, 2);
    let stderr = fail(setup(&installed, &["--gpu"]).env("VERSION", "3.9"));
    assert!(stderr.contains("is Python 3.9") && stderr.contains("--python PATH"), "{stderr}");
    let stderr = fail(&mut installed.tfbert(&["setup", "--head", "classfy"]));
    assert!(stderr.contains("expected one of classify"), "{stderr}");
}

#[test]
fn the_environment_of_setup_has_tensorflow_for_every_command() {
    let installed = Installed::new();
    let venv = installed.data().join("venv");
    fs::create_dir_all(venv.parent().unwrap()).unwrap();
    symlink(fs::canonicalize(root().join(".venv")).unwrap(), &venv).unwrap();
    let mut doctor = installed.tfbert(&["doctor"]);
    doctor.env_remove("VIRTUAL_ENV").env_remove("TENSORFLOW_DIR").env_remove("LD_LIBRARY_PATH");
    let (stdout, _) = text(&doctor.output().unwrap());
    let ok = |line: &str| line.starts_with("ok   TensorFlow") && line.contains("by `tfbert setup`");
    assert!(stdout.lines().any(ok), "{stdout}");
    assert!(Path::new(&venv).exists());
}
