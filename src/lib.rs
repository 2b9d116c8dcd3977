//! Fine-tune, evaluate and use BERT from one binary, on TensorFlow's C API.
//!
//! The flow, and the modules that show it:
//!
//! ```text
//! files → examples → features → batches → model → predictions → metrics → report
//! dataset   task     feature    batch     model   prediction    metric    report
//! ```
//!
//! Imports point down only; only the binary names [`runtime`], everything else sees the traits
//! of [`model`].

pub mod error;
pub mod files;
pub mod task;

pub mod batch;
pub mod dataset;
pub mod feature;
pub mod metric;
pub mod model;
pub mod prediction;
pub mod report;

pub mod bench;
pub mod cli;
pub mod evaluate;
pub mod predict;
pub mod run;
pub mod saved_model;
pub mod schedule;
pub mod scores;
pub mod settings;
pub mod stages;
pub mod train;

pub mod runtime;

#[doc(hidden)]
pub mod fuzzing;
