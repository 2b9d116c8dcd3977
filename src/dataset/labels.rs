//! The labels of a task, and their indices.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use super::{reader, source};
use crate::error::{Error, Result};
use crate::metric::MetricName;
use crate::task::{ReadTags, Scheme, Split, Task};
use crate::text::{excerpt, listed};

/// Labels in the order of the logits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    names: Vec<String>,
    indices: HashMap<String, usize>,
    scheme: Option<Scheme>,
}

impl Labels {
    /// Labels in this order.
    pub fn new(names: Vec<String>) -> Self {
        let indices = names.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        Self { names, indices, scheme: None }
    }

    /// The same labels with the scheme of the training file's tags.
    pub fn with_scheme(self, scheme: Option<Scheme>) -> Self {
        Self { scheme, ..self }
    }

    /// The scheme of the training file's tags, for tags of entities where it is known.
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// A task's labels: those its row lists, or those found in its training file, sorted.
    /// Empty for heads without labels.
    ///
    /// # Errors
    ///
    /// The training file cannot be read, has fewer than two labels, or more than a metric is for.
    pub fn of_task(task: &Task, data_dir: &Path) -> Result<Self> {
        if !task.head.has_label_names() {
            return Ok(Self::default());
        }
        if let Some(names) = task.listed_labels() {
            let train = task.train.as_ref().map(|train| (train, task.path(train, data_dir)));
            let scheme = match train.filter(|(_, path)| path.is_file()) {
                Some((train, path)) => tag_scheme(task, train, &path),
                None => task.scheme,
            };
            return Ok(Self::new(names).with_scheme(scheme));
        }
        let Some(train) = &task.train else {
            return Err(Error::new(format!(
                "task `{}` lists no labels and has no training file to find them in",
                task.name
            )));
        };
        let path = source::find(task, train, data_dir)?;
        let no_labels = Self::default();
        let mut reader = reader::open(task, train, &path, &no_labels)?;
        let found = reader.count_labels()?;
        let scheme = reader.tags_read().and_then(ReadTags::scheme);
        if found.len() < 2 {
            return Err(Error::new(format!(
                "found {} in the label column; expected at least two labels",
                match found.keys().next() {
                    Some(only) => format!("only the label `{}`", excerpt(only)),
                    None => "no label".to_owned(),
                }
            ))
            .at(&path));
        }
        let shown = found.iter().map(|(name, count)| format!("`{}` {count}", excerpt(name)));
        log::info!("{}: {} labels: {}", path.display(), found.len(), few(shown));
        for alike in look_alikes(&found) {
            log::warn!("{}: {alike}", path.display());
        }
        let found = Self::new(found.into_keys().collect()).with_scheme(scheme);
        task.check_metrics(found.names())?;
        Ok(found)
    }

    /// These labels of a task's files in the order of a model's logits. The model may call a label
    /// as the task's files do or as the task shows it (`label_names`), in upper or lower case; one
    /// whose labels are numbered (`LABEL_0`, Hugging Face's names for labels without one) has the
    /// task's in their order.
    ///
    /// # Errors
    ///
    /// The model has other labels.
    pub fn in_order_of(self, task: &Task, model: &[String]) -> Result<Self> {
        if self.names == model {
            return Ok(self);
        }
        if let Some(places) = self.places_by_name(task, model) {
            // The F1 of two classes is that of the second.
            let of_second = [MetricName::F1, MetricName::Precision, MetricName::Recall];
            let counts = task.metrics.iter().find(|metric| of_second.contains(metric));
            if let ([1, 0], Some(metric)) = (places.as_slice(), counts) {
                return Err(Error::usage(format!(
                    "the model's labels are {}, in the other order than those of task `{}`, whose \
                     metric `{metric}` counts the second label",
                    listed(model.iter().map(String::as_str)),
                    task.name
                )));
            }
            let names = places.iter().map(|&at| self.names[at].clone()).collect();
            return Ok(Self::new(names).with_scheme(self.scheme));
        }
        let numbered = |(index, label): (usize, &String)| *label == format!("LABEL_{index}");
        if model.len() == self.names.len() && model.iter().enumerate().all(numbered) {
            log::warn!(
                "the model's labels have numbers, no names: they are taken as {}",
                listed(self.names.iter().map(String::as_str))
            );
            return Ok(self);
        }
        Err(Error::usage(format!(
            "the model's labels are {}, task `{}` has {}",
            listed(model.iter().map(String::as_str)),
            task.name,
            listed(self.names.iter().map(String::as_str))
        )))
    }

