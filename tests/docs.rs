//! What README and the other pages say about the program is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that is kept in step: the path from the repository, and the text.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "data", "saved_models"] {
        for path in files(&root().join(folder), &["md"], false) {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            pages.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    assert!(pages.len() >= 7, "{} pages", pages.len());
    pages
}

fn files(dir: &Path, extensions: &[&str], below: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && below {
            found.extend(files(&path, extensions, below));
        } else if extensions.contains(&extension.as_str()) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What stands between single backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).filter(|part| !part.contains('\n')).collect()
}

#[test]
fn readme_lists_every_task_with_its_head_and_metrics() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for task in tfbert::task::tasks() {
        let metrics: Vec<_> = task.metrics.iter().map(|metric| metric.name()).collect();
        let line = format!(
            "| `{}` | {} | {} | {} |",
            task.name,
            task.head,
            metrics.join(", "),
            task.description
        );
        assert!(readme.contains(&line), "README lacks the line\n{line}");
    }
}

#[test]
fn the_page_on_data_sets_has_the_address_and_size_of_every_download() {
    let page = fs::read_to_string(root().join("docs/data-sets.md")).unwrap();
    for task in tfbert::task::tasks() {
        for download in tfbert::task::source(&task.name).map_or(&[][..], |s| s.downloads) {
            let (url, megabytes) = (download.url, download.bytes as f64 / 1e6);
            let row = format!("| `{}` | {url} | {megabytes:.1} MB |", task.name);
            assert!(page.contains(&row), "docs/data-sets.md lacks the row\n{row}");
        }
    }
}

/// The names of all functions in Rust and Python.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "python_export"] {
        for path in files(&root().join(folder), &["rs", "py"], true) {
            for line in fs::read_to_string(path).unwrap().lines() {
                let line = line.trim_start().trim_start_matches("pub ");
                for keyword in ["fn ", "def "] {
                    if let Some(rest) = line.strip_prefix(keyword) {
                        let name = rest.split(['(', '<']).next().unwrap_or_default();
                        names.insert(name.to_owned());
                    }
                }
            }
        }
    }
    assert!(names.len() > 500, "only {} functions were found", names.len());
    names
}

/// Whether a name is a test's: a sentence of at least four words, perhaps cut by `…`.
fn is_test_name(name: &str) -> bool {
    let words = name.trim_end_matches('…').trim_end_matches('_');
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    // A key of task files.
    name != "version_2_with_negative"
        && words.matches('_').count() >= 3
        && words.chars().all(letters)
        || name.ends_with("_…") && words.chars().all(letters)
}

#[test]
fn every_test_that_a_page_names_exists() {
    let functions = functions();
    let mut named = 0;
    for (page, text) in pages() {
        for name in quoted(&text).into_iter().filter(|name| is_test_name(name)) {
            named += 1;
            let exists = match name.strip_suffix('…') {
                Some(start) => functions.iter().any(|function| function.starts_with(start)),
                None => functions.contains(name),
            };
            assert!(exists, "{page}: there is no test `{name}`");
        }
    }
    assert!(named > 20, "only {named} tests were found in the pages");
}

#[test]
fn the_architecture_page_says_what_every_module_owns() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        modules.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    modules.remove("lib");
    assert!(modules.len() > 20);
    for module in modules {
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let named =
            rows.filter(|row| row.split('|').nth(1).unwrap().contains(&format!("`{module}`")));
        assert_eq!(named.count(), 1, "docs/architecture.md: a row for `{module}`");
    }
}

#[test]
fn every_link_of_a_page_leads_to_a_file() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let path = link.split('#').next().unwrap();
            let target = root().join(&page).parent().unwrap().join(path);
            assert!(target.exists(), "{page}: there is no {link}");
        }
    }
}

/// The long flags of a text: `--name`.
fn flags(text: &str) -> BTreeSet<String> {
    text.match_indices("--")
        .filter(|&(at, _)| at == 0 || " `\"'(=[|".contains(text[..at].chars().last().unwrap()))
        .map(|(at, _)| {
            let letters = |c: char| !(c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit());
            text[at..].split(letters).next().unwrap().to_owned()
        })
        .filter(|flag| flag.len() > 3)
        .collect()
}

