//! CoNLL's form of tagged sentences: a word on each line, a blank line between sentences.
//!
//! Columns are separated by spaces or tabs. The word is the first and the tag the last, unless the
//! task says otherwise; a file of one column has no tags. A line whose first column is `-DOCSTART-`
//! begins a document and is no word. A line before a sentence that begins with `#` is a comment, unless
//! it has the columns of a word: `# NN O`.
//!
//! CoNLL-U has ten columns with tabs between, so that a word may hold a space; the second is the word and
//! the fourth its part of speech. Lines of several words together (`1-2`) and of words that are not
//! written (`8.1`) are left out.
//!
//! Entities may be tagged in any [`Scheme`](crate::task::Scheme). Their tags are rewritten to IOB2, so
//! that one label set serves all of them; the entities stay the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::tags::Tags;
use super::{Example, Input, Labels, Row};
use crate::error::{Error, Result};
use crate::task::{Column, ReadTags, Split, Task};
use crate::text::{Lines, count};

/// Reads a file of tagged sentences.
pub(super) struct ConllReader<'a> {
    path: &'a Path,
    labels: &'a Labels,
    sentences: Sentences,
    /// The number of the next sentence, counted from 0.
    number: usize,
}

impl<'a> ConllReader<'a> {
    /// Opens a file.
    pub(super) fn open(
        task: &'a Task,
        split: &'a Split,
        path: &'a Path,
        labels: &'a Labels,
    ) -> Result<Self> {
        Ok(Self { path, labels, sentences: Sentences::open(task, split, path)?, number: 0 })
    }
}

impl Reader for ConllReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some(Sentence { lines, words, tags }) = self.sentences.advance()? else {
            return Ok(None);
        };
        let target =
            tags.map(|tags| Tags::target(&tags, self.labels, self.path, |word| lines[word]));
        let id = self.number.to_string();
        self.number += 1;
        let line = lines[0];
        Ok(Some(Example { id, line, input: Input::Words(words), target: target.transpose()? }))
    }

    /// Of entities, both tags of every type, and `O`.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        while let Some(sentence) = self.sentences.advance()? {
            let Some(tags) = sentence.tags else {
                return Err(Error::new("it has one column, the words; expected a column of tags")
                    .at_line(self.path, sentence.lines[0]));
            };
            for tag in tags {
                *counts.entry(tag).or_insert(0) += 1;
            }
        }
        self.sentences.tags.complete(&mut counts);
        Ok(counts)
    }

    fn row(&self) -> Option<Row> {
        Some(Row::Lines(self.sentences.rows.clone()))
    }

    fn bytes_read(&self) -> u64 {
        self.sentences.lines.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        let Sentences { comments, left_out, tags, .. } = &self.sentences;
        let mut made = tags.changed();
        if *comments > 0 {
            made.push(format!("{} left out that begin with `#`", count(*comments, "line")));
        }
        if *left_out > 0 {
            made.push(format!(
                "{} left out that are no single written word (`1-2`, `8.1`)",
                count(*left_out, "line")
            ));
        }
        made
    }

    fn tags_read(&self) -> Option<&ReadTags> {
        self.sentences.tags.entities()
    }
}

struct Sentence {
    /// The line of each word; at least one.
    lines: Vec<usize>,
    words: Vec<String>,
    /// A tag for each word, entities in IOB2.
    tags: Option<Vec<String>>,
}

/// A file that is being read. Memory is bounded by the longest sentence.
struct Sentences {
    lines: Lines<'static>,
    word: Option<usize>,
    label: LabelColumn,
    /// The columns of the file's first word.
    form: Option<Form>,
    tags: Tags,
    /// Lines that were taken for comments.
    comments: usize,
    /// Lines of CoNLL-U that are no single written word.
    left_out: usize,
    /// The lines of the current sentence.
    rows: Vec<String>,
}

