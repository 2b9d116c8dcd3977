//! The labels of a task, and their indices.

use std::collections::HashMap;
use std::path::Path;

use super::{reader, source};
use crate::error::{Error, Result};
use crate::task::Task;

/// Labels in the order of the logits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    names: Vec<String>,
    indices: HashMap<String, usize>,
}

impl Labels {
    /// Labels in this order.
    pub fn new(names: Vec<String>) -> Self {
        let indices = names.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        Self { names, indices }
    }

    /// A task's labels: those its row lists, or those found in its training file, sorted.
    /// Empty for heads without labels.
    ///
    /// # Errors
    ///
    /// The training file cannot be read, has fewer than two labels, or more than a metric is for.
    pub fn of_task(task: &Task, data_dir: &Path) -> Result<Self> {
        if !task.head.has_label_names() {
            return Ok(Self::default());
        }
        if let Some(names) = &task.labels {
            return Ok(Self::new(names.clone()));
        }
        let Some(train) = &task.train else {
            return Err(Error::new(format!(
                "task `{}` lists no labels and has no training file to find them in",
                task.name
            )));
        };
        let path = source::find(task, train, data_dir)?;
        let found = reader::open(task, train, &path, &Self::default())?.count_labels()?;
        if found.len() < 2 {
            return Err(Error::new(format!(
                "found {} in the label column; expected at least two labels",
                match found.keys().next() {
                    Some(only) => format!("only the label `{only}`"),
                    None => "no label".to_owned(),
                }
            ))
            .at(&path));
        }
        let found = Self::new(found.into_keys().collect());
        task.check_metrics(found.names())?;
        Ok(found)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The labels in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The index of a label.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// The index of a label that stands in a file.
    ///
    /// # Errors
    ///
    /// It is not one of these labels; the error lists them.
    pub fn parse(&self, name: &str) -> Result<usize> {
        self.index(name).ok_or_else(|| {
            const SHOWN: usize = 12;
            let mut known: Vec<_> =
                self.names.iter().take(SHOWN).map(|label| format!("`{label}`")).collect();
            if self.names.len() > SHOWN {
                known.push("…".into());
            }
            Error::new(format!("unknown label `{name}`; expected one of {}", known.join(", ")))
        })
    }
}
