//! Predictions as files, in the form that the task's scorer or leaderboard reads.

use std::fs;
use std::path::{Path, PathBuf};

use super::{conll, glue, jsonl, squad};
use crate::dataset::{Dataset, Example, Labels, tag_scheme};
use crate::error::{Error, Result};
use crate::files::write_file;
use crate::prediction::Prediction;
use crate::task::{Scheme, Split, Task};

/// The predictions of one split, and the folder for their files.
pub struct PredictionFile<'a> {
    /// The task.
    pub task: &'a Task,
    /// The split.
    pub split: &'a Split,
    /// Its examples.
    pub dataset: &'a Dataset,
    /// The labels that predictions are indices of.
    pub labels: &'a Labels,
    /// One for each example, in their order.
    pub predictions: &'a [Prediction],
    /// The folder, which is made if it is not there.
    pub dir: &'a Path,
}

impl PredictionFile<'_> {
    /// Writes `text` as the file `name`.
    fn write(&self, name: &str, text: &str) -> Result<Vec<PathBuf>> {
        make_folder(self.dir)?;
        let path = self.dir.join(name);
        write_file(&path, text)?;
        Ok(vec![path])
    }
}

fn make_folder(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| Error::io("make", dir, &error))
}

/// Writes labels or numbers as JSON lines, and GLUE's TSV too where the split has a name for the
/// leaderboard.
///
/// # Errors
///
/// A prediction that does not fit the task, or a folder that cannot be written.
pub fn write_labels_or_scores(file: &PredictionFile<'_>) -> Result<Vec<PathBuf>> {
    match &file.split.submission {
        Some(name) => {
            let text = glue::text(file.task, file.dataset, file.labels, file.predictions)?;
            let mut written = file.write(name, &text)?;
            written.extend(write_json_lines(file)?);
            Ok(written)
        }
        None => write_json_lines(file),
    }
}

/// Writes `<split>.jsonl`.
///
/// # Errors
///
/// A prediction that does not fit the task, or a folder that cannot be written.
pub fn write_json_lines(file: &PredictionFile<'_>) -> Result<Vec<PathBuf>> {
    json_lines(file, Scheme::Iob2)
}

fn json_lines(file: &PredictionFile<'_>, scheme: Scheme) -> Result<Vec<PathBuf>> {
    let text = jsonl::text(file.dataset, file.labels, file.predictions, scheme)?;
    file.write(&format!("{}.jsonl", file.split.name), &text)
}

/// Writes `<split>.txt` in CoNLL's columns, and `<split>.jsonl`. Tags of entities are written in the scheme
/// of the split's file or, where it has none, of the training file.
///
/// # Errors
///
/// A prediction that does not fit the task, or a folder that cannot be written.
pub fn write_tags(file: &PredictionFile<'_>) -> Result<Vec<PathBuf>> {
    let own = tag_scheme(file.task, file.split, &file.dataset.path);
    let scheme = own.or(file.labels.scheme()).unwrap_or(Scheme::Iob2);
    let text = conll::text(file.dataset, file.labels, file.predictions, scheme)?;
    let mut written = file.write(&format!("{}.txt", file.split.name), &text)?;
    written.extend(json_lines(file, scheme)?);
    Ok(written)
}

/// Writes SQuAD's files into the folder `<split>`, and `<split>.jsonl`.
///
/// # Errors
///
/// A prediction that does not fit the task, or a folder that cannot be written.
pub fn write_answers(file: &PredictionFile<'_>) -> Result<Vec<PathBuf>> {
    let dir = file.dir.join(&file.split.name);
    make_folder(&dir)?;
    let mut written = squad::write(&dir, file.dataset, file.predictions)?;
    written.extend(write_json_lines(file)?);
    Ok(written)
}

/// The name of a predicted label.
pub(super) fn label_name<'a>(
    dataset: &Dataset,
    example: &Example,
    labels: &'a Labels,
    label: usize,
) -> Result<&'a str> {
    labels.names().get(label).map(String::as_str).ok_or_else(|| misfit(dataset, example))
}

