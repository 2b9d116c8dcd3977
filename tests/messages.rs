//! Every text that the program can print, in one listing, and what holds for each.
//!
//! `make messages` prints the listing.

mod common;
#[path = "common/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use clap::CommandFactory;
use common::root;
use proc_macro2::{Delimiter, TokenTree};

/// The longest text, with `{…}` for what is put into it.
const LONGEST: usize = 300;

/// The commands that can print the texts of a module or file below `src/`; the longest name that fits
/// counts. A flag that a text names without its command must exist on each of them.
const COMMANDS: &[(&str, &[&str])] = &[
    ("analysis", &["train", "eval"]),
    ("batch", &["train", "eval", "predict"]),
    ("bench", &["bench"]),
    ("cli", &[]),
    ("cli/sweep", &["sweep"]),
    ("cluster", &["train"]),
    ("kubeflow", &["train"]),
    ("commands/bench", &["bench"]),
    ("commands/child", &["setup", "export"]),
    ("commands/compare", &["compare"]),
    ("commands/doctor", &["doctor"]),
    ("commands/eval", &["eval"]),
    ("commands/export", &["export"]),
    ("commands/fetch", &["data"]),
    ("commands/launch", &["train"]),
    ("commands/mod", &["train", "eval", "predict"]),
    ("commands/models", &["train"]),
    ("commands/predict", &["predict"]),
    ("commands/report", &["report"]),
    ("commands/recall", &["train", "sweep"]),
    ("commands/setup", &["setup"]),
    ("commands/shell", &["man"]),
    ("commands/tasks", &["tasks"]),
    ("commands/train", &["train"]),
    ("commands/train/sweep", &["sweep"]),
    ("compare", &["compare"]),
    ("dataset", &["train", "eval"]),
    ("dataset/infer", &["train"]),
    ("dataset/inputs", &["predict"]),
    ("dataset/typed", &["predict"]),
    ("error", &[]),
    ("evaluate", &["train", "eval"]),
    ("export", &["export"]),
    ("feature", &["train"]),
    ("fetch", &["data"]),
    ("files", &[]),
    ("fuzzing", &[]),
    ("inspect", &["train"]),
    ("lib", &[]),
    ("main", &[]),
    ("metric", &[]),
    ("model", &["train"]),
    ("optimizer", &["train"]),
    ("predict", &["predict"]),
    ("prediction", &["eval", "predict"]),
    ("report", &["eval"]),
    ("report/added", &["predict"]),
    ("report/rows", &["predict"]),
    ("report/shown", &["predict"]),
    ("run", &["train"]),
    ("runtime", &["train"]),
    ("saved_model", &["train"]),
    ("schedule", &[]),
    ("scores", &["eval"]),
    ("settings", &["train"]),
    ("stages", &["eval"]),
    ("sweep", &["sweep"]),
    ("task", &["train"]),
    ("text", &["train", "eval", "predict"]),
    ("train", &["train"]),
];

/// Texts that fewer commands print than their module serves: how a text begins, and the commands.
const FEWER: [(&str, &[&str]); 2] =
    [("`--max-length {}` is above", &["train"]), ("give `--max-length {}` or less", &["train"])];

/// A text in the sources.
struct Text {
    /// `src/train.rs:17`.
    place: String,
    /// The file below `src/`, without its extension.
    file: String,
    text: String,
}

/// Macros whose texts no user sees unless the program is wrong, or asked with `-v`.
const UNSEEN: [&str; 11] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "cfg",
    "debug",
    "debug_assert",
    "include_str",
    "panic",
    "trace",
    "unimplemented",
    "unreachable",
];

/// The texts of a level of tokens and of those below it, without attributes and what stands in
/// `expect(…)` and [`UNSEEN`].
fn texts(tokens: &[TokenTree], found: &mut Vec<(usize, String)>) {
    let ident = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let punct = |at: Option<usize>, punct: char| {
        matches!(at.and_then(|at| tokens.get(at)),
            Some(TokenTree::Punct(found)) if found.as_char() == punct)
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let (one, two) = (at.checked_sub(1), at.checked_sub(2));
                let attribute = group.delimiter() == Delimiter::Bracket
                    && (punct(one, '#') || punct(one, '!') && punct(two, '#'));
                let unseen = punct(one, '!') && UNSEEN.contains(&ident(two).as_str())
                    || ["expect", "expect_err"].contains(&ident(one).as_str());
                if !attribute && !unseen {
                    texts(&group.stream().into_iter().collect::<Vec<_>>(), found);
                }
            }
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push((source::line(token), text.value()));
                }
            }
            _ => {}
        }
    }
}

/// Whether a text is for people: words with a space between them.
fn is_prose(text: &str) -> bool {
    let letters = |word: &&str| word.chars().filter(char::is_ascii_alphabetic).count() >= 2;
    text.split([' ', '\n']).filter(letters).count() >= 2
}

