//! NUMA nodes, and the processors that a process starts on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Where Linux lists the nodes.
const NODES: &str = "/sys/devices/system/node";
/// Words of a set of processors: as many as the largest kernels have.
const WORDS: usize = 8192 / 64;

/// A set of processors, in the kernel's form.
type ProcessorSet = [u64; WORDS];

/// The processors of each NUMA node that this process may use, without nodes that have none; nothing where
/// Linux does not say.
pub fn numa_nodes() -> Vec<Vec<usize>> {
    let allowed = allowed_processors().unwrap_or_default();
    nodes_in(Path::new(NODES), &allowed)
}

/// As [`numa_nodes`], of a folder like `/sys/devices/system/node`.
fn nodes_in(folder: &Path, allowed: &BTreeSet<usize>) -> Vec<Vec<usize>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let processors = |number: usize| {
        let path = folder.join(format!("node{number}")).join("cpulist");
        let mut found = parse_list(fs::read_to_string(path).ok()?.trim())?;
        found.retain(|processor| allowed.contains(processor));
        Some(found).filter(|found| !found.is_empty())
    };
    numbers.into_iter().filter_map(processors).collect()
}

/// A list as Linux writes it: `0-3,8` is 0, 1, 2, 3, 8.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= WORDS * 64 {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

/// The processors that this thread may run on.
fn allowed_processors() -> io::Result<BTreeSet<usize>> {
    let set = affinity()?;
    Ok((0..WORDS * 64).filter(|n| set[n / 64] >> (n % 64) & 1 == 1).collect())
}

/// Runs `start` while this thread may run on `processors` alone: a process that it starts may, too.
///
/// # Errors
///
/// Linux refuses, as where none of the processors is there.
pub fn on_processors<T>(processors: &[usize], start: impl FnOnce() -> T) -> io::Result<T> {
    let before = affinity()?;
    let mut set = [0; WORDS];
    for processor in processors.iter().filter(|&&processor| processor < WORDS * 64) {
        set[processor / 64] |= 1 << (processor % 64);
    }
    set_affinity(&set)?;
    let started = start();
    set_affinity(&before)?;
    Ok(started)
}

/// What this thread may run on.
fn affinity() -> io::Result<ProcessorSet> {
    let mut set = [0; WORDS];
    // SAFETY: the kernel writes at most as many bytes as the set has, into the set.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::sched_getaffinity(0, size_of_val(&set), set.as_mut_ptr().cast::<libc::cpu_set_t>())
    };
    if result == 0 { Ok(set) } else { Err(io::Error::last_os_error()) }
}

fn set_affinity(set: &ProcessorSet) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as the set has.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::sched_setaffinity(0, size_of_val(set), set.as_ptr().cast::<libc::cpu_set_t>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn nodes_are_read_from_linuxs_folder_without_what_the_process_may_not_use() {
        let dir = tempfile::tempdir().unwrap();
        let lists =
            [("node0", "0-3,8-11\n"), ("node1", "4-7\n"), ("node10", "12-13\n"), ("node2", "\n")];
        for (node, list) in lists {
            fs::create_dir(dir.path().join(node)).unwrap();
            fs::write(dir.path().join(node).join("cpulist"), list).unwrap();
        }
        fs::create_dir(dir.path().join("power")).unwrap();
        fs::create_dir(dir.path().join("node3")).unwrap(); // Without a list.
        let all: BTreeSet<usize> = (0..64).collect();
        let expected = [vec![0, 1, 2, 3, 8, 9, 10, 11], vec![4, 5, 6, 7], vec![12, 13]];
        assert_eq!(nodes_in(dir.path(), &all), expected);
        assert_eq!(nodes_in(dir.path(), &[2, 13].into()), [vec![2], vec![13]]);
        assert!(nodes_in(&dir.path().join("none"), &all).is_empty());
    }

    #[test]
    fn a_list_that_linux_would_not_write_is_no_list() {
        for text in ["x", "1-", "-1", "0-99999999", "3-x"] {
            assert_eq!(parse_list(text), None, "{text}");
        }
        assert_eq!(parse_list("5,7-8"), Some(vec![5, 7, 8]));
    }

    #[test]
    fn a_process_runs_on_the_processors_that_it_was_started_on() {
        let allowed = allowed_processors().unwrap();
        let last = *allowed.last().unwrap();
        let read =
            || Command::new("grep").args(["Cpus_allowed_list", "/proc/self/status"]).output();
        let output = on_processors(&[last], read).unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.split_whitespace().last(), Some(last.to_string().as_str()));
        assert_eq!(allowed_processors().unwrap(), allowed, "the thread has its own back");
        assert!(on_processors(&[], || ()).is_err());
    }
}
