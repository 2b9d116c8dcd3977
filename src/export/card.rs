//! The model card: `README.md` in the form of the Hugging Face Hub, a YAML block and Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::Source;
use crate::run::RunRecord;
use crate::saved_model::HuggingFace;

/// The card of a folder that transformers loads.
pub(super) fn hugging_face(source: &Source, table: &HuggingFace) -> String {
    let mut card = front_matter(source, Some("transformers"));
    card += &about(source);
    card += &use_with_transformers(source, table);
    card + &made(source)
}

/// A text as YAML reads it: JSON's texts are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The block of facts that the Hub reads.
pub(super) fn front_matter(source: &Source, library: Option<&str>) -> String {
    let training = &source.trained.training;
    let (task, tag) = (&training.task.name, training.task.head.pipeline_tag());
    let mut yaml = String::from("---\n");
    if let Some(library) = library {
        let _ = writeln!(yaml, "library_name: {library}");
    }
    let _ = writeln!(yaml, "pipeline_tag: {tag}\ntags:\n- tfbert\n- {}", quoted(task));
    let _ = writeln!(yaml, "model-index:\n- name: {}\n  results:", quoted(&name(source)));
    for (split, metrics) in &training.metrics {
        let _ = write!(
            yaml,
            "  - task:\n      type: {tag}\n    dataset:\n      name: {0}\n      type: {0}\n      \
             split: {1}\n    metrics:\n",
            quoted(task),
            quoted(split)
        );
        let defined = metrics.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        for (name, value) in defined {
            let _ = writeln!(yaml, "    - type: {name}\n      value: {value}");
        }
    }
    yaml + "---\n\n"
}

/// What the model is called: its encoder and its task.
fn name(source: &Source) -> String {
    let trained = &source.trained;
    format!("{}-{}", trained.model.encoder.name, trained.training.task.name)
}

/// Title, what the model does, labels and scores.
pub(super) fn about(source: &Source) -> String {
    let trained = &source.trained;
    let (model, training) = (&trained.model, &trained.training);
    let task = &training.task;
    let mut text = format!("# {}\n\n", name(source));
    let asks = match task.description.as_str() {
        "" => String::new(),
        description => format!(": {description}"),
    };
    let _ = writeln!(
        text,
        "The encoder `{}` ({} layers, {} wide), fine-tuned on the task `{}`{asks}\n",
        model.encoder.name, model.encoder.num_hidden_layers, model.encoder.hidden_size, task.name
    );
    let labels = source.labels();
    if !labels.is_empty() {
        text += "| index | label |\n| ---: | --- |\n";
        for (index, label) in labels.iter().enumerate() {
            let _ = writeln!(text, "| {index} | {} |", cell(label));
        }
        text.push('\n');
    }
    let what = match model.head.asks_about_passage() {
        true => "Passages are read in overlapping windows of",
        false => "Texts are cut to",
    };
    let _ = writeln!(
        text,
        "{what} {} tokens, special tokens included, as in training.\n",
        training.features.max_length
    );
    text += "## Scores\n\n| split | metric | value |\n| --- | --- | ---: |\n";
    for (split, metrics) in &training.metrics {
        for (metric, value) in metrics {
            let value = value.map_or("undefined".to_owned(), |value| format!("{value:.4}"));
            let _ = writeln!(text, "| {} | {metric} | {value} |", cell(split));
        }
    }
    text.push('\n');
    text
}

fn use_with_transformers(source: &Source, table: &HuggingFace) -> String {
    let inputs = match source.trained.model.head.pipeline_tag() {
        "question-answering" => "\"a question\", \"the passage\"",
        "multiple-choice" => "[\"context\", \"context\"], [\"one ending\", \"another\"]",
        _ if source.trained.training.task.joins_texts() => "\"first text\", \"second text\"",
        _ => "\"a text\"",
    };
    let lift = match source.trained.model.head.pipeline_tag() {
        "multiple-choice" => "\ninputs = {name: ids[None] for name, ids in inputs.items()}",
        _ => "",
    };
    let padding = if lift.is_empty() { "" } else { ", padding=True" };
    format!(
        "## Use\n\n```python\nfrom transformers import AutoTokenizer, {class}\n\n\
         tokenizer = AutoTokenizer.from_pretrained(\"DIR\")\n\
         model = {class}.from_pretrained(\"DIR\")\n\
         inputs = tokenizer({inputs}{padding}, truncation=True, max_length={length}, \
         return_tensors=\"pt\"){lift}\noutputs = model(**inputs)\n```\n\n",
        class = table.class(),
        length = source.trained.training.features.max_length,
    )
}

