//! The weights and the state that a run begins with.

use super::Job;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::run::{Checkpoints, State, received_state};

/// Gives a model its first weights, those of the newest checkpoint where the run is resumed, and returns
/// where it stands. The chief sends its checkpoint to the other workers.
pub(super) fn weights(
    job: &Job<'_>,
    model: &mut dyn Model,
    checkpoints: &Checkpoints,
    total: usize,
) -> Result<State> {
    let state = if job.is_chief() {
        own_state(job, model, checkpoints, total)?
    } else {
        received(job, model)?
    };
    if state.is_none() {
        model.init(job.task.head.logits_width(job.labels.len()), job.settings.seed)?;
    }
    if let Some(cluster) = job.cluster {
        cluster.begin(&model.checksum()?)?;
    }
    Ok(state.unwrap_or_default())
}

fn own_state(
    job: &Job<'_>,
    model: &mut dyn Model,
    checkpoints: &Checkpoints,
    total: usize,
) -> Result<Option<State>> {
    let state = if job.resume { newest(checkpoints, total)? } else { None };
    let weights = state.as_ref().map(|state| checkpoints.weights(state.step));
    if let Some(cluster) = job.cluster {
        let json = state.as_ref().map(serde_json::to_string).transpose();
        let json = json.map_err(|error| Error::new(error.to_string()))?;
        cluster.send_checkpoint(json.as_deref().zip(weights.as_deref()))?;
    }
    if let Some(weights) = &weights {
        model.restore(weights)?;
    }
    Ok(state)
}

/// The chief's checkpoint. Its files are removed once they are read.
fn received(job: &Job<'_>, model: &mut dyn Model) -> Result<Option<State>> {
    let Some(cluster) = job.cluster else { return Ok(None) };
    let folder = job.folder.dir().join("received");
    std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, &error))?;
    let found = cluster.receive_checkpoint(&folder)?;
    let state = match &found {
        Some(checkpoint) => {
            model.restore(&checkpoint.weights)?;
            Some(received_state(&checkpoint.state)?)
        }
        None => None,
    };
    std::fs::remove_dir_all(&folder).map_err(|error| Error::io("remove", &folder, &error))?;
    Ok(state)
}

/// The state of the newest complete checkpoint.
fn newest(checkpoints: &Checkpoints, total: usize) -> Result<Option<State>> {
    let (found, warnings) = checkpoints.newest()?;
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    match &found {
        Some(state) => {
            state.check(total).map_err(|error| error.at(&checkpoints.weights(state.step)))?;
            log::info!("resuming after step {} of {total}", state.step);
        }
        None => log::info!("no checkpoint to resume from: starting at step 0"),
    }
    Ok(found)
}
