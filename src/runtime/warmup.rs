//! Requests that TensorFlow Serving replays when it loads a model:
//! `assets.extra/tf_serving_warmup_requests`, a TFRecord of `PredictionLog` messages.

use std::collections::BTreeMap;

use prost::Message;

use super::record::record;
use crate::model::{Tensor, TensorData};

/// TensorFlow's numbers of types (`types.proto`).
const DT_FLOAT: i32 = 1;
const DT_INT32: i32 = 3;

/// The file's bytes: a request of `signature` for each of `requests`, its inputs by name.
pub fn warmup_requests(
    model: &str,
    signature: &str,
    requests: &[BTreeMap<String, Tensor>],
) -> Vec<u8> {
    let message = |inputs: &BTreeMap<String, Tensor>| PredictionLog {
        predict_log: Some(PredictLog {
            request: Some(PredictRequest {
                model_spec: Some(ModelSpec {
                    name: model.to_owned(),
                    signature_name: signature.to_owned(),
                }),
                inputs: inputs.iter().map(|(name, tensor)| (name.clone(), proto(tensor))).collect(),
            }),
        }),
    };
    requests.iter().flat_map(|inputs| record(&message(inputs).encode_to_vec())).collect()
}

fn proto(tensor: &Tensor) -> TensorProto {
    let (dtype, bytes) = match &tensor.data {
        TensorData::Ints(values) => {
            (DT_INT32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        TensorData::Floats(values) => {
            (DT_FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
    };
    let dim = tensor.shape.iter().map(|&size| Dim { size: size as i64 }).collect();
    TensorProto { dtype, tensor_shape: Some(TensorShapeProto { dim }), tensor_content: bytes }
}

/// `tensorflow.serving.PredictionLog` (`prediction_log.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct PredictionLog {
    /// One of several kinds of request.
    #[prost(message, optional, tag = "6")]
    predict_log: Option<PredictLog>,
}

/// `tensorflow.serving.PredictLog`.
#[derive(Clone, PartialEq, prost::Message)]
struct PredictLog {
    #[prost(message, optional, tag = "1")]
    request: Option<PredictRequest>,
}

/// `tensorflow.serving.PredictRequest` (`predict.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct PredictRequest {
    #[prost(message, optional, tag = "1")]
    model_spec: Option<ModelSpec>,
    #[prost(btree_map = "string, message", tag = "2")]
    inputs: BTreeMap<String, TensorProto>,
}

/// `tensorflow.serving.ModelSpec` (`model.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct ModelSpec {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    signature_name: String,
}

/// `tensorflow.TensorProto` (`tensor.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    tensor_shape: Option<TensorShapeProto>,
    /// The values, row-major, little-endian.
    #[prost(bytes = "vec", tag = "4")]
    tensor_content: Vec<u8>,
}

/// `tensorflow.TensorShapeProto` (`tensor_shape.proto`).
#[derive(Clone, PartialEq, prost::Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dim>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, prost::Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
}
