//! Features to batches: seeded shuffle, length buckets, padding.

mod buckets;
mod layout;
mod masking;
mod parallel;
mod plan;
mod prefetch;

pub use buckets::Buckets;
pub use layout::BatchLayout;
pub use parallel::parallel_for_each;
pub use plan::{PlannedBatch, evaluation_plan, padding_share, training_lengths, training_plan};
pub use prefetch::{Prefetched, prefetch};
