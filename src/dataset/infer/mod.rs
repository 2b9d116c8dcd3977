//! A task from a data file, without a task file: `tfbert train --data tickets.csv`.
//!
//! The form of the file, its columns and the head are taken from what the user says, and else from
//! the file: its beginning, the names of its columns, and the values of the column of labels. What
//! was guessed is said.

use std::path::{Component, Path, PathBuf};

use super::{Labels, Target, reader};
use crate::error::{Error, Result};
use crate::metric::MetricName;
use crate::task::{
    self, Column, Columns, Defaults, DevFromTrain, Format, Head, Repairs, SampleBy, Split, Task,
    TextColumns,
};
use crate::text::{excerpt, listed};

mod columns;
mod form;
mod label_scan;
mod place;

use columns::FileColumn;
use form::Form;
use label_scan::LabelScan;

/// A data file, and what the user says of it.
#[derive(Debug, Clone, Copy)]
pub struct DataFile<'a> {
    /// The file to train on.
    pub path: &'a Path,
    /// The file to evaluate on; without it, a part of the training file.
    pub dev: Option<&'a Path>,
    /// Which part.
    pub dev_from_train: DevFromTrain,
    /// The columns of the text; empty for those that are found by name.
    pub text: &'a [String],
    /// The columns of the second text.
    pub text_pair: &'a [String],
    /// The columns of the label; empty for that which is found by name.
    pub label: &'a [String],
    /// The head.
    pub head: Option<Head>,
    /// What separates the columns.
    pub delimiter: Option<char>,
    /// What counts as one text in a plain text file: a line, unless the user says a paragraph.
    pub sample_by: Option<SampleBy>,
}

impl<'a> DataFile<'a> {
    /// A file of which the user says nothing else; a fifth of it is the development part.
    pub fn new(path: &'a Path) -> Self {
        Self {
            path,
            dev: None,
            dev_from_train: DevFromTrain { share: 0.2, seed: 1 },
            text: &[],
            text_pair: &[],
            label: &[],
            head: None,
            delimiter: None,
            sample_by: None,
        }
    }
}

/// A task that was made of a data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// The task.
    pub task: Task,
    /// What it was made of, in a sentence.
    pub summary: String,
}

/// Makes a task of a data file.
///
/// # Errors
///
/// The file cannot be read, or it is not known which columns are text and label; then the columns
/// are logged with a few of their values, and the hint is a command to type.
pub fn infer(file: &DataFile<'_>) -> Result<Inferred> {
    if !file.path.is_file() {
        let what = if file.path.exists() { "is not a regular file" } else { "is not there" };
        return Err(Error::usage(format!("the data file {what}")).at(file.path));
    }
    let form = form::of(file, file.path)?;
    let found = match form.format {
        Format::Text => texts(file, form)?,
        Format::Squad => questions(file, form)?,
        Format::Conll => tagged_words(file, form)?,
        _ => table(file, form).map_err(|error| with_plain_text(error, file))?,
    };
    let mut task = found.task;
    place::name_files(&mut task, file)?;
    let dev = match file.dev {
        Some(dev) => {
            check_same_form(file, form, dev)?;
            String::new()
        }
        None => {
            task.dev_from_train = Some(file.dev_from_train);
            task.add_dev_from_train();
            let unit = match task.head {
                Head::Span => "its passages",
                Head::Tag => "its sentences",
                Head::Masked => "its texts",
                _ => "its rows",
            };
            format!(
                "; {:.0}% of {unit} are the development part (a file of its own: `--dev FILE`)",
                100.0 * file.dev_from_train.share
            )
        }
    };
    task.check().map_err(|error| error.at(file.path))?;
    let summary = format!("{}: {}; {}{dev}", file.path.display(), form.shown(), found.summary);
    Ok(Inferred { task, summary })
}

/// Adds to an error about the table in a `.txt` file what to do if the file is plain text.
fn with_plain_text(error: Error, file: &DataFile<'_>) -> Error {
    if !file.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt")) {
        return error;
    }
    let plain = "to train an encoder further on plain text, give `--head masked`";
    let hint = error.hint_text().map_or(plain.to_owned(), |hint| format!("{hint}; {plain}"));
    error.hint(hint)
}

