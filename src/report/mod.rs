//! What a run leaves behind: progress, logs, metrics, prediction files.
