"""Weights in bf16, rounded once when a SavedModel is loaded.

A trained model stores float32 weights only. TensorFlow initialises a SavedModel's resources after
it has read the variables, so a resource can hold the rounded weights, which every request would
otherwise compute again.
"""

import tensorflow as tf


class Rounded(tf.saved_model.experimental.TrackableResource):
    """Variables as one vector of another dtype, which is not part of checkpoints.

    It is one vector for all variables because TensorFlow prepares a function for each resource.
    """

    def __init__(self, variables, dtype):
        super().__init__()
        self.dtype = dtype
        # Kernels come first: their sizes keep every part aligned, and aligned parts are read
        # without a copy.
        self._variables = sorted(variables, key=lambda v: -v.shape.rank)
        # Created here: otherwise the first function that uses the handle creates it in its own
        # graph, where no other function finds it.
        _ = self.resource_handle

    def _sizes(self):
        return [variable.shape.num_elements() for variable in self._variables]

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=self.dtype, shape=[sum(self._sizes())], shared_name="rounded"
        )

    def _initialize(self):
        # A graph may be loaded without variables, which are restored later.
        known = tf.raw_ops.VarIsInitializedOp(resource=self._variables[0].handle)
        tf.cond(known, self._round, lambda: None)

    def _round(self):
        parts = [tf.cast(v.read_value(), self.dtype) for v in self._variables]
        vector = tf.concat([tf.reshape(part, [-1]) for part in parts], 0)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=vector)

    def _destroy_resource(self):
        tf.raw_ops.DestroyResourceOp(resource=self.resource_handle)

    def read(self):
        """The rounded value of each variable, by its reference."""
        vector = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=self.dtype)
        parts = tf.split(tf.ensure_shape(vector, [sum(self._sizes())]), self._sizes())
        return {
            variable.ref(): tf.reshape(part, variable.shape)
            for variable, part in zip(self._variables, parts, strict=True)
        }
