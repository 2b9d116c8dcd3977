//! The runs of a sweep: every combination of the values, with each seed.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::run::Seeds;

/// The most runs of a sweep.
pub const MOST_RUNS: usize = 1000;

/// Grids by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Grid {
    /// The BERT paper's: learning rate 5e-5, 3e-5, 2e-5; batch size 16, 32; epochs 2, 3, 4.
    // Devlin et al. 2019 (arXiv:1810.04805), appendix A.3, "Fine-tuning Procedure".
    Bert,
}

impl Grid {
    /// The axes of the grid.
    pub fn axes(self) -> Vec<Axis> {
        let axis = |flag: &str, values: &[&str]| Axis {
            flag: flag.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        match self {
            Self::Bert => vec![
                axis("learning-rate", &["5e-5", "3e-5", "2e-5"]),
                axis("batch-size", &["16", "32"]),
                axis("epochs", &["2", "3", "4"]),
            ],
        }
    }
}

/// A flag of `tfbert train` and the values that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The flag's name without `--`.
    pub flag: String,
    /// Its values, as they are typed.
    pub values: Vec<String>,
}

impl Axis {
    /// The axis of a flag whose value was given as a list.
    ///
    /// # Errors
    ///
    /// Two values are the same number.
    pub fn new(flag: &str, values: &[String]) -> Result<Self> {
        let values: Vec<String> = values.iter().map(|value| shortest(value)).collect();
        for (i, value) in values.iter().enumerate() {
            if values[..i].contains(value) {
                return Err(Error::usage(format!("`--{flag}` has the value {value} twice")));
            }
        }
        Ok(Self { flag: flag.to_owned(), values })
    }
}

/// A value in one form, however it was typed: `2e-5` for `0.00002`.
fn shortest(value: &str) -> String {
    let value = value.trim();
    if let Ok(number) = value.parse::<u64>() {
        return number.to_string();
    }
    match value.parse::<f32>() {
        Ok(number) if number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        Ok(number) => number.to_string(),
        Err(_) => value.to_owned(),
    }
}

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRun {
    /// The flags that have several values, without `--`, and this run's value of each.
    pub settings: Vec<(String, String)>,
    /// The seed, where `--seeds` gives several.
    pub seed: Option<u64>,
    /// Its folder in that of the sweep.
    pub folder: PathBuf,
}

impl PlannedRun {
    /// Settings and seed for people: `learning-rate 2e-5, seed 1`.
    pub fn name(&self) -> String {
        let settings = self.settings.iter().map(|(flag, value)| format!("{flag} {value}"));
        let seed = self.seed.map(|seed| format!("seed {seed}"));
        settings.chain(seed).collect::<Vec<_>>().join(", ")
    }
}

/// Every combination of the axes' values, the last axis varying fastest, with each seed. All seeds of a
/// combination follow each other.
///
/// # Errors
///
/// There are more than [`MOST_RUNS`], or no flag has several values.
pub fn plan(axes: &[Axis], seeds: Option<&Seeds>) -> Result<Vec<PlannedRun>> {
    let of_settings =
        axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
    let all_seeds: Vec<Option<u64>> = match seeds {
        Some(seeds) => seeds.list().iter().copied().map(Some).collect(),
        None => vec![None],
    };
    let runs = of_settings.and_then(|count| count.checked_mul(all_seeds.len()));
    match runs {
        Some(0 | 1) => {
            return Err(Error::usage("a sweep of one run: no flag has several values").hint(
                "give several, such as `--learning-rate 2e-5,3e-5,5e-5`, or `--grid bert`; one run is \
                 `tfbert train`",
            ));
        }
        Some(2..=MOST_RUNS) => {}
        _ => {
            return Err(Error::usage(format!("more than {MOST_RUNS} runs"))
                .hint("give fewer values to the flags that have several"));
        }
    }
    let mut combinations: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for Axis { flag, values } in axes {
        let with = |before: &Vec<(String, String)>| -> Vec<Vec<(String, String)>> {
            let add = |value: &String| [&before[..], &[(flag.clone(), value.clone())]].concat();
            values.iter().map(add).collect()
        };
        combinations = combinations.iter().flat_map(with).collect();
    }
    let runs = combinations.iter().flat_map(|settings| {
        let names: Vec<String> =
            settings.iter().map(|(flag, value)| format!("{flag}-{value}")).collect();
        let folder = PathBuf::from(names.join("_"));
        all_seeds.iter().map(move |&seed| PlannedRun {
            settings: settings.clone(),
            seed,
            folder: match seed {
                Some(seed) => folder.join(format!("seed-{seed}")),
                None => folder.clone(),
            },
        })
    });
    Ok(runs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(flag: &str, values: &[&str]) -> Axis {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Axis::new(flag, &values).unwrap()
    }

    #[test]
    fn the_runs_are_all_combinations_with_every_seed() {
        let axes = [axis("learning-rate", &["2e-5", "3e-5"]), axis("epochs", &["2", "3"])];
        let seeds = "1-2".parse().unwrap();
        let runs = plan(&axes, Some(&seeds)).unwrap();
        assert_eq!(runs.len(), 2 * 2 * 2);
        let folders: Vec<_> = runs.iter().map(|run| run.folder.display().to_string()).collect();
        assert_eq!(
            folders[..3],
            [
                "learning-rate-2e-5_epochs-2/seed-1",
                "learning-rate-2e-5_epochs-2/seed-2",
                "learning-rate-2e-5_epochs-3/seed-1",
            ]
        );
        assert_eq!(runs[7].name(), "learning-rate 3e-5, epochs 3, seed 2");
        let runs = plan(&axes[..1], None).unwrap();
        assert_eq!(runs[1].folder, PathBuf::from("learning-rate-3e-5"));
        let runs = plan(&[], Some(&seeds)).unwrap();
        assert_eq!(runs[1].folder, PathBuf::from("seed-2"));
    }

    #[test]
    fn the_grid_of_the_paper_has_18_settings() {
        // 3 learning rates, 2 batch sizes, 3 numbers of epochs.
        assert_eq!(plan(&Grid::Bert.axes(), None).unwrap().len(), 18);
    }

    #[test]
    fn one_number_has_one_form_and_is_given_once() {
        let found = axis("learning-rate", &["0.00002", " 1e-4", "0.5", "1e-3"]);
        assert_eq!(found.values, ["2e-5", "1e-4", "0.5", "0.001"]);
        assert_eq!(axis("lr-scheduler", &["linear", "cosine"]).values, ["linear", "cosine"]);
        assert_eq!(axis("max-steps", &["16777217", "2"]).values, ["16777217", "2"]);
        let error = Axis::new("learning-rate", &["2e-5".into(), "0.00002".into()]).unwrap_err();
        assert!(error.what().contains("`--learning-rate` has the value 2e-5 twice"), "{error}");
    }

    #[test]
    fn a_sweep_of_one_run_or_of_too_many_is_refused() {
        let error = plan(&[], None).unwrap_err();
        assert!(error.hint_text().unwrap().contains("--grid bert"), "{error}");
        let many: Vec<String> = (1..=40).map(|value| value.to_string()).collect();
        let many = |flag| Axis::new(flag, &many).unwrap();
        let error = plan(&[many("epochs"), many("batch-size")], None).unwrap_err();
        assert_eq!((error.what(), error.exit_code()), ("more than 1000 runs", 2));
    }
}
