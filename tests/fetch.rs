//! `tfbert data fetch` against a server in this process. Listed as ignored where the program `curl` is
//! missing.

mod common;
#[path = "common/server.rs"]
mod server;
#[path = "common/trials.rs"]
mod trials;

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{fail, root, succeed, text, tfbert};
use server::{Answer, Server};
use tfbert::files::{Digest, Sha256, hex};
use trials::{Ran, trial};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn main() {
    macro_rules! trials {
        ($($test:ident,)*) => {
            vec![$(trial(stringify!($test), with_curl($test)),)*]
        };
    }
    trials::run(trials![
        an_archive_is_fetched_unpacked_and_read_and_a_second_time_nothing_is_done,
        a_cut_connection_is_continued_where_it_was_cut,
        a_server_that_is_down_leaves_what_had_come_and_the_next_command_goes_on,
        a_server_without_parts_of_files_sends_the_file_again,
        a_file_that_is_not_the_published_one_is_refused_unless_its_hash_is_accepted,
        a_moved_file_is_followed_and_a_missing_one_is_an_error,
        an_archive_that_leads_out_of_its_folder_writes_nothing,
        files_of_ones_own_are_not_replaced_unless_asked,
        tasks_that_cannot_be_fetched_say_why_and_a_missing_file_names_the_command,
        several_files_of_a_task_come_one_after_the_other,
        a_disk_that_is_full_is_an_error_before_and_during_the_transfer,
        mrpcs_published_files_become_those_of_glue,
    ])
}

/// A test that needs the program `curl`.
fn with_curl(test: fn() -> Ran) -> impl FnOnce() -> Ran + Send {
    move || match Command::new("curl").arg("--version").stdout(Stdio::null()).status() {
        Ok(_) => test(),
        Err(_) => Err("there is no program `curl`".into()),
    }
}

/// The path of RTE's archive on its server.
const RTE: &str = "/glue/data/RTE.zip";

/// An archive as GLUE's: the sample's files in a folder, not compressed, so that its size is known.
fn archive(folder: &str, names: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for name in names {
        writer.start_file(format!("{folder}/{name}"), options).unwrap();
        let text = fs::read(root().join("data").join(folder).join(name)).unwrap();
        writer.write_all(&text).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn rte() -> Vec<u8> {
    archive("RTE", &["train.tsv", "dev.tsv", "test.tsv"])
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// `tfbert data fetch`, with the server as the mirror.
fn fetch(server: &Server, dir: &Path, words: &[&str]) -> Command {
    let mut command = tfbert();
    command.args(["data", "fetch"]).args(words).arg("--data-dir").arg(dir);
    command.env("TFBERT_DATA_MIRROR", &server.address).env("no_proxy", "127.0.0.1");
    command
}

/// As [`fetch`], and the command takes a file that is not the published one.
fn fetch_rte(server: &Server, dir: &Path) -> Command {
    fetch(server, dir, &["rte", "--accept-hash", &hash(&rte())])
}

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const RTE_FILES: [&str; 4] = ["SOURCE-rte.txt", "dev.tsv", "test.tsv", "train.tsv"];

fn an_archive_is_fetched_unpacked_and_read_and_a_second_time_nothing_is_done() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[(RTE, rte())], &[]);
    let output = fetch_rte(&server, dir.path()).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let folder = dir.path().join("RTE");
    for name in ["train.tsv", "dev.tsv", "test.tsv"] {
        assert!(stdout.contains(&folder.join(name).display().to_string()), "{stdout}");
        let own = root().join("data/RTE").join(name);
        assert_eq!(fs::read(own).unwrap(), fs::read(folder.join(name)).unwrap());
    }
    for said in ["rte: licence: ", "rte: please cite Dagan", "tfbert train --task rte --data-dir"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let source = fs::read_to_string(folder.join("SOURCE-rte.txt")).unwrap();
    assert!(source.contains(&hash(&rte())) && source.contains("Licence: "), "{source}");
    assert_eq!(names(&folder), RTE_FILES);
    // Again: nothing is asked of the server.
    let (_, stderr) = text(&fetch(&server, dir.path(), &["rte"]).output().unwrap());
    assert!(stderr.contains("the files of rte were fetched before"), "{stderr}");
    assert_eq!(server.requests(), [format!("{RTE} 0")]);
    succeed(fetch_rte(&server, dir.path()).arg("--overwrite"));
    assert_eq!(server.requests().len(), 2);
    Ok(())
}

fn a_cut_connection_is_continued_where_it_was_cut() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let cuts = [Answer::Cut(3000), Answer::Cut(2000), Answer::Status("503 Service Unavailable")];
    let server = Server::start(&[(RTE, rte())], &[(RTE, &cuts)]);
    let (_, stderr) = text(&fetch_rte(&server, dir.path()).output().unwrap());
    assert!(stderr.contains("trying again"), "{stderr}");
    assert!(stderr.contains("the server answers 503; trying again"), "{stderr}");
    assert_eq!(server.requests(), [0, 3000, 5000, 5000].map(|first| format!("{RTE} {first}")));
    assert_eq!(names(&dir.path().join("RTE")), RTE_FILES);
    Ok(())
}

fn a_server_that_is_down_leaves_what_had_come_and_the_next_command_goes_on() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let mut answers = vec![Answer::Cut(4000)];
    answers.resize(5, Answer::Cut(0));
    let server = Server::start(&[(RTE, rte())], &[(RTE, &answers)]);
    let stderr = fail(&mut fetch_rte(&server, dir.path()));
    assert!(stderr.contains("the same command continues the download"), "{stderr}");
    let before = server.requests().len();
    assert_eq!(names(&dir.path().join("RTE")), [".RTE.zip.partial"]);
    let (_, stderr) = text(&fetch_rte(&server, dir.path()).output().unwrap());
    assert!(stderr.contains("RTE.zip: continuing after"), "{stderr}");
    assert!(server.requests()[before..].iter().all(|request| *request == format!("{RTE} 4000")));
    assert_eq!(names(&dir.path().join("RTE")), RTE_FILES);
    Ok(())
}