/// How the model was made: data, hyper-parameters, command, versions.
pub(super) fn made(source: &Source) -> String {
    let model = &source.trained.model;
    let mut text = String::new();
    match &source.record {
        Some(record) => text += &run(record),
        None => text += "## Training\n\nThe run that made the model was not beside it.\n\n",
    }
    if let Some(result) = &source.result {
        let of = if model.head.asks_about_passage() { "windows" } else { "examples" };
        let _ = writeln!(
            text,
            "{} updates on {} {of} in {:.0} s; the weights are those after update {}.\n",
            result.steps, result.train_examples, result.train_seconds, result.best_step
        );
    }
    text += "## Versions\n\n";
    if let Some(record) = &source.record {
        let _ = writeln!(
            text,
            "- tfbert {}, TensorFlow {}",
            record.tfbert_version, record.tensorflow_version
        );
    }
    let _ = writeln!(text, "- exported by python_export {}", model.tfbert_version);
    let _ = writeln!(text, "- SHA-256 of the encoder's weights: `{}`", model.weights_sha256);
    text
}

fn run(record: &RunRecord) -> String {
    let mut text = String::from(
        "## Training data\n\n| split | file | bytes | SHA-256 |\n| --- | --- | ---: | --- |\n",
    );
    for file in &record.data {
        // The name alone: where it lay on the machine that trained is nobody's business.
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` |",
            cell(&file.split),
            cell(&name),
            file.bytes,
            file.sha256
        );
    }
    text += "\n## Hyper-parameters\n\n| name | value |\n| --- | --- |\n";
    for (name, value) in settings(record) {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    let _ = write!(text, "\n## Command\n\n```console\n$ {}\n```\n\n", command(&record.command));
    text
}

/// The settings that have a value, those of groups beside the others.
fn settings(record: &RunRecord) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(Value::Object(settings)) = serde_json::to_value(&record.settings) else { return found };
    for (name, value) in settings {
        match value {
            Value::Object(group) => {
                found.extend(group.into_iter().map(|(name, value)| (name, value.to_string())));
            }
            Value::Null => {}
            Value::Array(list) if list.is_empty() => {}
            Value::String(text) => drop(found.insert(name, text)),
            // Settings are float32; printed as float64, 1e-4 would read 0.00009999999747378752.
            Value::Number(number) if number.is_f64() => {
                let shown = number.as_f64().map(|value| format!("{}", value as f32));
                found.insert(name, shown.unwrap_or_default());
            }
            value => drop(found.insert(name, value.to_string())),
        }
    }
    found
}

/// The command as it was typed, without the folder of the program.
fn command(words: &[String]) -> String {
    let shown = words.iter().enumerate().map(|(place, word)| match place {
        0 => Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned(),
        _ if word.is_empty() || word.contains([' ', '\'', '"', '$', '\n', '`']) => {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
        _ => word.clone(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// A text as the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_a_shell_reads_the_same_words() {
        let words = ["/opt/bin/tfbert", "train", "--task", "it's mine.json", ""];
        assert_eq!(
            command(&words.map(str::to_owned)),
            r"tfbert train --task 'it'\''s mine.json' ''"
        );
    }

    #[test]
    fn settings_are_shown_as_they_were_typed() {
        let text = include_str!("../../fuzz/corpus/run_json/run");
        let mut record = crate::run::parse_record(text).unwrap();
        record.settings.limit_train = None;
        let settings = settings(&record);
        assert_eq!(settings["learning_rate"], format!("{}", record.settings.learning_rate));
        assert!(settings.contains_key("max_length"), "{settings:?}");
        assert!(!settings.contains_key("limit_train"), "{settings:?}");
    }

    #[test]
    fn labels_cannot_break_a_table_or_the_yaml() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
        assert_eq!(quoted("a: \"b\"\n"), r#""a: \"b\"\n""#);
    }
}
