//! MRPC's files as GLUE makes them of the published ones.
//!
//! Each row of the published training file has the ids of its two sentences. `dev_ids.tsv` lists pairs of
//! ids. A row whose pair is listed belongs to GLUE's development set, any other to its training set.
//! GLUE's test file is the published one, with row numbers instead of labels.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::write_file;

/// The header of GLUE's test file.
const TEST_HEADER: [&str; 5] = ["index", "#1 ID", "#2 ID", "#1 String", "#2 String"];

/// Writes `train.tsv`, `dev.tsv` and `test.tsv` beside the published files.
///
/// # Errors
///
/// A published file is missing or has other columns, or the disk is full.
pub(super) fn split(folder: &Path) -> Result<Vec<PathBuf>> {
    let ids = read(&folder.join("dev_ids.tsv"))?;
    let dev_ids: HashSet<(&str, &str)> = ids.lines().filter_map(|l| l.split_once('\t')).collect();
    let path = folder.join("msr_paraphrase_train.txt");
    let rows = read(&path)?;
    let mut rows = rows.lines().enumerate();
    let header = rows.next().map_or("", |(_, header)| header);
    let (mut train, mut dev) = (format!("{header}\n"), format!("{header}\n"));
    for (number, row) in rows {
        let [_, first, second, ..] = columns(row, &path, number)?;
        let side = if dev_ids.contains(&(first, second)) { &mut dev } else { &mut train };
        side.push_str(row.trim_end());
        side.push('\n');
    }
    let path = folder.join("msr_paraphrase_test.txt");
    let rows = read(&path)?;
    let mut test = format!("{}\n", TEST_HEADER.join("\t"));
    for (number, row) in rows.lines().enumerate().skip(1) {
        let [_, rest @ ..] = columns(row, &path, number)?;
        test.push_str(&format!("{}\t{}\n", number - 1, rest.join("\t")));
    }
    let files = [("train.tsv", train), ("dev.tsv", dev), ("test.tsv", test)];
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_file(&path, &text)?;
        written.push(path);
    }
    Ok(written)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
}

fn columns<'a>(row: &'a str, path: &Path, number: usize) -> Result<[&'a str; 5]> {
    let columns: Vec<&str> = row.trim_end().split('\t').collect();
    let found = columns.len();
    columns.try_into().map_err(|_| {
        Error::new(format!("expected 5 columns, found {found}")).at_line(path, number + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_the_list_are_the_development_set_and_the_test_set_is_numbered_without_labels() {
        let dir = tempfile::tempdir().unwrap();
        let header = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String";
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("dev_ids.tsv", "3\t4\n2\t1\n");
        let rows = "1\t1\t2\ta \"b\tc\r\n0\t3\t4\td\te\r\n";
        write("msr_paraphrase_train.txt", &format!("{header}\n{rows}"));
        write("msr_paraphrase_test.txt", &format!("{header}\n1\t5\t6\tf\tg\n0\t7\t8\th\ti\n"));
        assert_eq!(split(dir.path()).unwrap().len(), 3);
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("train.tsv"), format!("{header}\n1\t1\t2\ta \"b\tc\n"));
        assert_eq!(read("dev.tsv"), format!("{header}\n0\t3\t4\td\te\n"));
        let test = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t5\t6\tf\tg\n1\t7\t8\th\ti\n";
        assert_eq!(read("test.tsv"), test);
        write("msr_paraphrase_test.txt", &format!("{header}\n1\t5\t6\tf\n"));
        let error = split(dir.path()).unwrap_err();
        assert!(error.to_string().contains("test.txt:2: expected 5 columns, found 4"), "{error}");
    }
}