fn a_server_without_parts_of_files_sends_the_file_again() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let answers = [Answer::Cut(4000), Answer::Whole, Answer::Whole];
    let server = Server::start(&[(RTE, rte())], &[(RTE, &answers)]);
    succeed(&mut fetch_rte(&server, dir.path()));
    assert_eq!(server.requests(), [0, 4000, 0].map(|first| format!("{RTE} {first}")));
    // What is there is longer than the file on the server.
    let folder = dir.path().join("other/RTE");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".RTE.zip.partial"), vec![0; 1 << 20]).unwrap();
    succeed(&mut fetch_rte(&server, &dir.path().join("other")));
    assert_eq!(names(&folder), RTE_FILES);
    Ok(())
}

fn a_file_that_is_not_the_published_one_is_refused_unless_its_hash_is_accepted() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[(RTE, rte())], &[]);
    let stderr = fail(&mut fetch(&server, dir.path(), &["rte"]));
    assert!(stderr.contains(&format!("its SHA-256 is {}", hash(&rte()))), "{stderr}");
    assert!(stderr.contains("6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"));
    assert!(stderr.contains(&format!("--accept-hash {}", hash(&rte()))), "{stderr}");
    assert!(names(&dir.path().join("RTE")).is_empty());
    let (_, stderr) = text(&fetch_rte(&server, dir.path()).output().unwrap());
    assert!(stderr.contains("warn: ") && stderr.contains("not the published file"), "{stderr}");
    Ok(())
}

fn a_moved_file_is_followed_and_a_missing_one_is_an_error() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[("/new.zip", rte())], &[(RTE, &[Answer::Redirect("/new.zip")])]);
    succeed(&mut fetch_rte(&server, dir.path()));
    assert_eq!(server.requests(), [format!("{RTE} 0"), "/new.zip 0".to_owned()]);
    let stderr = fail(&mut fetch(&server, dir.path(), &["wnli", "cola"]));
    assert!(stderr.contains("WNLI.zip: the server answers 404"), "{stderr}");
    assert!(stderr.contains("error: wnli: "), "{stderr}");
    assert!(stderr.contains("TFBERT_DATA_MIRROR"), "{stderr}");
    Ok(())
}

fn an_archive_that_leads_out_of_its_folder_writes_nothing() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["RTE/train.tsv", "RTE/dev.tsv", "../../escaped.txt"] {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(b"text").unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let hash = hash(&bytes);
    let server = Server::start(&[(RTE, bytes)], &[]);
    let data = dir.path().join("data");
    let stderr = fail(&mut fetch(&server, &data, &["rte", "--accept-hash", &hash]));
    assert!(stderr.contains("leads out of its folder: `../../escaped.txt`"), "{stderr}");
    assert!(!dir.path().join("escaped.txt").exists());
    assert!(!names(&data.join("RTE")).iter().any(|name| name.ends_with(".tsv")));
    Ok(())
}

fn files_of_ones_own_are_not_replaced_unless_asked() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[(RTE, rte())], &[]);
    let own = dir.path().join("RTE/dev.tsv");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "mine").unwrap();
    let output = fetch_rte(&server, dir.path()).output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("`--overwrite`") && stderr.contains("--data-dir DIR"), "{stderr}");
    assert_eq!(fs::read_to_string(&own).unwrap(), "mine");
    assert!(server.requests().is_empty());
    succeed(fetch_rte(&server, dir.path()).arg("--overwrite"));
    assert_eq!(fs::read(&own).unwrap(), fs::read(root().join("data/RTE/dev.tsv")).unwrap());
    Ok(())
}

