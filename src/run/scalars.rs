//! Numbers over steps, for a viewer such as TensorBoard.

use crate::error::Result;

/// Where numbers over steps go. What is written after a checkpoint is cut off when a run is
/// resumed from it, so that the curves have neither gaps nor doubles.
pub trait Scalars {
    /// Goes on after the first `bytes`, what the checkpoint knows of; 0 begins anew.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    fn open(&mut self, bytes: u64) -> Result<()>;

    /// Writes the values that belong to a step.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn write(&mut self, step: usize, values: &[(String, f64)]) -> Result<()>;

    /// Makes all values so far survive a power cut; how many bytes they are.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn sync(&mut self) -> Result<u64>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoScalars;

impl Scalars for NoScalars {
    fn open(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _step: usize, _values: &[(String, f64)]) -> Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> Result<u64> {
        Ok(0)
    }
}
