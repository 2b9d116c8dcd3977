//! The machine's rate of matrix products, measured through TensorFlow itself.

use std::time::Instant;

use tensorflow::{
    BFloat16, DataType, Graph, Operation, Session, SessionRunArgs, Shape, Tensor, TensorType,
};

use super::device::WorkSplit;
use super::library::Library;
use super::session::{Threads, explain};
use crate::error::Result;
use crate::model::Precision;

/// Rows and columns of the matrices: large enough to hide what a call costs.
const SIZE: usize = 2048;
/// Matrix products of one call. Each multiplies the previous result, so TensorFlow cannot merge them.
const CHAIN: usize = 4;
/// Chains that run beside each other, as many as operations of a training step at the most.
const CHAINS: usize = 2;
/// Calls before those that are timed.
const WARM_UP: usize = 2;
/// Timed calls; the fastest counts, since others share the machine.
const CALLS: usize = 8;

/// Floating-point operations a second of products of 2048 × 2048 matrices in a number format, on
/// `threads` threads (0 is one for each core).
///
/// # Errors
///
/// TensorFlow fails.
pub fn matmul_peak(library: &Library, precision: Precision, threads: usize) -> Result<f64> {
    let threads = library.device().threads(threads, WorkSplit::Operations);
    match precision {
        Precision::F32 => measure::<f32>(DataType::Float, threads),
        Precision::Bf16 => measure::<BFloat16>(DataType::BFloat16, threads),
    }
}

fn measure<T: TensorType + From<f32>>(dtype: DataType, threads: Threads) -> Result<f64> {
    let mut graph = Graph::new();
    let (mut factors, mut ends) = (Vec::new(), Vec::new());
    for chain in 0..CHAINS {
        // One of its own, or the chains would be one to TensorFlow.
        let factor = placeholder(&mut graph, &format!("factor_{chain}"), dtype)
            .map_err(|status| explain(&status))?;
        let mut last = factor.clone();
        for i in 0..CHAIN {
            last = product(&mut graph, &format!("product_{chain}_{i}"), dtype, &last, &factor)
                .map_err(|status| explain(&status))?;
        }
        factors.push(factor);
        ends.push(last);
    }
    let session =
        Session::new(&threads.options(None)?, &graph).map_err(|status| explain(&status))?;
    let values = matrix::<T>();
    let mut seconds = f64::INFINITY;
    for call in 0..WARM_UP + CALLS {
        let mut args = SessionRunArgs::new();
        factors.iter().for_each(|factor| args.add_feed(factor, 0, &values));
        // A target is computed like a fetch, and copied nowhere.
        ends.iter().for_each(|end| args.add_target(end));
        let start = Instant::now();
        session.run(&mut args).map_err(|status| explain(&status))?;
        if call >= WARM_UP {
            seconds = seconds.min(start.elapsed().as_secs_f64());
        }
    }
    // A multiplication and an addition for each row, column and inner position.
    Ok(2.0 * (SIZE as f64).powi(3) * (CHAINS * CHAIN) as f64 / seconds)
}

fn placeholder(graph: &mut Graph, name: &str, dtype: DataType) -> tensorflow::Result<Operation> {
    let size = Some(SIZE as i64);
    let mut operation = graph.new_operation("Placeholder", name)?;
    operation.set_attr_type("dtype", dtype)?;
    operation.set_attr_shape("shape", &Shape::from(Some(vec![size, size])))?;
    operation.finish()
}

fn product(
    graph: &mut Graph,
    name: &str,
    dtype: DataType,
    left: &Operation,
    right: &Operation,
) -> tensorflow::Result<Operation> {
    let mut operation = graph.new_operation("MatMul", name)?;
    operation.add_input(left.clone());
    operation.add_input(right.clone());
    operation.set_attr_type("T", dtype)?;
    operation.finish()
}

/// A matrix of both signs whose powers neither vanish nor grow: its entries' variance is 1 / SIZE.
fn matrix<T: TensorType + From<f32>>() -> Tensor<T> {
    let half_width = (3.0 / SIZE as f32).sqrt();
    let mut tensor = Tensor::new(&[SIZE as u64, SIZE as u64]);
    let mut state = 1u32;
    for value in tensor.iter_mut() {
        // A linear congruential generator (Numerical Recipes): its upper bits are random enough.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = T::from((state as f32 / u32::MAX as f32 * 2.0 - 1.0) * half_width);
    }
    tensor
}
