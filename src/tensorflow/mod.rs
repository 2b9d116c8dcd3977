//! TensorFlow's C API: the only place that names the crates `tensorflow` and `prost`.
