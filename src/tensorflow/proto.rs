//! The few protocol buffer messages that are written or read, by hand and in part.
//!
//! prost skips unknown fields, so a message lists only what is used. Field numbers are those of
//! TensorFlow's `config.proto`, `meta_graph.proto` and `saver.proto`.

/// How a session runs (`tensorflow.ConfigProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConfigProto {
    /// Threads inside an operation; 0 lets TensorFlow choose.
    #[prost(int32, tag = "2")]
    pub intra_op_parallelism_threads: i32,
    /// Operations that run at once; 0 lets TensorFlow choose.
    #[prost(int32, tag = "5")]
    pub inter_op_parallelism_threads: i32,
    /// The GPU's options.
    #[prost(message, optional, tag = "6")]
    pub gpu_options: Option<GpuOptions>,
    /// Gives the session threads of its own.
    #[prost(bool, tag = "9")]
    pub use_per_session_threads: bool,
}

/// `tensorflow.GPUOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GpuOptions {
    /// Takes memory as it is needed, not all of it at once.
    #[prost(bool, tag = "4")]
    pub allow_growth: bool,
}

/// `tensorflow.RunOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunOptions {
    /// 3 is `FULL_TRACE`.
    #[prost(int32, tag = "1")]
    pub trace_level: i32,
}

/// A loaded graph's description (`tensorflow.MetaGraphDef`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetaGraphDef {
    /// How its variables are saved and restored.
    #[prost(message, optional, tag = "3")]
    pub saver_def: Option<SaverDef>,
}

/// `tensorflow.SaverDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SaverDef {
    /// The placeholder of the checkpoint's prefix.
    #[prost(string, tag = "1")]
    pub filename_tensor_name: String,
    /// The tensor whose fetch writes the checkpoint.
    #[prost(string, tag = "2")]
    pub save_tensor_name: String,
    /// The operation that reads it.
    #[prost(string, tag = "3")]
    pub restore_op_name: String,
}