fn all() -> Vec<Text> {
    let mut all = Vec::new();
    for file in source::files() {
        let mut found = Vec::new();
        texts(&file.tokens, &mut found);
        let below = file.name().trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        for (line, text) in found.into_iter().filter(|(_, text)| is_prose(text)) {
            let place = format!("{}:{line}", file.name());
            all.push(Text { place, file: below.clone(), text });
        }
    }
    assert!(all.len() > 200, "only {} texts were found", all.len());
    all
}

#[test]
fn every_text_is_short_and_has_no_control_characters() {
    let mut wrong = Vec::new();
    for Text { place, text, .. } in all() {
        println!("{place}: {text}");
        let length = text.chars().count();
        if length > LONGEST {
            wrong.push(format!("{place}: {length} characters: {text}"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            wrong.push(format!("{place}: a control character: {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The long flags that a text names.
fn flags(text: &str) -> BTreeSet<String> {
    let letters = |c: char| !(c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit());
    text.match_indices("--")
        .filter(|&(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-'))
        .map(|(at, _)| (at, text[at..].split(letters).next().unwrap().to_owned()))
        // `--tf_xla_…` is a flag of TensorFlow's.
        .filter(|(at, flag)| flag.len() > 3 && !text[at + flag.len()..].starts_with('_'))
        .map(|(_, flag)| flag)
        .collect()
}

/// The flags of each command, those of every command and `--help` included.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let cli = tfbert::cli::Cli::command();
    let mut known = BTreeMap::new();
    for command in cli.get_subcommands() {
        let arguments = command.get_arguments().chain(cli.get_arguments());
        let below = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let flags = arguments.chain(below).filter_map(clap::Arg::get_long);
        let flags = flags.chain(["help", "version"]).map(|name| format!("--{name}")).collect();
        known.insert(command.get_name().to_owned(), flags);
    }
    known
}

/// The flags of `python -m python_export`.
fn python_flags() -> BTreeSet<String> {
    let main = fs::read_to_string(root().join("python_export/__main__.py")).unwrap();
    let found: BTreeSet<String> = main
        .split("add_argument(")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .map(str::to_owned)
        .collect();
    assert!(found.contains("--encoder"), "{found:?}");
    found
}

/// The parts of a text with the command that each names: of "`tfbert eval --json`, or `--file`" the
/// first is `eval`'s and the second has none.
fn parts(text: &str) -> Vec<(Option<&str>, &str)> {
    text.split('`')
        .map(|part| {
            let named = part.split("tfbert ").nth(1).and_then(|rest| rest.split(' ').next());
            let named = if part.contains("pip install") { Some("pip") } else { named };
            (if part.contains("python_export") { Some("python_export") } else { named }, part)
        })
        .collect()
}

#[test]
fn every_flag_that_a_text_names_exists_on_each_command_that_can_print_it() {
    let known = known();
    let python = python_flags();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for Text { place, file, text } in all() {
        let fits = |key: &str| file == key || file.starts_with(&format!("{key}/"));
        let row = COMMANDS.iter().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| key.len());
        let Some((_, commands)) = row else {
            panic!("{place}: `{file}` has no row in COMMANDS of tests/messages.rs");
        };
        let fewer = FEWER.iter().find(|(start, _)| text.starts_with(start));
        let commands = fewer.map_or(*commands, |(_, commands)| *commands);
        for (named, part) in parts(&text) {
            for flag in flags(part) {
                seen += 1;
                let lacks = |command: &str| !known[command].contains(&flag);
                let lacking = match named {
                    Some("python_export") if python.contains(&flag) => continue,
                    Some("python_export") => "python -m python_export".to_owned(),
                    // Another program's.
                    Some("pip") => continue,
                    Some(command) if known.contains_key(command) && !lacks(command) => continue,
                    Some(command) if known.contains_key(command) => command.to_owned(),
                    _ => match commands.iter().find(|command| lacks(command)) {
                        Some(command) => (*command).to_owned(),
                        None => continue,
                    },
                };
                wrong.push(format!("{place}: `{lacking}` has no `{flag}`: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} flags were found");
}

#[test]
fn the_help_of_every_flag_is_short_and_names_flags_that_exist() {
    let known = known();
    let cli = tfbert::cli::Cli::command();
    for command in cli.get_subcommands() {
        let name = command.get_name();
        let below = command.get_subcommands().flat_map(clap::Command::get_arguments);
        for argument in command.get_arguments().chain(below) {
            let id = argument.get_id();
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            println!("tfbert {name} {id}: {help}");
            assert!(!help.is_empty(), "tfbert {name} {id}: no help");
            assert!(help.chars().count() <= LONGEST, "tfbert {name} {id}: {help}");
            for flag in flags(&help) {
                assert!(known[name].contains(&flag), "tfbert {name} {id}: {flag}: {help}");
            }
        }
    }
}