/// Where the tag stands.
#[derive(Clone, Copy)]
enum LabelColumn {
    At(usize),
    /// There, or nowhere if the file has fewer columns.
    MaybeAt(usize),
    /// Where the form of the file has it: in the last column, unless that is the word's.
    Usual,
}

/// What a file's first word says of all others.
#[derive(Clone, Copy)]
struct Form {
    columns: usize,
    line: usize,
    is_conllu: bool,
}

/// The columns of CoNLL-U.
const CONLLU_COLUMNS: usize = 10;
/// That of the word.
const CONLLU_WORD: usize = 1;
/// That of the universal part of speech.
const CONLLU_TAG: usize = 3;

impl Sentences {
    fn open(task: &Task, split: &Split, path: &Path) -> Result<Self> {
        let columns = task.columns_of(split);
        let position = |column: &Column| match column {
            Column::Index(index) => Ok(*index),
            Column::Name(name) => Err(Error::new(format!(
                "a CoNLL file has no header, so there is no column `{name}`; expected its position \
                 counted from 0"
            ))
            .at(path)),
        };
        Ok(Self {
            lines: Lines::open(path)?,
            word: columns.word.as_ref().map(position).transpose()?,
            label: match &columns.label {
                None => LabelColumn::Usual,
                Some(column) if task.is_test(split) => LabelColumn::MaybeAt(position(column)?),
                Some(column) => LabelColumn::At(position(column)?),
            },
            form: None,
            tags: Tags::new(task),
            comments: 0,
            left_out: 0,
            rows: Vec::new(),
        })
    }

    /// The next sentence, or `None` at the end.
    fn advance(&mut self) -> Result<Option<Sentence>> {
        let (mut lines, mut words, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        self.rows.clear();
        while self.lines.advance()?.is_some() {
            let line = self.lines.current();
            let number = self.lines.number();
            if words.is_empty() && is_comment(line, self.form, self.tags.entities().is_some()) {
                self.comments += 1;
                continue;
            }
            if matches!(columns(line, false).first(), None | Some(&"-DOCSTART-")) {
                if words.is_empty() {
                    continue;
                }
                break;
            }
            let form = *self.form.get_or_insert_with(|| Form::of(line, number));
            let columns = columns(line, form.is_conllu);
            if columns.len() != form.columns {
                return Err(Error::new(format!(
                    "expected {} columns as on line {}, found {}",
                    form.columns,
                    form.line,
                    columns.len()
                ))
                .at_line(self.lines.path(), number));
            }
            if form.is_conllu && columns[0].contains(['-', '.']) {
                self.left_out += 1;
                continue;
            }
            let column = |at: usize, what: &str| {
                columns.get(at).copied().ok_or_else(|| {
                    Error::new(format!(
                        "expected the {what} in column {at} (counted from 0), found {} columns",
                        form.columns
                    ))
                    .at_line(self.lines.path(), number)
                })
            };
            let word = self.word.unwrap_or(if form.is_conllu { CONLLU_WORD } else { 0 });
            words.push(column(word, "word")?.to_owned());
            lines.push(number);
            self.rows.push(line.to_owned());
            let label = match self.label {
                LabelColumn::At(at) => Some(at),
                LabelColumn::MaybeAt(at) => (at < form.columns).then_some(at),
                LabelColumn::Usual if form.is_conllu => Some(CONLLU_TAG),
                LabelColumn::Usual => Some(form.columns - 1).filter(|&last| last != word),
            };
            if let Some(at) = label {
                tags.push(column(at, "tag")?.to_owned());
            }
        }
        if words.is_empty() {
            return Ok(None);
        }
        self.tags.read(&mut tags, self.lines.path(), |word| lines[word])?;
        let tags = (!tags.is_empty()).then_some(tags);
        Ok(Some(Sentence { lines, words, tags }))
    }
}

impl Form {
    /// The form of a file whose first word is on this line.
    fn of(line: &str, number: usize) -> Self {
        let tabs = columns(line, true);
        let is_conllu = tabs.len() == CONLLU_COLUMNS
            && tabs[0].starts_with(|c: char| c.is_ascii_digit())
            && tabs[0].chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
        Self { columns: columns(line, is_conllu).len(), line: number, is_conllu }
    }
}

/// The columns of a line. Only spaces and tabs separate, in CoNLL-U only tabs: a word may be another
/// white space, such as the no-break space.
fn columns(line: &str, is_conllu: bool) -> Vec<&str> {
    if is_conllu {
        return line.split('\t').collect();
    }
    line.split([' ', '\t']).filter(|column| !column.is_empty()).collect()
}

/// Whether a line before a sentence is a comment and not a word that begins with `#`: it begins with `#`
/// and has not the columns of a word.
fn is_comment(line: &str, form: Option<Form>, entities: bool) -> bool {
    if !line.starts_with('#') {
        return false;
    }
    let columns = columns(line, form.is_some_and(|form| form.is_conllu));
    if matches!(columns.as_slice(), [_, "=", ..] | [_, _, "=", ..])
        || form.is_some_and(|form| columns.len() != form.columns)
    {
        return true;
    }
    let last = columns.last().copied().unwrap_or_default();
    let is_tag = last == "O" || last.get(1..2) == Some("-");
    // A tag that stands for itself may be any text.
    if entities { !is_tag } else { form.is_none() }
}

#[cfg(test)]
mod tests {
    use super::super::reader::read_all;
    use super::*;
    use crate::dataset::{Target, tag_scheme};
    use crate::metric::MetricName;
    use crate::task::{self, Scheme};

