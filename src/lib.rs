//! Fine-tune, evaluate and use BERT from one binary, on TensorFlow's C API.
//!
//! Data flows through one module for each stage:
//!
//! ```text
//! files → examples → features → batches → logits → predictions → scores → report
//!         dataset    feature    batch     model    prediction    scores   report
//! ```
//!
//! [`task`] says which files, columns, labels and metrics a task has, and [`stages`] which function
//! each head has at each stage. [`train`], [`evaluate`], [`predict`] and [`bench`] drive the stages.
//! They see the traits of [`model`]; [`runtime`] implements these with TensorFlow, and only the
//! binary joins the two.
//!
//! A module imports only modules below it (`tests/architecture.rs`); `docs/architecture.md` says what
//! each one owns.

pub mod error;
pub mod files;
pub mod task;
pub mod text;

pub mod analysis;
pub mod batch;
pub mod dataset;
pub mod feature;
pub mod metric;
pub mod model;
pub mod optimizer;
pub mod prediction;
pub mod report;

pub mod bench;
pub mod cli;
pub mod cluster;
pub mod compare;
pub mod evaluate;
pub mod export;
pub mod fetch;
pub mod inspect;
pub mod kubeflow;
pub mod predict;
pub mod run;
pub mod saved_model;
pub mod schedule;
pub mod scores;
pub mod settings;
pub mod stages;
pub mod sweep;
pub mod train;

pub mod runtime;

#[doc(hidden)]
pub mod fuzzing;
