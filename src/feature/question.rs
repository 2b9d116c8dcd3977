use super::{FeatureSettings, Features, Tokenizer};
use crate::dataset::Dataset;
use crate::error::Result;
pub(super) fn features(_: &Dataset, _: &Tokenizer, _: &FeatureSettings) -> Result<Features> {
    unimplemented!()
}