    const NAMES: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

    fn task() -> Task {
        let mut task = task::find("conll2003").unwrap();
        task.labels = Some(NAMES.map(str::to_owned).into());
        task
    }

    fn found_labels(task: &Task, split: &Split, path: &Path) -> Result<Vec<String>> {
        let counts = ConllReader::open(task, split, path, &Labels::default())?.count_labels()?;
        Ok(counts.into_keys().collect())
    }

    fn read_as(task: &Task, split: &Split, text: &str) -> Result<Vec<Example>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, text).unwrap();
        let labels = match &task.labels {
            Some(names) => Labels::new(names.clone()),
            None => Labels::new(found_labels(task, split, &path)?),
        };
        read_all(ConllReader::open(task, split, &path, &labels)?)
    }

    fn read_train(text: &str) -> Result<Vec<Example>> {
        let task = task();
        read_as(&task, task.train.as_ref().unwrap(), text)
    }

    fn words(example: &Example) -> Vec<&str> {
        let Input::Words(words) = &example.input else { panic!("{example:?}") };
        words.iter().map(String::as_str).collect()
    }

    fn tags(example: &Example) -> Vec<&str> {
        let Some(Target::Tags(tags)) = &example.target else { panic!("{example:?}") };
        tags.iter().map(|&tag| NAMES[tag]).collect()
    }

    fn line_of(error: &Error) -> Option<usize> {
        error.place().unwrap().line
    }

    #[test]
    fn sentences_are_cut_at_blank_lines_and_document_marks_are_no_words() {
        let examples = read_train(
            "-DOCSTART- -X- -X- O\n\nAda NNP I-NP B-PER\nruns VBZ I-VP O\n\n\n\
             -DOCSTART- O\n\nOslo NNP I-NP B-LOC\n-DOCSTART-\nAda NNP I-NP B-PER",
        )
        .unwrap();
        let lines: Vec<_> = examples.iter().map(|example| example.line).collect();
        assert_eq!(lines, [3, 9, 11]);
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
        assert_eq!(words(&examples[1]), ["Oslo"]);
        assert_eq!(words(&examples[2]), ["Ada"]);
    }

    #[test]
    fn columns_may_be_separated_by_tabs_and_lines_end_as_on_windows() {
        let examples = read_train("Ada\tB-PER\r\nruns \t O\r\n \r\nOslo\tB-LOC\r\n").unwrap();
        assert_eq!(examples.len(), 2);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
    }

    #[test]
    fn a_no_break_space_is_a_word() {
        let examples = read_train("\u{a0} O\nAda B-PER\n").unwrap();
        assert_eq!(words(&examples[0]), ["\u{a0}", "Ada"]);
    }

    #[test]
    fn iob1_becomes_iob2_and_iob2_stays() {
        let iob1 = "a I-PER\nb I-PER\nc B-PER\nd I-LOC\ne O\nf I-LOC\n\ng I-LOC\n";
        let iob2 = "a B-PER\nb I-PER\nc B-PER\nd B-LOC\ne O\nf B-LOC\n\ng B-LOC\n";
        let (iob1, iob2) = (read_train(iob1).unwrap(), read_train(iob2).unwrap());
        assert_eq!(iob1, iob2);
        assert_eq!(tags(&iob1[0]), ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC"]);
        assert_eq!(tags(&iob1[1]), ["B-LOC"]);
    }

    #[test]
    fn a_file_of_words_alone_has_no_targets() {
        let examples = read_train("Ada\nruns\n\nOslo\n").unwrap();
        assert!(examples.iter().all(|example| example.target.is_none()));
    }

    #[test]
    fn a_line_with_too_few_columns_names_its_line_and_both_counts() {
        let error = read_train("Ada NNP B-PER\nruns O\n").unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("expected 3 columns as on line 1, found 2"), "{error}");
    }

    #[test]
    fn an_unknown_tag_names_its_line_and_the_known_ones() {
        let error = read_train("Ada B-PER\nruns O\nJune I-DATE\n").unwrap_err();
        assert_eq!(line_of(&error), Some(3));
        assert!(error.what().contains("unknown label `B-DATE`; expected one of `O`"), "{error}");
    }

    #[test]
    fn a_prefix_of_no_scheme_names_its_line_and_the_known_ones() {
        for tag in ["X-PER", "PER", "B-", "b-PER", "o", "-", "BPER"] {
            let error = read_train(&format!("Oslo O\nAda {tag}\n")).unwrap_err();
            assert_eq!(line_of(&error), Some(2), "{tag}");
            assert!(error.what().contains("expected `O`, `B-TYPE` or `I-TYPE`"), "{error}");
        }
    }

    #[test]
    fn columns_are_where_the_task_says() {
        let mut task = task();
        task.columns.word = Some(Column::Index(1));
        task.columns.label = Some(Column::Index(2));
        let train = task.train.clone().unwrap();
        let examples = read_as(&task, &train, "1 Ada B-PER x\n2 runs O y\n").unwrap();
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);

        let error = read_as(&task, &train, "1 Ada\n").unwrap_err();
        assert_eq!(line_of(&error), Some(1));
        assert!(error.what().contains("tag in column 2 (counted from 0), found 2"), "{error}");

        let test = task.test[0].clone();
        let examples = read_as(&task, &test, "1 Ada\n2 runs\n").unwrap();
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(examples[0].target, None);
    }

    #[test]
    fn a_column_by_name_is_refused_since_there_is_no_header() {
        let mut task = task();
        task.columns.label = Some(Column::Name("ner".into()));
        let error = read_as(&task, &task.train.clone().unwrap(), "Ada B-PER\n").unwrap_err();
        assert!(error.what().contains("no column `ner`"), "{error}");
    }

    #[test]
    fn labels_found_in_the_file_hold_both_tags_of_every_type() {
        let (mut task, dir) = (task(), tempfile::tempdir().unwrap());
        let path = dir.path().join("train.txt");
        std::fs::write(&path, "Ada I-PER\nruns O\nOslo I-LOC\nFjord I-LOC\n").unwrap();
        let train = task.train.clone().unwrap();
        let found = found_labels(&task, &train, &path).unwrap();
        assert_eq!(found, ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]);

        std::fs::write(&path, "Ada NOUN\nruns VERB\n").unwrap();
        task.metrics = vec![MetricName::Accuracy];
        let found = found_labels(&task, &train, &path).unwrap();
        assert_eq!(found, ["NOUN", "VERB"]);

        std::fs::write(&path, "Ada\nruns\n").unwrap();
        let error = found_labels(&task, &train, &path).unwrap_err();
        assert!(error.what().contains("expected a column of tags"), "{error}");
        assert_eq!(line_of(&error), Some(1));
    }

    #[test]
    fn what_follows_a_sentence_is_not_read_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, "Ada B-PER\n\nruns badly\n").unwrap();
        let task = task();
        let labels = Labels::new(task.labels.clone().unwrap());
        let train = task.train.as_ref().unwrap();
        let mut reader = ConllReader::open(&task, train, &path, &labels).unwrap();
        assert!(reader.next_example().unwrap().is_some());
        assert!(reader.next_example().is_err());
    }

    #[test]
    fn every_scheme_is_read_as_iob2_and_said() {
        let iob2 = read_train("a B-PER\nb I-PER\nc B-LOC\n").unwrap();
        let task = task();
        for (text, scheme) in [
            ("a B-PER\nb E-PER\nc S-LOC\n", Scheme::Bioes),
            ("a B-PER\nb L-PER\nc U-LOC\n", Scheme::Bilou),
            ("a I-PER\nb I-PER\nc I-LOC\n", Scheme::Iob1),
        ] {
            assert_eq!(read_train(text).unwrap(), iob2);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file.txt");
            std::fs::write(&path, text).unwrap();
            let labels = Labels::new(task.labels.clone().unwrap());
            let train = task.train.as_ref().unwrap();
            let mut reader = ConllReader::open(&task, train, &path, &labels).unwrap();
            reader.next_example().unwrap();
            assert!(reader.repairs()[0].contains(scheme.name()), "{:?}", reader.repairs());
            assert_eq!(tag_scheme(&task, train, &path), Some(scheme));
        }
        let named = Task { scheme: Some(Scheme::Iob2), ..task };
        let error =
            read_as(&named, named.train.as_ref().unwrap(), "a B-PER\nb E-PER\n").unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("`scheme` is IOB2"), "{error}");
    }

    #[test]
    fn comments_are_left_out_and_a_number_sign_may_be_a_word() {
        let text = "# id = 1\n# newdoc\n# text = # is O\n# O\nAda B-PER\n# O\n\n# text B-X\n# Oslo\n\
                    Oslo B-LOC\n";
        let examples = read_train(text).unwrap();
        assert_eq!(words(&examples[0]), ["#", "Ada", "#"]);
        assert_eq!(words(&examples[1]), ["Oslo"]);
        assert_eq!(examples[1].line, 10);
    }

    #[test]
    fn conllu_has_its_own_columns_and_words_may_hold_spaces() {
        let row = |id: &str, word: &str, tag: &str| {
            format!("{id}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n")
        };
        let text = [
            "# sent_id = 1\n".to_owned(),
            row("1-2", "du", "_"),
            row("1", "de", "ADP"),
            row("2", "10 000", "NUM"),
            row("2.1", "rien", "_"),
        ]
        .concat();
        let mut task = task();
        (task.labels, task.metrics) = (None, vec![MetricName::Accuracy]);
        let train = task.train.clone().unwrap();
        let examples = read_as(&task, &train, &text).unwrap();
        assert_eq!(words(&examples[0]), ["de", "10 000"]);
        assert_eq!(examples[0].target, Some(Target::Tags(vec![0, 1])));
        assert_eq!(examples[0].line, 3);
        task.columns.word = Some(Column::Index(3));
        let examples = read_as(&task, &train, &text).unwrap();
        assert_eq!(words(&examples[0]), ["ADP", "NUM"]);
    }
}
