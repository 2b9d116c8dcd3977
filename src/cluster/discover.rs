//! Which workers there are, from flags or from what the cluster's scheduler sets.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::slurm;
use super::workers::{MOST_WORKERS, Workers};
use crate::error::{Error, Result};

/// The variable that TensorFlow's own distributed programs read.
const TF_CONFIG: &str = "TF_CONFIG";
/// The port of each worker's server where the scheduler names none.
const PORT: u16 = 2222;

/// What the command line says of the workers.
#[derive(Debug, Clone, Default)]
pub struct ClusterFlags {
    /// Addresses separated by commas, `slurm`, or `kubernetes`.
    pub cluster: Option<String>,
    /// Which worker this process is.
    pub worker_index: Option<usize>,
    /// The port of the control channel.
    pub control_port: Option<u16>,
}

/// The workers that flags or the environment name; `None` where neither does, or where there is only
/// one. `variable` gives a variable of the environment.
///
/// # Errors
///
/// They are incomplete, or do not fit together.
pub fn find(
    flags: &ClusterFlags,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Workers>> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (addresses, index) = match (flags.cluster.as_deref(), variable(TF_CONFIG)) {
        (Some("slurm"), _) => of_slurm(&variable)?,
        (Some("kubernetes"), _) => of_kubernetes(&variable)?,
        (Some(list), _) => {
            let index = flags.worker_index.ok_or_else(|| {
                Error::usage("`--cluster` names the workers, but not which one this is")
                    .hint("give `--worker-index N`, counted from 0")
            })?;
            (list.split(',').map(|address| address.trim().to_owned()).collect(), index)
        }
        (None, Some(config)) => parse_tf_config(&config)?,
        (None, None) if flags.worker_index.is_some() => {
            return Err(Error::usage("`--worker-index` needs the list of all workers")
                .hint("give `--cluster host:port,…`"));
        }
        (None, None) => return Ok(None),
    };
    let given_by_scheduler =
        matches!(flags.cluster.as_deref(), None | Some("slurm" | "kubernetes"));
    if given_by_scheduler && flags.worker_index.is_some_and(|given| given != index) {
        return Err(Error::usage(format!(
            "`--worker-index` is not {index}, which the cluster says"
        ))
        .hint("leave out `--worker-index`"));
    }
    let workers = Workers::new(addresses, index, flags.control_port)?;
    Ok((workers.count() > 1).then_some(workers))
}

/// `TF_CONFIG`, in part.
#[derive(Deserialize)]
struct TfConfig {
    #[serde(default)]
    cluster: BTreeMap<String, Vec<String>>,
    task: Option<TfTask>,
}

#[derive(Deserialize)]
struct TfTask {
    #[serde(rename = "type")]
    kind: String,
    index: Index,
}

/// A number, which some schedulers write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Index {
    Number(usize),
    Text(String),
}

/// The addresses in `TF_CONFIG`, the chief's first, and which of them this process is.
pub(crate) fn parse_tf_config(text: &str) -> Result<(Vec<String>, usize)> {
    let wrong = |what: String| {
        Error::usage(format!("`{TF_CONFIG}` {what}")).hint(format!(
            "expected for example {}, or unset it to train alone",
            r#"{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}"#
        ))
    };
    let config: TfConfig =
        serde_json::from_str(text).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if let Some(other) =
        config.cluster.keys().find(|name| !["chief", "master", "worker"].contains(&name.as_str()))
    {
        return Err(wrong(format!(
            "has tasks of the type `{other}`; every task must be a `chief` or a `worker`"
        )));
    }
    let task = config.task.ok_or_else(|| wrong("does not say which task this is".into()))?;
    let index = match &task.index {
        Index::Number(number) => Some(*number),
        Index::Text(text) => text.parse().ok(),
    };
    let index = index.ok_or_else(|| wrong("has a task whose index is no number".into()))?;
    let mut addresses = Vec::new();
    let mut own = None;
    for kind in ["chief", "master", "worker"] {
        let of_kind = config.cluster.get(kind).cloned().unwrap_or_default();
        if kind == task.kind && index < of_kind.len() {
            own = Some(addresses.len() + index);
        }
        addresses.extend(of_kind);
    }
    let own = own.ok_or_else(|| wrong(format!("has no `{}` {index}", task.kind)))?;
    Ok((addresses, own))
}

/// The value of a variable that must be there.
fn needed(variable: &dyn Fn(&str) -> Option<String>, name: &str, hint: &str) -> Result<String> {
    variable(name).ok_or_else(|| Error::usage(format!("`{name}` is not set")).hint(hint))
}

fn number(name: &str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::usage(format!("`{name}` is `{text}`, expected a number")))
}

/// The workers of a job step of SLURM: one for each of its tasks.
fn of_slurm(variable: &dyn Fn(&str) -> Option<String>) -> Result<(Vec<String>, usize)> {
    const HINT: &str = "start the workers with `srun tfbert train --cluster slurm …`";
    let nodes = needed(variable, "SLURM_STEP_NODELIST", HINT)?;
    let tasks = needed(variable, "SLURM_STEP_TASKS_PER_NODE", HINT)?;
    let index = number("SLURM_PROCID", &needed(variable, "SLURM_PROCID", HINT)?)?;
    let job = number("SLURM_JOB_ID", &needed(variable, "SLURM_JOB_ID", HINT)?)?;
    let hosts = slurm::hosts(&nodes, &tasks)?;
    // Two jobs that share a node have other ports.
    let first_port = 12_000 + (job % 1000) * 20;
    let mut addresses: Vec<String> = Vec::new();
    for (task, host) in hosts.iter().enumerate() {
        let before = hosts[..task].iter().filter(|other| *other == host).count();
        addresses.push(format!("{host}:{}", first_port + before));
    }
    Ok((addresses, index))
}

