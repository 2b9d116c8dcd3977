//! Several workers on a network and a disk of their own, which need root.

use std::fs;
use std::process::{Command, Stdio};

use crate::cluster::{DEADLINE, NOTICED, end, flags, launch, steps_saved};
use crate::common::{root, succeed, tfbert};
use crate::interrupted::{alone, spawn, wait_for};
use crate::{Disk, Ran};

/// Two network namespaces joined by a cable, removed at the end.
struct Network([String; 2]);

impl Network {
    fn new() -> Option<Self> {
        let names = ["a", "b"].map(|end| format!("tfbert-{}-{end}", std::process::id()));
        let network = Self(names);
        let [a, b] = &network.0;
        for namespace in [a, b] {
            ip(&format!("netns add {namespace}"))?;
        }
        ip(&format!("link add cable netns {a} type veth peer name cable netns {b}"))?;
        for (namespace, address) in [(a, "10.213.77.1/24"), (b, "10.213.77.2/24")] {
            ip(&format!("-n {namespace} address add {address} dev cable"))?;
            ip(&format!("-n {namespace} link set cable up"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
        }
        Some(network)
    }

    /// The command in one of the namespaces.
    fn inside(&self, end: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.0[end]]).arg(command.get_program());
        inside.args(command.get_args()).current_dir(root());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in &self.0 {
            let _ = ip(&format!("netns delete {namespace}"));
        }
    }
}

fn ip(arguments: &str) -> Option<()> {
    let run = Command::new("ip").args(arguments.split(' ')).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success()).then_some(())
}

pub fn a_cut_network_ends_all_workers_and_the_run_goes_on_from_its_checkpoint() -> Ran {
    let _alone = alone();
    let network = Network::new().ok_or("making network namespaces needs root, and `ip`")?;
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let [mut chief, other] = [0, 1].map(|index| {
        let mut command = tfbert();
        command.args(flags("classify", &run)).args(["--threads", "1"]);
        command.args(["--cluster", "10.213.77.1:2222,10.213.77.2:2222"]);
        command.args(["--worker-index", &index.to_string()]);
        spawn(&mut network.inside(index, &command))
    });
    assert!(wait_for(&mut chief, || steps_saved(&run) > 0));
    ip(&format!("-n {} link set cable down", network.0[0])).unwrap();
    for (child, lost) in [(chief, "worker 1 (10.213.77.2"), (other, "worker 0 (10.213.77.1")] {
        let (code, stderr) = end(child, NOTICED);
        assert_eq!(code, Some(138), "{stderr}");
        assert!(stderr.contains(&format!("error: {lost}")), "{stderr}");
    }
    let mut flags = flags("classify", &run);
    flags.push("--resume".into());
    succeed(&mut launch(2, &flags));
    Ok(())
}

pub fn a_full_disk_of_the_chief_ends_all_workers_and_is_named() -> Ran {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&dir.path().join("disk")).ok_or("mounting a small disk needs root")?;
    // The weights and the optimiser's state of a checkpoint have no room.
    fs::write(disk.0.join("filler"), vec![1; 15 << 20]).unwrap();
    let child = spawn(&mut launch(2, &flags("classify", &disk.0.join("run"))));
    let (code, stderr) = end(child, DEADLINE);
    assert_eq!(code, Some(1), "{stderr}");
    let last = stderr.lines().rfind(|line| line.starts_with("error: worker 0: "));
    assert!(last.is_some_and(|line| line.contains("No space left")), "{stderr}");
    assert!(stderr.contains("see that the disk has room"), "{stderr}");
    let other = stderr.lines().find(|line| line.starts_with("[1] error: worker 0 (127.0.0.1:"));
    assert!(other.is_some_and(|line| line.contains("No space left")), "{stderr}");
    Ok(())
}
