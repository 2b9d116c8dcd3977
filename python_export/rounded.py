"""Weights in the dtype of the matrix products, rounded once, when a model is loaded.

A trained model keeps float32 weights only. TensorFlow runs what initialises a resource after it has
read the variables, so that a SavedModel can make from them what every request would make again.
"""

import tensorflow as tf


class Rounded(tf.saved_model.experimental.TrackableResource):
    """Variables as one vector of another dtype. Checkpoints do not hold it.

    One vector, not one for each variable: TensorFlow prepares a function for each resource.
    """

    def __init__(self, variables, dtype):
        super().__init__()
        self.dtype = dtype
        # Kernels first: their sizes keep all parts at aligned addresses, and such a part is not
        # copied.
        self._variables = sorted(variables, key=lambda v: -v.shape.rank)
        # Made here, since whatever function first asks for it would keep it to itself.
        _ = self.resource_handle

    def _sizes(self):
        return [variable.shape.num_elements() for variable in self._variables]

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=self.dtype, shape=[sum(self._sizes())], shared_name="rounded"
        )

    def _initialize(self):
        # A graph may be loaded without its variables, to be given them later.
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
