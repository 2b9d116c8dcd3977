"""Exports for the tests, made once a run, and sessions over them."""

import os
from pathlib import Path

# Some virtual machines advertise AMX but hide its tile palette, and oneDNN's bf16 products then die
# of an illegal instruction. The tests need no AMX.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow turns oneDNN on by itself only on some processors; the tests want it on all.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import pytest

from python_export.__main__ import HEAD_NAMES
from python_export.export import export
from python_export.tests.machine import why_no_bf16
from python_export.tests.session import ExportSession
from python_export.weights import WeightsError, read_encoder

GOLDENS = Path(__file__).parents[2] / "tests" / "golden"


def pytest_runtest_setup(item):
    """Skips the tests of bf16 where the processor cannot compute in it."""
    if "bf16" in item.name and (reason := why_no_bf16()):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory):
    """The folder with the exports of `tiny`, one for each head."""
    output = tmp_path_factory.mktemp("saved_models")
    for head in HEAD_NAMES:
        export(read_encoder("tiny"), head, output)
    return output / "tiny"


@pytest.fixture(scope="session")
def tiny_sessions(tiny_exports):
    """A session for each head of `tiny`."""
    sessions = {head: ExportSession(tiny_exports / head) for head in HEAD_NAMES}
    yield sessions
    for session in sessions.values():
        session.close()


@pytest.fixture(scope="session")
def classifier(tiny_sessions):
    """The session of `tiny/classify`."""
    return tiny_sessions["classify"]


@pytest.fixture(scope="session")
def workers_export(tmp_path_factory):
    """An export of `tiny/classify` with the workers' graph."""
    output = tmp_path_factory.mktemp("workers")
    return export(read_encoder("tiny"), "classify", output, for_workers=True)


@pytest.fixture(scope="session")
def of_workers(workers_export):
    """The session of the workers' graph of `tiny/classify`."""
    folder = workers_export / "assets.extra" / "workers"
    options = {"variables": False, "collectives": True}
    with ExportSession(folder, template=workers_export, **options) as session:
        yield session


@pytest.fixture(scope="session")
def whole_step_export(tmp_path_factory):
    """An export of `tiny/classify` with the whole-step graph."""
    output = tmp_path_factory.mktemp("whole_step")
    return export(read_encoder("tiny"), "classify", output, whole_step=True)


@pytest.fixture(scope="session")
def whole_step(whole_step_export):
    """The session of the whole-step graph of `tiny/classify`."""
    folder = whole_step_export / "assets.extra" / "whole_step"
    with ExportSession(folder, template=whole_step_export, variables=False) as session:
        yield session


@pytest.fixture(scope="session")
def minilm_classifier(tmp_path_factory):
    """The session of `minilm-l6/classify`; skips where the weights are not installed."""
    try:
        checkpoint = read_encoder("minilm-l6")
    except WeightsError as error:
        pytest.skip(str(error))
    with ExportSession(
        export(checkpoint, "classify", tmp_path_factory.mktemp("minilm"))
    ) as session:
        yield session


@pytest.fixture(scope="session")
def goldens():
    """The golden of an encoder and head as a dict of arrays."""

    def read(encoder, head):
        with np.load(GOLDENS / f"graph_{encoder}.npz") as file:
            prefix = f"{head}/"
            return {k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)}

    return read