/// A task without its files.
struct Found {
    task: Task,
    /// Head and columns.
    summary: String,
}

/// A task with this head, of which nothing else is known.
fn new_task(head: Head, form: Form) -> Task {
    let (metrics, defaults) = match head {
        Head::Classify => (vec![MetricName::Accuracy, MetricName::MacroF1], Defaults::default()),
        Head::Span => like("squad"),
        Head::Tag => like("conll2003"),
        _ => (head.metrics(), Defaults::default()),
    };
    Task {
        head,
        format: form.format,
        delimiter: form.delimiter,
        metrics,
        defaults,
        repairs: Repairs { find_answers: form.format == Format::Squad, ..Repairs::default() },
        ..Task::empty()
    }
}

/// Metrics and hyper-parameters of a built-in task.
fn like(name: &str) -> (Vec<MetricName>, Defaults) {
    let task = task::tasks().iter().find(|task| task.name == name);
    task.map(|task| (task.metrics.clone(), task.defaults.clone())).unwrap_or_default()
}

/// Refuses a head that does not fit the file.
fn check_head(file: &DataFile<'_>, fits: Head, form: Form) -> Result<()> {
    let columns = [file.text, file.text_pair, file.label].concat();
    if !columns.is_empty() {
        let what = format!("{} has no columns to choose", form.shown());
        return Err(Error::usage(what)
            .at(file.path)
            .hint("leave out `--text`, `--text-pair` and `--label`"));
    }
    match file.head {
        Some(head) if head != fits => Err(Error::usage(format!(
            "`--head {head}` does not fit {}, which is for `{fits}`",
            form.shown()
        ))
        .at(file.path)),
        _ => Ok(()),
    }
}

/// Plain texts, whose words are hidden.
fn texts(file: &DataFile<'_>, form: Form) -> Result<Found> {
    check_head(file, Head::Masked, form)?;
    let sample_by = file.sample_by.unwrap_or_default();
    let each = match sample_by {
        SampleBy::Line => "each line is a text (`--sample-by paragraph`: each paragraph)",
        SampleBy::Paragraph => "each paragraph is a text",
    };
    let task = Task { sample_by, ..new_task(Head::Masked, form) };
    Ok(Found { task, summary: format!("{each}: head `masked`") })
}

/// Questions about passages.
fn questions(file: &DataFile<'_>, form: Form) -> Result<Found> {
    check_head(file, Head::Span, form)?;
    let mut task = new_task(Head::Span, form);
    place::name_files(&mut task, file)?;
    // Whether questions may lack an answer is a fact of the whole file.
    task.version_2_with_negative = true;
    let mut unanswered = 0;
    let labels = Labels::default();
    if let Some(train) = &task.train {
        let mut reader = reader::open(&task, train, file.path, &labels)?;
        while let Some(example) = reader.next_example()? {
            let none = matches!(&example.target, Some(Target::Answers(list)) if list.is_empty());
            unanswered += usize::from(none);
        }
    }
    task.version_2_with_negative = unanswered > 0;
    let summary = match unanswered {
        0 => "questions with answers: head `span`".to_owned(),
        some => format!("questions, {some} of them without an answer: head `span`"),
    };
    Ok(Found { task, summary })
}

/// Words with tags in CoNLL's columns.
fn tagged_words(file: &DataFile<'_>, form: Form) -> Result<Found> {
    check_head(file, Head::Tag, form)?;
    let mut task = new_task(Head::Tag, form);
    place::name_files(&mut task, file)?;
    let kind = choose_tag_metrics(&mut task, file)?;
    Ok(Found {
        task,
        summary: format!("words in the first column, {kind} in the last: head `tag`"),
    })
}

