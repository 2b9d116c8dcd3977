"""Weights that are in memory only while they are needed."""

import numpy as np
import pytest
import tensorflow as tf

from python_export import deferred, tiny
from python_export.deferred import FileTensors, blank, variables_without_values
from python_export.formats.safetensors_files import SafetensorsFiles
from python_export.tests.test_weights import write


@pytest.mark.parametrize(("open_bytes", "opened"), [(0, 4), (1 << 30, 1)])
def test_weights_are_read_each_time_and_files_do_not_stay_open(
    tmp_path, monkeypatch, open_bytes, opened
):
    monkeypatch.setattr(deferred, "_OPEN_BYTES", open_bytes)
    write(tmp_path)
    openings = []

    def open_files():
        openings.append(1)
        path = tmp_path / "model.safetensors"
        return SafetensorsFiles([path], path)

    expected = tiny.tensors(0)
    names = ["embeddings.word_embeddings.weight", "pooler.dense.bias"]
    weights = FileTensors(open_files, {name: name for name in names})
    assert not openings and list(weights) == names and len(weights) == 2
    for name in names * 2:
        np.testing.assert_array_equal(weights[name], expected[name])
    assert len(openings) == opened
    assert "pooler.dense.weight" not in weights
    with pytest.raises(KeyError):
        weights["pooler.dense.weight"]


def test_a_variable_without_value_has_its_shape_and_no_memory():
    with variables_without_values():
        kernel = tf.Variable(blank({"kernel": (3, 5)})["kernel"].T)
        step = tf.Variable(0, dtype=tf.int64)
    assert (kernel.shape.as_list(), kernel.dtype) == ([5, 3], tf.float32)
    for variable in (kernel, step):
        value = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)
        assert tf.size(value) == 0
    traced = tf.function(lambda: kernel + 1.0).get_concrete_function()
    assert traced.output_shapes.as_list() == [5, 3]
    assert tf.Variable([1.0]).numpy() == [1.0]
