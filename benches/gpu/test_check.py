"""What `make gpu-check` makes of a machine without a GPU, or with one that cannot be used."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("gpu_check", HERE / "check.py")
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

CPU = "ok   TensorFlow: 2.21.0\nok   processor: 2 cores\nFIX  data: no task's files are there\n"
GPU = "ok   GPU: NVIDIA H100, 80 GiB, compute capability 9.0, driver 550.54 (CUDA 12.4)\n"


def test_a_gpu_is_found_where_doctor_names_one_that_is_used():
    assert check.gpu_of(CPU) is None
    assert check.gpu_of(CPU + GPU).startswith("NVIDIA H100, 80 GiB")
    hidden = GPU + "ok   GPU: not used: CUDA_VISIBLE_DEVICES hides every GPU from this process\n"
    assert check.gpu_of(CPU + hidden) is None


def test_a_gpu_that_tensorflow_does_not_see_is_a_problem():
    with pytest.raises(check.Problem, match="TensorFlow sees no GPU"):
        check.gpu_of(GPU + "FIX  GPU: TensorFlow sees no GPU, although the driver lists one\n")


def test_without_a_gpu_the_check_ends_at_once_and_says_so(tmp_path):
    doctor = tmp_path / "tfbert"
    doctor.write_text(f"#!/bin/sh\ncat <<'END'\n{CPU}END\nexit 1\n")
    doctor.chmod(0o755)
    command = [sys.executable, str(HERE / "check.py"), "--tfbert", str(doctor)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )
    assert (done.returncode, done.stdout) == (0, "no GPU: nothing was checked\n"), done.stderr


def test_each_contender_gets_a_row_with_its_share_of_the_products_rate(capsys):
    ours = {"step_seconds": 0.1, "step_gflop": 1000.0, "peak_gflops_per_second": 20000.0}
    found = {"tfbert": [ours], "PyTorch": [{"step_seconds": 0.25}, {"step_seconds": 0.2}]}
    rows = check.rows(check.ENCODERS[0], "256x128", found)
    assert [row["sequences_per_second"] for row in rows] == [2560.0, 1280.0]
    assert [round(row["share_of_rate"], 6) for row in rows] == [0.5, 0.25]
    assert "50.0%" in capsys.readouterr().out
