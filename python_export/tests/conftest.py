"""Exports for the tests, from `make test-exports` where it was run, and sessions over them."""

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

PACKAGE = Path(__file__).parents[1]
EXPORTS = PACKAGE.parent / "target" / "exports"
GOLDENS = PACKAGE.parent / "tests" / "golden"


def pytest_runtest_setup(item):
    """Skips the tests of bf16 where the processor cannot compute in it."""
    if "bf16" in item.name and (reason := why_no_bf16()):
        pytest.skip(reason)


def made(stamp):
    """`target/exports` if `make test-exports` wrote it from these sources, as its stamp says."""
    stamp = EXPORTS / stamp
    sources = [path for path in PACKAGE.rglob("*.py") if "tests" not in path.parts]
    if not stamp.exists() or stamp.stat().st_mtime < max(p.stat().st_mtime for p in sources):
        return None
    return EXPORTS


class Sessions(dict):
    """A session for each head of an encoder, opened when it is first asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, head):
        self[head] = ExportSession(self.folder / head)
        return self[head]


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory):
    """The folder with the exports of `tiny`, one for each head."""
    if folder := made(".made"):
        return folder / "tiny"
    output = tmp_path_factory.mktemp("saved_models")
    for head in HEAD_NAMES:
        export(read_encoder("tiny"), head, output)
    return output / "tiny"


@pytest.fixture(scope="session")
def tiny_sessions(tiny_exports):
    """A session for each head of `tiny`."""
    sessions = Sessions(tiny_exports)
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
    if folder := made(".made-workers"):
        return folder / "workers" / "tiny" / "classify"
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
    if folder := made(".made-whole-step"):
        return folder / "tiny-whole-step" / "classify"
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
    if folder := made(".made-minilm"):
        output = folder / "minilm-l6" / "classify"
    else:
        try:
            checkpoint = read_encoder("minilm-l6")
        except WeightsError as error:
            pytest.skip(str(error))
        output = export(checkpoint, "classify", tmp_path_factory.mktemp("minilm"))
    with ExportSession(output) as session:
        yield session


@pytest.fixture(scope="session")
def goldens():
    """The golden of an encoder and head as a dict of arrays."""

    def read(encoder, head):
        with np.load(GOLDENS / f"graph_{encoder}.npz") as file:
            prefix = f"{head}/"
            return {k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)}

    return read
