//! SLURM's compact lists: `node[01-03,7],gpu1` and `2(x3),1`.

use super::workers::MOST_WORKERS;
use crate::error::{Error, Result};

/// The host of each task of a step, from the step's list of nodes and its tasks per node.
pub(super) fn hosts(nodes: &str, tasks_per_node: &str) -> Result<Vec<String>> {
    let nodes = parse_hosts(nodes)?;
    let counts = parse_counts(tasks_per_node)?;
    if nodes.len() != counts.len() {
        return Err(Error::usage(format!(
            "SLURM names {} nodes, and the number of tasks for {}",
            nodes.len(),
            counts.len()
        )));
    }
    let each = nodes.iter().zip(counts).flat_map(|(node, count)| vec![node.clone(); count]);
    Ok(each.collect())
}

/// A list of nodes, written out.
pub(crate) fn parse_hosts(text: &str) -> Result<Vec<String>> {
    let wrong = || Error::usage(format!("`{text}` is not a list of nodes as SLURM writes it"));
    let mut found = Vec::new();
    for part in split_outside_brackets(text).ok_or_else(wrong)? {
        let Some((prefix, rest)) = part.split_once('[') else {
            found.push(part.to_owned());
            continue;
        };
        let (ranges, suffix) = rest.split_once(']').ok_or_else(wrong)?;
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.len() < 10);
            let (from, to) = number(first).zip(number(last)).ok_or_else(wrong)?;
            let is_wide = to.saturating_sub(from) >= MOST_WORKERS || found.len() > MOST_WORKERS;
            if from > to || is_wide || suffix.contains('[') {
                return Err(wrong());
            }
            let width = first.len();
            found.extend((from..=to).map(|n| format!("{prefix}{n:0width$}{suffix}")));
        }
    }
    if found.iter().any(String::is_empty) || found.len() > MOST_WORKERS {
        return Err(wrong());
    }
    Ok(found)
}

/// The parts between the commas that stand in no bracket.
fn split_outside_brackets(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'[' if inside => return None,
            b'[' => inside = true,
            b']' if !inside => return None,
            b']' => inside = false,
            b',' if !inside => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!inside).then_some(parts)
}

/// Numbers with repetitions: `2(x3),1` is 2, 2, 2, 1.
fn parse_counts(text: &str) -> Result<Vec<usize>> {
    let wrong = || Error::usage(format!("`{text}` is not a list of tasks as SLURM writes it"));
    let mut found = Vec::new();
    for part in text.split(',') {
        let (count, times) = match part.split_once("(x") {
            Some((count, rest)) => (count, rest.strip_suffix(')').ok_or_else(wrong)?),
            None => (part, "1"),
        };
        let number =
            |text: &str| text.parse::<usize>().ok().filter(|number| *number <= MOST_WORKERS);
        let (count, times) = number(count).zip(number(times)).ok_or_else(wrong)?;
        if found.len() + times > MOST_WORKERS {
            return Err(wrong());
        }
        found.extend(vec![count; times]);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_the_host_that_slurm_gave_it() {
        let found = hosts("node[08-10,3].lab,gpu1", "2(x2),1(x2),3").unwrap();
        let expected = [
            "node08.lab",
            "node08.lab",
            "node09.lab",
            "node09.lab",
            "node10.lab",
            "node3.lab",
            "gpu1",
            "gpu1",
            "gpu1",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_slurm_would_not_write_is_refused() {
        for nodes in ["a[1-", "a[3-1]", "a[x]", "", "a,,b", "a[[1]]", "a]", "a[1-9999999]"] {
            assert!(parse_hosts(nodes).is_err(), "{nodes}");
        }
        for counts in ["", "x", "2(x", "1(x99999)", "2(y3)"] {
            assert!(parse_counts(counts).is_err(), "{counts}");
        }
        assert!(hosts("a,b", "1").is_err());
    }
}
