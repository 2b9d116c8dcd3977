//! The few protocol buffer messages that are written or read, by hand and in part.
//!
//! prost skips unknown fields, so a message lists only what is used. Field numbers are those of
//! TensorFlow's `config.proto`, `meta_graph.proto`, `saver.proto` and `step_stats.proto`.

/// How a session runs (`tensorflow.ConfigProto`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConfigProto {
    /// Threads inside an operation; 0 lets TensorFlow choose.
    #[prost(int32, tag = "2")]
    pub intra_op_parallelism_threads: i32,
    /// Operations that run at once; 0 lets TensorFlow choose.
    #[prost(int32, tag = "5")]
    pub inter_op_parallelism_threads: i32,
    /// The devices that the session sees, by the beginning of their names; all without any.
    #[prost(string, repeated, tag = "4")]
    pub device_filters: Vec<String>,
    /// The GPU's options.
    #[prost(message, optional, tag = "6")]
    pub gpu_options: Option<GpuOptions>,
    /// Gives the session threads of its own.
    #[prost(bool, tag = "9")]
    pub use_per_session_threads: bool,
    /// What is done to the graph before it runs.
    #[prost(message, optional, tag = "10")]
    pub graph_options: Option<GraphOptions>,
    /// What may change between versions.
    #[prost(message, optional, tag = "16")]
    pub experimental: Option<Experimental>,
}

/// `tensorflow.ConfigProto.Experimental`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Experimental {
    /// The worker that tells the others which of them sum together.
    #[prost(string, tag = "1")]
    pub collective_group_leader: String,
    /// The graph is complete before the first run.
    #[prost(bool, tag = "12")]
    pub optimize_for_static_graph: bool,
    /// Runs do not tell which part of the graph ran where.
    #[prost(bool, tag = "14")]
    pub disable_output_partition_graphs: bool,
}

/// `tensorflow.GraphOptions`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GraphOptions {
    /// What Grappler, TensorFlow's graph optimiser, does.
    #[prost(message, optional, tag = "10")]
    pub rewrite_options: Option<RewriterConfig>,
}

/// `tensorflow.RewriterConfig`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RewriterConfig {
    /// Leaves Grappler out.
    #[prost(bool, tag = "19")]
    pub disable_meta_optimizer: bool,
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
    /// What may change between versions.
    #[prost(message, optional, tag = "8")]
    pub experimental: Option<RunExperimental>,
}

/// `tensorflow.RunOptions.Experimental`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunExperimental {
    /// Not 0 where the run sums over workers; the same on all of them.
    #[prost(int64, tag = "1")]
    pub collective_graph_key: i64,
}

/// A server of a cluster (`tensorflow.ServerDef`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServerDef {
    /// All servers.
    #[prost(message, optional, tag = "1")]
    pub cluster: Option<ClusterDef>,
    /// The job that this one belongs to.
    #[prost(string, tag = "2")]
    pub job_name: String,
    /// Its number in the job.
    #[prost(int32, tag = "3")]
    pub task_index: i32,
    /// How its sessions run.
    #[prost(message, optional, tag = "4")]
    pub default_session_config: Option<ConfigProto>,
    /// How servers talk.
    #[prost(string, tag = "5")]
    pub protocol: String,
}

/// `tensorflow.ClusterDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClusterDef {
    /// The jobs.
    #[prost(message, repeated, tag = "1")]
    pub job: Vec<JobDef>,
}

/// `tensorflow.JobDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JobDef {
    /// The job's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The address of each of its servers.
    #[prost(btree_map = "int32, string", tag = "2")]
    pub tasks: std::collections::BTreeMap<i32, String>,
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

/// What a traced run tells (`tensorflow.RunMetadata`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunMetadata {
    /// The executions of all operations.
    #[prost(message, optional, tag = "1")]
    pub step_stats: Option<StepStats>,
}

/// `tensorflow.StepStats`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StepStats {
    /// By device.
    #[prost(message, repeated, tag = "1")]
    pub dev_stats: Vec<DeviceStepStats>,
}

/// `tensorflow.DeviceStepStats`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceStepStats {
    /// The device.
    #[prost(string, tag = "1")]
    pub device: String,
    /// Executions on it.
    #[prost(message, repeated, tag = "2")]
    pub node_stats: Vec<NodeExecStats>,
}

/// One execution (`tensorflow.NodeExecStats`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeExecStats {
    /// The operation's name.
    #[prost(string, tag = "1")]
    pub node_name: String,
    /// When the executor took it up, in microseconds since 1970.
    #[prost(int64, tag = "2")]
    pub all_start_micros: i64,
    /// When it began, in microseconds after that.
    #[prost(int64, tag = "3")]
    pub op_start_rel_micros: i64,
    /// When it ended, in microseconds after `all_start_micros`.
    #[prost(int64, tag = "4")]
    pub op_end_rel_micros: i64,
    /// Name, type and inputs, as `name = Type(input, …)`.
    #[prost(string, tag = "8")]
    pub timeline_label: String,
    /// The thread.
    #[prost(uint32, tag = "10")]
    pub thread_id: u32,
}