#[test]
fn every_tfbert_command_in_a_page_has_its_flags() {
    let cli = tfbert::cli::Cli::command();
    let flags_of = |command: &clap::Command| -> BTreeSet<String> {
        let flags = command.get_arguments().chain(cli.get_arguments());
        flags.filter_map(|flag| flag.get_long()).map(|name| format!("--{name}")).collect()
    };
    let mut seen = 0;
    for (page, text) in pages() {
        for rest in text.split("tfbert ").skip(1) {
            let line = rest.split(['\n', '`', '#']).next().unwrap();
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let Some(command) = cli.find_subcommand(name) else { continue };
            let mut known = flags_of(command);
            if name == "launch" {
                // Its own flags end at `--`, and those of the command that it starts follow.
                known.extend(flags_of(cli.find_subcommand("train").unwrap()));
            }
            for below in command.get_subcommands() {
                known.extend(
                    below.get_arguments().filter_map(|f| f.get_long()).map(|n| format!("--{n}")),
                );
            }
            known.insert("--help".into());
            for flag in flags(line) {
                seen += 1;
                assert!(known.contains(&flag), "{page}: `tfbert {name}` has no `{flag}`: {line}");
            }
        }
    }
    assert!(seen > 20, "only {seen} flags were found in the pages");
}

#[test]
fn every_make_target_in_a_page_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for (page, text) in pages() {
        let commands = ["`make ", "$ make ", "TFBERT_DATA=DIR make "];
        for rest in commands.iter().flat_map(|start| text.split(start).skip(1)) {
            let target: String =
                rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let exists = target.is_empty()
                || makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(exists, "{page}: there is no `make {target}`");
        }
    }
}

/// The files of a page: each a line that ends in the file's name and a colon, and the block below it.
fn example_files(text: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:"));
        let Some(name) = name else { continue };
        let block = lines.by_ref().skip_while(|line| !line.starts_with("```")).skip(1);
        let content: Vec<&str> = block.take_while(|line| *line != "```").collect();
        files.push((name.to_owned(), content.join("\n") + "\n"));
    }
    files
}

#[test]
fn every_example_of_the_page_on_tasks_is_read() {
    use tfbert::dataset::infer::{DataFile, infer};
    use tfbert::dataset::{DataSource, Labels};
    use tfbert::task::{self, DevFromTrain};

    let page = fs::read_to_string(root().join("docs/tasks.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let files = example_files(&page);
    for (name, content) in &files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let mut read = 0;
    for (name, _) in files.iter().filter(|(_, content)| content.contains("\"head\"")) {
        let task = task::load(&dir.path().join(name)).unwrap();
        let labels = Labels::of_task(&task, dir.path()).unwrap();
        for split in task.splits() {
            let source = DataSource {
                task: &task,
                split,
                data_dir: dir.path(),
                labels: &labels,
                limit: None,
            };
            assert!(!source.read().unwrap_or_else(|e| panic!("{name}: {e}")).examples.is_empty());
            read += 1;
        }
    }
    assert!(read >= 10, "{read} files were read");
    // What `--data` makes of the data files; `tickets.csv` with the flags of its command.
    for (name, head) in [
        ("tickets.csv", "classify"),
        ("pairs.csv", "classify"),
        ("posts.jsonl", "classify"),
        ("more.json", "classify"),
        ("questions.jsonl", "span"),
        ("moon.json", "span"),
        ("names.conll", "tag"),
    ] {
        let (text, label) = (["subject", "body"].map(String::from), ["team".to_owned()]);
        let is_named = name == "tickets.csv";
        let found = infer(&DataFile {
            dev_from_train: DevFromTrain { share: 0.25, seed: 1 },
            text: if is_named { &text } else { &[] },
            label: if is_named { &label } else { &[] },
            ..DataFile::new(&dir.path().join(name))
        });
        assert_eq!(
            found.unwrap_or_else(|e| panic!("{name}: {e}")).task.head.name(),
            head,
            "{name}"
        );
    }
}

/// The keys that a part of a task file may have, as the error of an unknown one lists them.
fn keys<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let Err(error) = serde_json::from_str::<T>("{\"?\": 1}") else { panic!("a key `?`") };
    quoted(&error.to_string()).into_iter().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_page_on_tasks_has_every_key_of_a_task_file() {
    use tfbert::task::{Columns, Defaults, DevFromTrain, Repairs, Split, Task};

    let page = fs::read_to_string(root().join("docs/tasks.md")).unwrap();
    let all = [
        keys::<Task>(),
        keys::<Columns>(),
        keys::<Split>(),
        keys::<Defaults>(),
        keys::<Repairs>(),
        keys::<DevFromTrain>(),
    ];
    assert!(all.iter().all(|keys| keys.len() >= 2), "{all:?}");
    for key in all.iter().flatten() {
        let is_there = page.contains(&format!("`{key}`")) || page.contains(&format!("\"{key}\":"));
        assert!(is_there, "docs/tasks.md lacks `{key}`");
    }
}

#[test]
fn the_page_on_tasks_has_the_metrics_of_every_head() {
    let page = fs::read_to_string(root().join("docs/tasks.md")).unwrap();
    let table = page.split("## Metrics").nth(1).unwrap();
    for head in tfbert::task::Head::ALL {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{head}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/tasks.md lacks the metrics of `{head}`"));
        for metric in head.metrics() {
            assert!(row.contains(&format!("`{metric}`")), "{head} lacks `{metric}`");
        }
    }
}