fn tasks_that_cannot_be_fetched_say_why_and_a_missing_file_names_the_command() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[], &[]);
    let stderr = fail(&mut fetch(&server, dir.path(), &["conll2003"]));
    assert!(stderr.contains("cannot be fetched") && stderr.contains("nist.gov"), "{stderr}");
    let stderr = fail(&mut fetch(&server, dir.path(), &["mlm"]));
    assert!(stderr.contains("they are your own"), "{stderr}");
    // A mistyped name ends it before the first download.
    let stderr = fail(&mut fetch(&server, dir.path(), &["rte", "sst"]));
    assert!(stderr.contains("there is no task `sst`"), "{stderr}");
    let stderr = fail(fetch(&server, dir.path(), &["rte"]).env("TFBERT_DATA_MIRROR", "here"));
    assert!(stderr.contains("TFBERT_DATA_MIRROR is `here`"), "{stderr}");
    assert!(server.requests().is_empty());
    let mut check = tfbert();
    check.args(["data", "check", "--task", "rte", "--data-dir"]).arg(dir.path());
    check.arg("--model").arg(common::tiny("classify"));
    let stderr = fail(&mut check);
    let command = format!("`tfbert data fetch rte --data-dir {}`", dir.path().display());
    assert!(stderr.contains(&command), "{stderr}");
    Ok(())
}

fn several_files_of_a_task_come_one_after_the_other() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let base = "/rowanz/swagaf/master/data";
    let file = |name: &str| fs::read(root().join("data/swag").join(name)).unwrap();
    let files =
        ["train.csv", "val.csv", "test.csv"].map(|name| (format!("{base}/{name}"), file(name)));
    let served: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let val = format!("{base}/val.csv");
    let server = Server::start(&served, &[(&val, &[Answer::Status("403 Forbidden")])]);
    let command = || {
        let mut command = fetch(&server, dir.path(), &["swag"]);
        for (_, bytes) in &files {
            command.args(["--accept-hash", &hash(bytes)]);
        }
        command
    };
    assert!(fail(&mut command()).contains("val.csv: the server answers 403"));
    assert_eq!(names(&dir.path().join("swag")), [".train.csv.partial"]);
    succeed(&mut command());
    let train = |request: &&String| request.contains("train.csv");
    assert_eq!(server.requests().iter().filter(train).count(), 1);
    let mut check = tfbert();
    check.args(["train", "--dry-run", "--task", "swag", "--data-dir"]).arg(dir.path());
    let checked =
        check.arg("--model").arg(common::tiny("choice")).args(["--max-length", "64"]).output();
    let (stdout, stderr) = text(&checked.unwrap());
    assert!(stdout.contains("80 examples"), "{stdout}{stderr}");
    Ok(())
}

/// A small disk, unmounted at the end.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn a_disk_that_is_full_is_an_error_before_and_during_the_transfer() -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk(dir.path().join("disk"));
    fs::create_dir(&disk.0).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk.0).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        return Err("a small disk can be mounted by root only".into());
    }
    // As large as the archive is known to be: refused before a byte is asked for.
    let wnli = "/glue/data/WNLI.zip";
    let large = vec![7; 3 << 20];
    let server = Server::start(&[(RTE, rte()), (wnli, large)], &[]);
    let stderr = fail(&mut fetch(&server, &disk.0, &["sst2"]));
    assert!(stderr.contains("7.4 MB are needed, and the disk has 1.0 MB"), "{stderr}");
    assert!(server.requests().is_empty());
    // Larger than it is known to be: the disk is full on the way, and what came stays.
    let stderr = fail(&mut fetch(&server, &disk.0, &["wnli"]));
    assert!(stderr.contains("could not write what was downloaded"), "{stderr}");
    let partial = disk.0.join("WNLI/.WNLI.zip.partial");
    assert!(partial.metadata().unwrap().len() > 500_000);
    File::create(&partial).unwrap();
    succeed(&mut fetch_rte(&server, &disk.0));
    Ok(())
}

/// With the published files, which have the known hashes: GLUE's script made the others of them.
fn mrpcs_published_files_become_those_of_glue() -> Ran {
    let data = std::env::var_os("TFBERT_DATA").map(|dir| PathBuf::from(dir).join("MRPC"));
    let data = data.filter(|dir| dir.join("msr_paraphrase_train.txt").is_file());
    let data = data.ok_or("TFBERT_DATA lacks MRPC/msr_paraphrase_train.txt")?;
    let read = |name: &str| fs::read(data.join(name)).unwrap();
    let senteval = "/senteval/senteval_data/msr_paraphrase";
    let files = [
        ("/glue/data/mrpc_dev_ids.tsv".to_owned(), read("dev_ids.tsv")),
        (format!("{senteval}_train.txt"), read("msr_paraphrase_train.txt")),
        (format!("{senteval}_test.txt"), read("msr_paraphrase_test.txt")),
    ];
    let served: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let server = Server::start(&served, &[]);
    let dir = tempfile::tempdir().unwrap();
    succeed(&mut fetch(&server, dir.path(), &["mrpc"]));
    for name in ["train.tsv", "dev.tsv", "test.tsv"] {
        let made = fs::read_to_string(dir.path().join("MRPC").join(name)).unwrap();
        let known = String::from_utf8(read(name)).unwrap();
        assert_eq!(made.lines().count(), known.lines().count(), "{name}");
        for (number, (made, known)) in made.lines().zip(known.lines()).enumerate() {
            assert_eq!(made, known.trim_end(), "{name}:{}", number + 1);
        }
    }
    Ok(())
}