    /// Which of these labels each of a model's is; `None` where they are not the same ones.
    fn places_by_name(&self, task: &Task, model: &[String]) -> Option<Vec<usize>> {
        let shown = task.shown_labels(&self.names);
        let is_same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let place = |label: &String| {
            let mut names = self.names.iter().zip(shown);
            names.position(|(file, shown)| is_same(label, file) || is_same(label, shown))
        };
        let places = model.iter().map(place).collect::<Option<Vec<usize>>>()?;
        let distinct: BTreeSet<_> = places.iter().collect();
        let all = distinct.len() == places.len() && places.len() == self.names.len();
        all.then_some(places)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The labels in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The index of a label.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// The index of a label that stands in a file.
    ///
    /// # Errors
    ///
    /// It is not one of these labels; the error lists them.
    pub fn parse(&self, name: &str) -> Result<usize> {
        self.index(name).ok_or_else(|| {
            let known = listed(self.names.iter().map(String::as_str));
            let error =
                Error::new(format!("unknown label `{}`; expected one of {known}", excerpt(name)));
            match self.names.iter().find_map(|known| Some((known, difference(known, name)?))) {
                Some((known, what)) => error
                    .hint(format!("it differs from the label `{}` only in {what}", excerpt(known))),
                None => error.hint(
                    "correct the label; a task file can list all labels: `\"labels\": [\"…\", \"…\"]`",
                ),
            }
        })
    }
}

/// The scheme of the tags of a file's entities: the one that the task names, or the one that is seen from
/// them. `None` where the file cannot be read, or its tags have no entity.
pub fn tag_scheme(task: &Task, split: &Split, path: &Path) -> Option<Scheme> {
    if task.scheme.is_some() || !task.tags_are_entities() {
        return task.scheme;
    }
    let no_labels = Labels::default();
    let mut reader = reader::open(task, split, path, &no_labels).ok()?;
    reader.count_labels().ok()?;
    reader.tags_read().and_then(ReadTags::scheme)
}

/// The first few of many texts, with commas between.
fn few(texts: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 20;
    let mut texts = texts;
    let mut shown: Vec<String> = texts.by_ref().take(SHOWN).collect();
    let more = texts.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// Sentences on labels that a person takes for one.
fn look_alikes(counts: &BTreeMap<String, usize>) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<(&String, usize)>> = BTreeMap::new();
    for (name, &count) in counts {
        groups.entry(plain(name)).or_default().push((name, count));
    }
    let groups = groups.into_values().filter(|names| names.len() > 1);
    groups
        .map(|names| {
            let kinds: BTreeSet<_> =
                names[1..].iter().filter_map(|(name, _)| difference(names[0].0, name)).collect();
            let what = if kinds.len() == 1 { kinds.first().copied() } else { None };
            let shown = names.iter().map(|(name, count)| format!("`{}` ({count})", excerpt(name)));
            format!(
                "the labels {} differ only in {}; is each a label of its own?",
                few(shown),
                what.unwrap_or(ANY_FORM)
            )
        })
        .collect()
}

const ANY_FORM: &str = "spaces, case or Unicode form";

/// In what two different labels differ that a person takes for one; `None` for labels that differ
/// otherwise.
fn difference(one: &str, other: &str) -> Option<&'static str> {
    let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if spaces(one) == spaces(other) {
        Some("spaces")
    } else if one.to_lowercase() == other.to_lowercase() {
        Some("case")
    } else if one.nfkc().eq(other.nfkc()) {
        Some("Unicode form")
    } else {
        (plain(one) == plain(other)).then_some(ANY_FORM)
    }
}