/// The workers of an indexed Job of Kubernetes, or of a JobSet's only job. The manifest sets
/// `TFBERT_WORKERS` and `TFBERT_SUBDOMAIN`; the rest is set in every pod of such a job.
fn of_kubernetes(variable: &dyn Fn(&str) -> Option<String>) -> Result<(Vec<String>, usize)> {
    const HINT: &str =
        "the pod must belong to an indexed Job; docs/workers/jobset.yaml is an example";
    const MANIFEST: &str = "set it in the manifest, as docs/workers/jobset.yaml does";
    let index = needed(variable, "JOB_COMPLETION_INDEX", HINT)?;
    let host = needed(variable, "HOSTNAME", HINT)?;
    let count = number("TFBERT_WORKERS", &needed(variable, "TFBERT_WORKERS", MANIFEST)?)?;
    let subdomain = needed(variable, "TFBERT_SUBDOMAIN", MANIFEST)?;
    if count > MOST_WORKERS {
        return Err(Error::usage(format!("`TFBERT_WORKERS` is {count}, above {MOST_WORKERS}")));
    }
    let prefix = host.strip_suffix(&format!("-{index}")).ok_or_else(|| {
        Error::usage(format!("the pod's name `{host}` does not end in its index {index}"))
            .hint(HINT)
    })?;
    let addresses = (0..count).map(|n| format!("{prefix}-{n}.{subdomain}:{PORT}")).collect();
    Ok((addresses, number("JOB_COMPLETION_INDEX", &index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(flags: &ClusterFlags, variables: &[(&str, &str)]) -> Result<Option<Workers>> {
        let of = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        find(flags, &of)
    }

    fn flags(cluster: &str, worker_index: Option<usize>) -> ClusterFlags {
        ClusterFlags { cluster: Some(cluster.to_owned()), worker_index, control_port: None }
    }

    #[test]
    fn without_flags_and_variables_there_is_one_worker() {
        assert_eq!(found(&ClusterFlags::default(), &[]).unwrap(), None);
        assert_eq!(found(&ClusterFlags::default(), &[("TF_CONFIG", "")]).unwrap(), None);
        // Batch systems set these for every program.
        let variables = [("SLURM_PROCID", "0"), ("JOB_COMPLETION_INDEX", "1")];
        assert_eq!(found(&ClusterFlags::default(), &variables).unwrap(), None);
        assert_eq!(found(&flags("a:1", Some(0)), &[]).unwrap(), None);
    }

    #[test]
    fn flags_name_the_workers_and_win_over_the_environment() {
        let workers = found(&flags("a:1, b:2", Some(1)), &[("TF_CONFIG", "{")]).unwrap().unwrap();
        assert_eq!((workers.addresses(), workers.index()), (&["a:1".into(), "b:2".into()][..], 1));
        let error = found(&flags("a:1,b:2", None), &[]).unwrap_err();
        assert!(error.hint_text().unwrap().contains("--worker-index"), "{error}");
    }

    #[test]
    fn tf_config_names_the_chief_first_and_an_index_may_be_text() {
        let text = r#"{"cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]},
            "task": {"type": "worker", "index": "1"}, "environment": "cloud"}"#;
        let workers = found(&ClusterFlags::default(), &[("TF_CONFIG", text)]).unwrap().unwrap();
        assert_eq!(workers.addresses(), ["a:1", "b:1", "c:1"]);
        assert_eq!(workers.index(), 2);
    }

    #[test]
    fn a_tf_config_that_says_something_else_is_refused() {
        for (text, part) in [
            ("{", "cannot be read"),
            (r#"{"cluster": {"worker": ["a:1"]}}"#, "does not say which task"),
            (r#"{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}"#, "type `ps`"),
            (
                r#"{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}"#,
                "has no `worker` 1",
            ),
            (
                r#"{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}"#,
                "is no number",
            ),
        ] {
            let error = found(&ClusterFlags::default(), &[("TF_CONFIG", text)]).unwrap_err();
            assert!(error.what().contains(part), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn slurm_gives_each_task_a_port_of_its_node() {
        let variables = [
            ("SLURM_STEP_NODELIST", "n[1-2]"),
            ("SLURM_STEP_TASKS_PER_NODE", "2(x2)"),
            ("SLURM_PROCID", "3"),
            ("SLURM_JOB_ID", "1007"),
        ];
        let workers = found(&flags("slurm", None), &variables).unwrap().unwrap();
        assert_eq!(workers.addresses(), ["n1:12140", "n1:12141", "n2:12140", "n2:12141"]);
        assert_eq!(workers.index(), 3);
        let error = found(&flags("slurm", None), &variables[..3]).unwrap_err();
        assert!(error.to_string().contains("SLURM_JOB_ID") && error.to_string().contains("srun"));
    }

    #[test]
    fn kubernetes_names_the_pods_of_an_indexed_job() {
        let variables = [
            ("JOB_COMPLETION_INDEX", "1"),
            ("HOSTNAME", "bert-workers-0-1"),
            ("TFBERT_WORKERS", "2"),
            ("TFBERT_SUBDOMAIN", "bert"),
        ];
        let workers = found(&flags("kubernetes", None), &variables).unwrap().unwrap();
        let expected = ["bert-workers-0-0.bert:2222", "bert-workers-0-1.bert:2222"];
        assert_eq!((workers.addresses(), workers.index()), (&expected.map(String::from)[..], 1));
        let error = found(&flags("kubernetes", Some(0)), &variables).unwrap_err();
        assert!(error.what().contains("is not 1"), "{error}");
    }
}