/// Chooses entities or tags that stand for themselves, by the tags of the whole file.
fn choose_tag_metrics(task: &mut Task, file: &DataFile<'_>) -> Result<&'static str> {
    let labels = Labels::default();
    let count = |task: &Task| match &task.train {
        Some(train) => reader::open(task, train, file.path, &labels)?.count_labels(),
        None => Ok(Default::default()),
    };
    let Err(error) = count(task) else { return Ok("tags of entities") };
    let plain = Task { metrics: vec![MetricName::Accuracy], ..task.clone() };
    // Where words outside entities are tagged `O`, another tag is a mistake of the file.
    let tags = count(&plain)?;
    if tags.contains_key("O") {
        return Err(error);
    }
    *task = plain;
    let are_numbers = tags.keys().all(|tag| tag.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(if are_numbers { NUMBERS } else { "tags" })
}

/// Tags that are numbers, and what to do where they are those of a list of names.
const NUMBERS: &str = "numbers (if these stand for names, list the names in a task file: \
                       `\"label_names\": [\"O\", …]`)";

/// Rows with columns.
fn table(file: &DataFile<'_>, form: Form) -> Result<Found> {
    let columns = columns::sample(file.path, form)?;
    let said = !(file.text.is_empty() && file.text_pair.is_empty() && file.label.is_empty());
    if form.format.has_objects() && !said {
        if file.head.is_none_or(|head| head == Head::Span) && columns::are_questions(&columns) {
            return questions(file, form);
        }
        if let (None | Some(Head::Tag), Some((words, tags))) =
            (file.head, columns::words_and_tags(&columns))
        {
            return tagged_rows(file, form, words, tags);
        }
    }
    let roles = Roles::find(file, &columns)?;
    if !roles.more_labels.is_empty() {
        return label_columns(file, form, roles);
    }
    let label_name = roles.label.to_string();
    let scan = LabelScan::read(file.path, form, &roles.label)?;
    let (head, why) = match file.head {
        Some(Head::Classify) => {
            scan.check_labels(&label_name, file.path)?;
            (Head::Classify, String::new())
        }
        Some(head @ (Head::Regress | Head::Multilabel)) => (head, String::new()),
        Some(head) => {
            let what = format!("`--head {head}` does not fit a table with texts and labels");
            let alike = task::tasks().iter().find(|task| task.head == head);
            let name = alike.map_or("sst2", |task| task.name.as_str());
            return Err(Error::usage(what).at(file.path).hint(format!(
                "describe it in a task file; one to start from: `tfbert tasks --show {name}`"
            )));
        }
        None => scan.head(&label_name, file.path)?,
    };
    let pair = match &roles.text_pair {
        Some(pair) => format!(" with {pair}"),
        None => String::new(),
    };
    let why = if why.is_empty() { why } else { format!(" ({why})") };
    let summary =
        format!("text {}{pair}, label `{}`{why}: head `{head}`", roles.text, excerpt(&label_name));
    let columns = Columns {
        text: Some(roles.text),
        text_pair: roles.text_pair,
        label: Some(roles.label),
        ..Columns::default()
    };
    Ok(Found { task: Task { columns, ..new_task(head, form) }, summary })
}

/// Texts with a column for each label, which holds 1 where a row has it.
fn label_columns(file: &DataFile<'_>, form: Form, roles: Roles) -> Result<Found> {
    if let Some(head) = file.head.filter(|&head| head != Head::Multilabel) {
        let what =
            format!("`--head {head}` has one column of labels; several are for `multilabel`");
        return Err(Error::usage(what).at(file.path).hint("name one column with `--label`"));
    }
    let Roles { text, text_pair, label, more_labels } = roles;
    let labels: Vec<Column> = std::iter::once(label).chain(more_labels).collect();
    let summary =
        format!("text {text}, {} columns of labels: head `{}`", labels.len(), Head::Multilabel);
    let columns = Columns { text: Some(text), text_pair, labels, ..Columns::default() };
    Ok(Found { task: Task { columns, ..new_task(Head::Multilabel, form) }, summary })
}

/// Lists of words and of their tags.
fn tagged_rows(file: &DataFile<'_>, form: Form, words: String, tags: String) -> Result<Found> {
    let mut task = new_task(Head::Tag, form);
    if !Head::Tag.formats().contains(&form.format) {
        let what = format!(
            "its columns `{words}` and `{tags}` are words and tags, which are read from CoNLL's columns alone"
        );
        return Err(Error::new(what)
            .at(file.path)
            .hint("write a word and its tag on each line, a blank line between sentences"));
    }
    let shown = format!("words `{words}`, `{tags}`");
    task.columns = Columns {
        word: Some(Column::Name(words)),
        label: Some(Column::Name(tags)),
        ..Columns::default()
    };
    place::name_files(&mut task, file)?;
    let kind = choose_tag_metrics(&mut task, file)?;
    Ok(Found { task, summary: format!("{shown} are {kind}: head `tag`") })
}

/// Which columns are text and label.
struct Roles {
    text: TextColumns,
    text_pair: Option<TextColumns>,
    label: Column,
    /// More columns of labels, where each label has one.
    more_labels: Vec<Column>,
}

impl Roles {
    fn find(file: &DataFile<'_>, columns: &[FileColumn]) -> Result<Self> {
        if columns.is_empty() {
            let what = "it is empty; expected a header with the names of its columns";
            return Err(Error::new(what).at(file.path));
        }
        let named = |names: &[String]| -> Result<Option<TextColumns>> {
            let columns: Result<Vec<Column>> =
                names.iter().map(|name| column(name, columns, file.path)).collect();
            Ok(TextColumns::new(columns?))
        };
        let (mut text, mut text_pair) = (named(file.text)?, named(file.text_pair)?);
        let mut labels: Vec<Column> = file
            .label
            .iter()
            .map(|name| column(name, columns, file.path))
            .collect::<Result<_>>()?;
        if labels.is_empty() {
            let taken = [file.text, file.text_pair].concat();
            labels.extend(columns::label(columns, &taken).map(Column::Name));
        }
        let mut labels = labels.into_iter();
        let label = labels.next();
        if text.is_none()
            && let Some(label) = &label
        {
            let taken = [file.text_pair, file.label, &[label.to_string()]].concat();
            if let Some((one, other)) = columns::texts(columns, &taken) {
                text = Some(Column::Name(one).into());
                text_pair = text_pair.or(other.map(|other| Column::Name(other).into()));
            }
        }
        match (text, label) {
            (Some(text), Some(label)) => {
                Ok(Self { text, text_pair, label, more_labels: labels.collect() })
            }
            (text, _) => Err(unknown_columns(file, columns, text.is_some())),
        }
    }
}

/// The column that the user names: by its name or, in a table, its position counted from 0.
fn column(name: &str, columns: &[FileColumn], path: &Path) -> Result<Column> {
    if columns.iter().any(|column| column.name == name) {
        return Ok(Column::Name(name.to_owned()));
    }
    if let Ok(position) = name.parse::<u32>() {
        return Ok(Column::Index(position as usize));
    }
    let what = format!(
        "no column `{}` in it; it has {}",
        excerpt(name),
        listed(columns.iter().map(|column| column.name.as_str()))
    );
    let error = Error::usage(what).at_line(path, 1);
    let alike = columns.iter().find(|column| {
        column.name.trim().to_lowercase() == name.trim().to_lowercase()
            || strsim::damerau_levenshtein(&column.name, name) == 1
    });
    Err(match alike {
        Some(column) => error.hint(format!("did you mean `{}`?", excerpt(&column.name))),
        None => error,
    })
}

/// Lists the columns with values, and names the command to type.
fn unknown_columns(file: &DataFile<'_>, columns: &[FileColumn], has_text: bool) -> Error {
    log::info!("{} has these columns, with their first values:", file.path.display());
    const SHOWN: usize = 30;
    columns.iter().take(SHOWN).for_each(|column| log::info!("{}", column.line()));
    if columns.len() > SHOWN {
        log::info!("  and {} more", columns.len() - SHOWN);
    }
    let missing = if has_text { "the label" } else { "text and label" };
    let what = format!("the names of its columns do not tell which are {missing}");
    let path = columns::quoted(&file.path.display().to_string());
    let flags = columns::example_flags(columns);
    Error::usage(what).at(file.path).hint(format!(
        "name them, such as `tfbert train --data {path} {flags}`; without a header by their positions \
         from 0"
    ))
}

/// Refuses a development file of another form.
fn check_same_form(file: &DataFile<'_>, form: Form, dev: &Path) -> Result<()> {
    if !dev.is_file() {
        return Err(Error::usage("the development file is not there").at(dev));
    }
    let other = form::of(file, dev)?;
    if other == form {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the development file has {}, the training file has {}",
        other.shown(),
        form.shown()
    ))
    .at(dev)
    .hint("write both in the same form"))
}

#[cfg(test)]
mod tests;