/// One entry of an event file (`tensorflow.Event`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Updates done.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// In a file's first event.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// In all others.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SummaryValue {
    /// The curve's name.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The number; one of several forms, so 0 is written too.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    /// Another form.
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<TensorProto>,
    /// Which of TensorBoard's plugins shows it.
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<SummaryMetadata>,
}

/// `tensorflow.TensorProto`, as far as summaries need it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// `tensorflow.DataType`: 1 is `DT_FLOAT`, 7 is `DT_STRING`.
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<TensorShapeProto>,
    /// The values of `DT_FLOAT`.
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    /// The values of `DT_STRING`.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
}

/// `tensorflow.TensorShapeProto`; without dimensions, that of one value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<TensorDim>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorDim {
    /// How many elements.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// `tensorboard.PrCurvePluginData`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PrCurvePluginData {
    /// The version of this message's format: always 0.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// How many thresholds a curve has.
    #[prost(uint32, tag = "2")]
    pub num_thresholds: u32,
}

/// `tensorflow.SummaryMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SummaryMetadata {
    /// The plugin and its own data.
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
}

/// `tensorflow.SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PluginData {
    /// The plugin: `text`, `hparams`.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// A message of the plugin's.
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// `tensorboard.hparams.HParamsPluginData`, of version 0.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HParamsPluginData {
    /// In a run's first event.
    #[prost(message, optional, tag = "3")]
    pub session_start_info: Option<SessionStartInfo>,
    /// In a complete run's last event.
    #[prost(message, optional, tag = "4")]
    pub session_end_info: Option<SessionEndInfo>,
}

/// `tensorboard.hparams.SessionStartInfo`. The time of the start is left out, so that a resumed run's
/// events are those of an uninterrupted one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionStartInfo {
    /// The settings.
    #[prost(btree_map = "string, message", tag = "1")]
    pub hparams: std::collections::BTreeMap<String, ProtoValue>,
}

/// `tensorboard.hparams.SessionEndInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionEndInfo {
    /// `tensorboard.hparams.Status`: 1 is `STATUS_SUCCESS`.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `google.protobuf.Value`, of which one field is set.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProtoValue {
    /// A number.
    #[prost(double, optional, tag = "2")]
    pub number_value: Option<f64>,
    /// A text.
    #[prost(string, optional, tag = "3")]
    pub string_value: Option<String>,
    /// A truth value.
    #[prost(bool, optional, tag = "4")]
    pub bool_value: Option<bool>,
}

/// `tensorflow.NodeDef`, without what only debuggers read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeDef {
    /// The name in the graph or function.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The operation.
    #[prost(string, tag = "2")]
    pub op: String,
    /// Where the inputs come from.
    #[prost(string, repeated, tag = "3")]
    pub input: Vec<String>,
    /// The device that is asked for.
    #[prost(string, tag = "4")]
    pub device: String,
    /// The operation's attributes.
    #[prost(btree_map = "string, message", tag = "5")]
    pub attr: std::collections::BTreeMap<String, AttrValue>,
}

impl NodeDef {
    /// An attribute that lists number formats.
    pub fn types(&self, attribute: &str) -> Vec<i32> {
        let list = self.attr.get(attribute).and_then(|value| value.list.clone());
        list.unwrap_or_default().types
    }
}

/// `tensorflow.AttrValue`, of which one field is set. Values of other kinds are lost.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttrValue {
    /// A list.
    #[prost(message, optional, tag = "1")]
    pub list: Option<ListValue>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A float.
    #[prost(float, optional, tag = "4")]
    pub f: Option<f32>,
    /// A truth value.
    #[prost(bool, optional, tag = "5")]
    pub b: Option<bool>,
    /// A number format, by its number in `types.proto`.
    #[prost(int32, optional, tag = "6")]
    pub r#type: Option<i32>,
    /// A function.
    #[prost(message, optional, tag = "10")]
    pub func: Option<NameAttrList>,
}

impl AttrValue {
    /// An integer as a value.
    pub fn int(value: i64) -> Self {
        Self { i: Some(value), ..Self::default() }
    }

    /// A float as a value.
    pub fn float(value: f32) -> Self {
        Self { f: Some(value), ..Self::default() }
    }

    /// A truth value as a value.
    pub fn bool(value: bool) -> Self {
        Self { b: Some(value), ..Self::default() }
    }

    /// A number format as a value.
    pub fn number_format(number: i32) -> Self {
        Self { r#type: Some(number), ..Self::default() }
    }

    /// A list of number formats as a value.
    pub fn number_formats(numbers: Vec<i32>) -> Self {
        Self { list: Some(ListValue { types: numbers }), ..Self::default() }
    }
}

/// `tensorflow.AttrValue.ListValue` of number formats.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListValue {
    /// Their numbers in `types.proto`.
    #[prost(int32, repeated, tag = "6")]
    pub types: Vec<i32>,
}

/// `tensorflow.NameAttrList`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NameAttrList {
    /// The function's name.
    #[prost(string, tag = "1")]
    pub name: String,
}