/// A label without what a person hardly sees: spaces around it, case, and Unicode form.
fn plain(name: &str) -> String {
    let name: String =
        name.nfkc().filter(|c| !matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}')).collect();
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(labels: &[(&str, usize)]) -> Vec<String> {
        look_alikes(&labels.iter().map(|&(name, count)| (name.to_owned(), count)).collect())
    }

    #[test]
    fn labels_that_differ_in_spaces_case_or_unicode_form_are_pointed_out_with_counts() {
        let found = alike(&[("spam", 17), ("spam ", 1), ("ham", 20)]);
        assert_eq!(
            found,
            [
                "the labels `spam` (17), `spam ` (1) differ only in spaces; is each a label of its own?"
            ]
        );
        let found = alike(&[("Ham", 2), ("ham", 20)]);
        assert!(found[0].contains("`Ham` (2), `ham` (20) differ only in case"), "{found:?}");
        let found = alike(&[("caf\u{e9}", 2), ("cafe\u{301}", 3)]);
        assert!(found[0].contains("Unicode form"), "{found:?}");
        let found = alike(&[("a", 1), ("A", 1), (" a", 1)]);
        assert!(found[0].contains("differ only in spaces, case or Unicode form"), "{found:?}");
        assert!(alike(&[("a", 1), ("b", 1), ("a b", 1), ("ab", 1)]).is_empty());
    }

    #[test]
    fn an_unknown_label_names_the_one_that_it_looks_like() {
        let labels = Labels::new(vec!["ham".into(), "spam".into()]);
        let error = labels.parse("Spam").unwrap_err();
        assert_eq!(error.hint_text(), Some("it differs from the label `spam` only in case"));
        assert!(labels.parse("eggs").unwrap_err().hint_text().unwrap().contains("\"labels\":"));
    }

    #[test]
    fn a_message_on_many_or_long_labels_stays_short() {
        let labels =
            Labels::new((0..5000).map(|i| format!("label {i} {}", "x".repeat(500))).collect());
        let error = labels.parse(&"y\r\n".repeat(5000)).unwrap_err();
        assert!(error.to_string().len() < 1500, "{}", error.to_string().len());
        assert!(!error.to_string().contains('\r'));
    }

    fn of(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn in_order(task: &str, model: &[&str]) -> Result<Vec<String>> {
        let task = crate::task::find(task).unwrap();
        let labels = Labels::new(task.listed_labels().unwrap());
        labels.in_order_of(&task, &of(model)).map(|labels| labels.names().to_vec())
    }

    #[test]
    fn a_models_labels_are_found_by_the_names_that_the_task_shows_in_the_models_order() {
        assert_eq!(in_order("sst2", &["0", "1"]).unwrap(), ["0", "1"]);
        assert_eq!(in_order("sst2", &["NEGATIVE", "POSITIVE"]).unwrap(), ["0", "1"]);
        assert_eq!(in_order("sst2", &["positive", "negative"]).unwrap(), ["1", "0"]);
        let mnli = in_order("mnli", &["CONTRADICTION", "NEUTRAL", "ENTAILMENT"]).unwrap();
        assert_eq!(mnli, ["contradiction", "neutral", "entailment"]);
        assert_eq!(in_order("sst2", &["LABEL_0", "LABEL_1"]).unwrap(), ["0", "1"]);
        let error = in_order("mrpc", &["equivalent", "not_equivalent"]).unwrap_err();
        assert!(error.what().contains("metric `f1` counts the second label"), "{error}");
    }

    #[test]
    fn a_model_with_other_labels_is_refused_with_both_lists() {
        for other in [&["0"][..], &["0", "0"], &["good", "bad"], &["LABEL_0"], &["0", "1", "2"]] {
            let error = in_order("sst2", other).unwrap_err();
            assert!(error.what().contains("task `sst2` has"), "{error}");
        }
    }
}