/// The names of a sentence's tags.
pub(super) fn tag_names<'a>(
    dataset: &Dataset,
    example: &Example,
    labels: &'a Labels,
    tags: &[usize],
) -> Result<Vec<&'a str>> {
    tags.iter().map(|&tag| label_name(dataset, example, labels, tag)).collect()
}

/// A prediction that is not of the task's head and labels.
pub(super) fn misfit(dataset: &Dataset, example: &Example) -> Error {
    Error::new("the prediction does not fit the task's head and labels")
        .at_line(&dataset.path, example.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Answer, Input, Target};
    use crate::prediction::SpanPrediction;
    use crate::stages::write_predictions;
    use crate::task;

    fn dataset(examples: Vec<(&str, Input, Option<Target>)>) -> Dataset {
        let example = |(i, (id, input, target)): (usize, (&str, Input, Option<Target>))| Example {
            id: id.into(),
            line: i + 2,
            input,
            target,
        };
        let examples = examples.into_iter().enumerate().map(example).collect();
        Dataset { path: "test.tsv".into(), examples, split: "test".into() }
    }

    fn text(text: &str) -> Input {
        Input::Text { text: text.into(), text_pair: None }
    }

    fn class(label: usize, probabilities: &[f32]) -> Prediction {
        Prediction::Class { label, probabilities: probabilities.to_vec() }
    }

    /// The file that is written for a split of a task.
    fn written(
        task: &Task,
        split: &Split,
        dataset: &Dataset,
        predictions: &[Prediction],
    ) -> Result<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("runs/x/predictions");
        let labels = Labels::new(task.labels.clone().unwrap_or_default());
        let paths = write_predictions(task, split, dataset, &labels, predictions, &folder)?;
        let path = &paths[0];
        assert_eq!(fs::read_dir(&folder).unwrap().count(), paths.len(), "nothing else is left");
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((name, fs::read_to_string(path).unwrap()))
    }

    #[test]
    fn a_submission_has_the_files_index_and_label_words() {
        let mnli = task::find("mnli").unwrap();
        let rows = dataset(vec![("7", text("a"), None), ("9", text("b"), None)]);
        let predictions = [class(2, &[0.0, 0.0, 1.0]), class(0, &[1.0, 0.0, 0.0])];
        let (name, file) = written(&mnli, &mnli.test[1], &rows, &predictions).unwrap();
        assert_eq!(name, "MNLI-mm.tsv");
        assert_eq!(file, "index\tprediction\n7\tneutral\n9\tcontradiction\n");

        let cola = task::find("cola").unwrap();
        let (name, file) =
            written(&cola, &cola.test[0], &rows, &[class(0, &[1.0, 0.0]), class(1, &[0.0, 1.0])])
                .unwrap();
        assert_eq!(name, "CoLA.tsv");
        assert_eq!(file, "index\tprediction\n7\t0\n9\t1\n");
    }

    #[test]
    fn every_glue_task_names_the_file_that_the_leaderboard_wants() {
        let mut names: Vec<_> = task::tasks()
            .iter()
            .flat_map(|task| &task.test)
            .filter_map(|split| split.submission.as_deref())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "AX.tsv",
                "CoLA.tsv",
                "MNLI-m.tsv",
                "MNLI-mm.tsv",
                "MRPC.tsv",
                "QNLI.tsv",
                "QQP.tsv",
                "RTE.tsv",
                "SST-2.tsv",
                "STS-B.tsv",
                "WNLI.tsv"
            ]
        );
    }

    #[test]
    fn an_index_that_would_break_the_row_names_its_line() {
        let sst2 = task::find("sst2").unwrap();
        let rows = dataset(vec![("a\tb", text("a"), None)]);
        let error = written(&sst2, &sst2.test[0], &rows, &[class(1, &[0.0, 1.0])]).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
        assert!(error.what().contains("holds a tab or a line break"), "{error}");
    }

    #[test]
    fn scores_have_three_decimals_inside_the_range() {
        let stsb = task::find("stsb").unwrap();
        let rows = dataset(["0", "1", "2", "3"].map(|id| (id, text("a"), None)).into());
        let predictions = [2.34567, -0.2, 5.3, 4.0].map(Prediction::Score);
        let (name, file) = written(&stsb, &stsb.test[0], &rows, &predictions).unwrap();
        assert_eq!(name, "STS-B.tsv");
        assert_eq!(file, "index\tprediction\n0\t2.346\n1\t0.000\n2\t5.000\n3\t4.000\n");
    }

    #[test]
    fn a_score_that_is_no_number_is_not_submitted() {
        let stsb = task::find("stsb").unwrap();
        let rows = dataset(vec![("0", text("a"), None)]);
        let error = written(&stsb, &stsb.test[0], &rows, &[Prediction::Score(f32::NAN)]);
        assert_eq!(error.unwrap_err().place().unwrap().line, Some(2));
    }

    #[test]
    fn tags_are_written_in_columns_with_the_gold_tag_where_it_is_known() {
        let conll = task::find("conll2003").unwrap();
        let words = |words: &str| Input::Words(words.split(' ').map(str::to_owned).collect());
        let rows = dataset(vec![
            ("0", words("Ada runs"), Some(Target::Tags(vec![1, 0]))),
            ("1", words("Oslo"), None),
        ]);
        let tags = |tags: &[usize]| Prediction::Tags {
            tags: tags.to_vec(),
            probabilities: vec![1.0; tags.len()],
        };
        let predictions = [tags(&[0, 0]), tags(&[5])];
        let (name, file) = written(&conll, &conll.test[0], &rows, &predictions).unwrap();
        assert_eq!(name, "test.txt");
        assert_eq!(file, "Ada B-PER O\nruns O O\n\nOslo B-LOC\n\n");
    }

    #[test]
    fn tags_are_written_in_the_scheme_of_the_file_else_of_the_training_file() {
        let dir = tempfile::tempdir().unwrap();
        let conll = task::find("conll2003").unwrap();
        let labels = Labels::new(conll.labels.clone().unwrap()).with_scheme(Some(Scheme::Bilou));
        let written = |file: &str| {
            let path = dir.path().join("file.txt");
            fs::write(&path, file).unwrap();
            let words = Input::Words(["Ada", "L"].map(str::to_owned).into());
            let target = Some(Target::Tags(vec![1, 2]));
            let example = Example { id: "0".into(), line: 1, input: words, target };
            let dataset = Dataset { path, examples: vec![example], split: "test".into() };
            let tags = Prediction::Tags { tags: vec![1, 5], probabilities: vec![1.0; 2] };
            let split = &conll.test[0];
            write_predictions(&conll, split, &dataset, &labels, &[tags], dir.path()).unwrap();
            let read = |name| fs::read_to_string(dir.path().join(name)).unwrap();
            (read("test.txt"), read("test.jsonl"))
        };
        let (text, json) = written("Ada B-PER\nL E-PER\n");
        assert_eq!(text, "Ada B-PER S-PER\nL E-PER S-LOC\n\n");
        assert!(json.contains(r#""tags":["S-PER","S-LOC"]"#), "{json}");
        assert_eq!(written("Ada\nL\n").0, "Ada B-PER U-PER\nL L-PER U-LOC\n\n");
        assert_eq!(written("Ada B-PER\nL I-PER\n").0, "Ada B-PER B-PER\nL I-PER B-LOC\n\n");
    }

    #[test]
    fn labels_become_json_lines_with_their_probabilities() {
        let sst2 = task::find("sst2").unwrap();
        let rows = dataset(vec![("5", text("a"), Some(Target::Class(0)))]);
        let (name, file) = written(&sst2, &sst2.dev[0], &rows, &[class(1, &[0.25, 0.75])]).unwrap();
        assert_eq!(name, "dev.jsonl");
        assert_eq!(
            file,
            "{\"id\":\"5\",\"gold\":\"0\",\"label\":\"1\",\
             \"probabilities\":{\"0\":0.25,\"1\":0.75},\"text\":\"a\"}\n"
        );
    }

    #[test]
    fn endings_scores_and_answers_become_json_lines() {
        let swag = task::find("swag").unwrap();
        let choices = Input::Choices {
            context: "a".into(),
            start: String::new(),
            endings: vec!["b".into(), "c".into()],
        };
        let rows = dataset(vec![("5", choices, Some(Target::Class(0)))]);
        let (_, file) = written(&swag, &swag.dev[0], &rows, &[class(1, &[0.25, 0.75])]).unwrap();
        assert_eq!(
            file,
            "{\"id\":\"5\",\"gold\":0,\"label\":1,\"probabilities\":[0.25,0.75],\
             \"context\":\"a\",\"start\":\"\",\"endings\":[\"b\",\"c\"]}\n"
        );

        let stsb = task::find("stsb").unwrap();
        let rows = dataset(vec![("a\"b", text("a"), None)]);
        let (_, file) = written(&stsb, &stsb.dev[0], &rows, &[Prediction::Score(5.25)]).unwrap();
        assert_eq!(file, "{\"id\":\"a\\\"b\",\"score\":5.25,\"text\":\"a\"}\n");
        let (_, file) =
            written(&stsb, &stsb.dev[0], &rows, &[Prediction::Score(f32::NAN)]).unwrap();
        assert_eq!(file, "{\"id\":\"a\\\"b\",\"score\":null,\"text\":\"a\"}\n");
    }

    #[test]
    fn answers_become_squads_files_in_a_folder_of_the_split() {
        let squad = task::find("squad").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let question = Input::Question { question: "a?".into(), context: "é".into() };
        let gold = Target::Answers(vec![Answer { text: "é".into(), start: 0 }]);
        let rows = dataset(vec![("a\"b", question, Some(gold))]);
        let answer = SpanPrediction { text: "é".into(), ..SpanPrediction::default() };
        let predictions = [Prediction::Span(answer)];
        let labels = Labels::default();
        let write = |split| {
            write_predictions(&squad, split, &rows, &labels, &predictions, dir.path()).unwrap()
        };
        let paths = write(&squad.dev[0]);
        assert!(paths.contains(&dir.path().join("dev/predictions.json")), "{paths:?}");
        let lines = fs::read_to_string(dir.path().join("dev.jsonl")).unwrap();
        assert_eq!(
            lines,
            "{\"id\":\"a\\\"b\",\"gold\":[\"é\"],\"answer\":\"é\",\"probability\":null,\
             \"start\":null,\"null_odds\":null,\"question\":\"a?\"}\n"
        );
        assert!(write(squad.train.as_ref().unwrap()).iter().all(|path| !paths.contains(path)));
    }

    #[test]
    fn a_failed_write_leaves_the_file_that_was_there() {
        let sst2 = task::find("sst2").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let labels = Labels::new(sst2.labels.clone().unwrap());
        let rows = dataset(vec![("5", text("a"), None)]);
        let write = |label| {
            let predictions = [class(label, &[0.25, 0.75])];
            write_predictions(&sst2, &sst2.test[0], &rows, &labels, &predictions, dir.path())
        };
        write(1).unwrap();
        assert!(write(2).is_err());
        assert!(write_predictions(&sst2, &sst2.test[0], &rows, &labels, &[], dir.path()).is_err());
        let left = fs::read_to_string(dir.path().join("SST-2.tsv")).unwrap();
        assert_eq!(left, "index\tprediction\n5\t1\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "with the JSON lines");
    }
}
