//! The folders in which exports are looked for.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::files::user_data_folder;

/// The environment variable with folders of exports, separated by `:`.
pub const MODELS_VARIABLE: &str = "TFBERT_MODELS";

/// The folder of exports in a project.
pub const MODELS_FOLDER: &str = "saved_models";

/// A folder of exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder. It need not exist.
    pub dir: PathBuf,
    /// What named it.
    pub by: PlaceKind,
}

/// What names a folder of exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// The variable [`MODELS_VARIABLE`].
    Variable,
    /// `saved_models` in the working folder.
    WorkingFolder,
    /// `saved_models` in the project in which the binary was built.
    Project,
    /// The user's data folder, where `tfbert setup` writes.
    User,
}

impl fmt::Display for PlaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "by TFBERT_MODELS",
            Self::WorkingFolder => "in this folder",
            Self::Project => "in the project of this binary",
            Self::User => "of `tfbert setup`",
        })
    }
}

/// An export that was found by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundModel {
    /// The SavedModel's folder.
    pub dir: PathBuf,
    /// What named the folder of exports.
    pub by: PlaceKind,
}

/// The folders of exports, in the order in which they are searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places(Vec<Place>);

impl Places {
    /// Those of this process: the variable `TFBERT_MODELS`, `saved_models` here and in the project of
    /// the binary, and the user's data folder.
    pub fn of_process() -> Self {
        let variable = std::env::var_os(MODELS_VARIABLE).unwrap_or_default();
        let mut places = Vec::new();
        let mut add = |dir: PathBuf, by| {
            let absolute = std::path::absolute(&dir).ok();
            let known = |place: &Place| std::path::absolute(&place.dir).ok() == absolute;
            if !places.iter().any(known) {
                places.push(Place { dir, by });
            }
        };
        for dir in std::env::split_paths(&variable).filter(|dir| !dir.as_os_str().is_empty()) {
            add(dir, PlaceKind::Variable);
        }
        add(MODELS_FOLDER.into(), PlaceKind::WorkingFolder);
        if let Some(project) = project_of_binary() {
            add(project.join(MODELS_FOLDER), PlaceKind::Project);
        }
        if let Some(dir) = user_models_folder() {
            add(dir, PlaceKind::User);
        }
        Self(places)
    }

    /// The folders.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }

    /// The SavedModel of a name in the first folder that has it. A name is that of an encoder, whose
    /// model `leaf` is meant (a head, or `model`), or a path below the folder
    /// (`minilm-l6/classify`), with `saved_models/` before it or not.
    pub fn find(&self, name: &Path, leaf: &str) -> Option<FoundModel> {
        let name = name.strip_prefix(MODELS_FOLDER).unwrap_or(name);
        let is_name = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_name || name.as_os_str().is_empty() {
            return None;
        }
        self.0.iter().find_map(|place| {
            let dir = place.dir.join(name);
            let dir = [dir.join(leaf), dir].into_iter().find(|dir| is_saved_model(dir))?;
            Some(FoundModel { dir, by: place.by })
        })
    }

    /// The folders in words, for a message.
    pub fn describe(&self) -> String {
        let describe = |place: &Place| match place.by {
            PlaceKind::WorkingFolder => format!("`{}`", place.dir.display()),
            by => format!("`{}` ({by})", place.dir.display()),
        };
        self.0.iter().map(describe).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a folder holds a SavedModel.
pub fn is_saved_model(dir: &Path) -> bool {
    dir.join("saved_model.pb").is_file()
}

/// The folder in which `tfbert setup` writes exports.
pub fn user_models_folder() -> Option<PathBuf> {
    Some(user_data_folder()?.join("models"))
}

/// The project in which the binary was built: `target/release/tfbert` lies three levels below it. An
/// installed binary has none.
fn project_of_binary() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    let project = binary.ancestors().nth(3)?;
    project.join("python_export").is_dir().then(|| project.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn save(dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("saved_model.pb"), "").unwrap();
    }

    #[test]
    fn the_first_folder_that_has_the_name_counts() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        save(&second.join("mini/classify"));
        save(&second.join("mini/tag"));
        save(&first.join("mini/tag"));
        save(&first.join("whole"));
        let places = Places(vec![
            Place { dir: first.clone(), by: PlaceKind::Variable },
            Place { dir: second.clone(), by: PlaceKind::User },
        ]);
        let found = |name: &str, leaf| places.find(Path::new(name), leaf).map(|found| found.dir);
        assert_eq!(found("mini", "classify"), Some(second.join("mini/classify")));
        assert_eq!(found("mini", "tag"), Some(first.join("mini/tag")));
        assert_eq!(found("mini/classify", "tag"), Some(second.join("mini/classify")));
        assert_eq!(found("saved_models/mini/tag", "classify"), Some(first.join("mini/tag")));
        assert_eq!(found("whole", "classify"), Some(first.join("whole")));
        for none in ["mini", "", "saved_models", "../first/whole", "/", "other"] {
            assert_eq!(found(none, "span"), None, "{none}");
        }
        let by = places.find(Path::new("mini"), "classify").unwrap().by;
        assert_eq!(by, PlaceKind::User);
        let said = places.describe();
        assert!(said.contains("(by TFBERT_MODELS)") && said.contains("second"), "{said}");
    }
}
