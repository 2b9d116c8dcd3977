"""What the comparison decides from its measurements, and what its command line refuses."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reproduce"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from settings_file import read_setting

import compare
import contenders
import record
import runs
from runs import SETTINGS, tasks
from steps import ratios, summary


def measured(seconds, memory=100):
    return {
        "precision": "f32",
        "step_seconds": seconds,
        "first_step_seconds": 1.0,
        "peak_memory_bytes": memory,
    }


def test_a_form_that_is_slower_by_more_than_a_tenth_is_measured_once():
    assert contenders.forms_to_repeat({"eager": [1.0], "compile": [1.2]}) == ["eager"]
    assert contenders.forms_to_repeat({"eager": [1.0], "compile": [0.95]}) == ["eager", "compile"]
    assert contenders.best_form({"eager": [1.0, 1.1], "compile": [0.95], "other": []}) == "compile"


def test_ratios_are_formed_within_a_round():
    found = ratios([measured(1.0), measured(2.0)], [measured(2.0, 300), measured(3.0, 100)])
    assert found["ratios"] == [2.0, 1.5]
    assert (found["ratio"], found["memory_ratio"]) == (1.75, 2.0)
    assert summary([measured(1.0), measured(3.0)])["step_seconds"] == 2.0


def test_the_faster_number_format_is_measured_unless_it_is_named(monkeypatch):
    seconds = {"f32": 2.0, "bf16": 3.0}
    monkeypatch.setattr(contenders, "peer_step", lambda *given, **_: measured(seconds[given[4]]))
    peer = contenders.PEERS["torch"]
    choose = contenders.fastest_precision
    assert choose(Namespace(precision="auto", peer_precision=None), peer) == "f32"
    seconds["bf16"] = 1.0
    assert choose(Namespace(precision="auto", peer_precision=None), peer) == "bf16"
    assert choose(Namespace(precision="auto", peer_precision="f32"), peer) == "f32"
    assert choose(Namespace(precision="bf16", peer_precision=None), peer) == "bf16"


@pytest.mark.parametrize("no_warm", [False, True])
def test_without_warm_runs_the_cold_ones_are_compared(no_warm, monkeypatch):
    seconds = {"cold": 2.0, "warm": 1.0}
    monkeypatch.setattr(runs, "run_tfbert", lambda *given: {"seconds": seconds[given[3]]})
    monkeypatch.setattr(runs, "run_trainer", lambda *_: {"seconds": 3.0, "metrics": {}})
    monkeypatch.setattr(runs, "print_run", lambda *_: None)
    args = Namespace(forms=["eager"], rounds=2, threads=2, no_warm=no_warm)
    found = runs.one_task(args, "sst2", "f32")
    assert found["cold_ratio"] == 1.5
    assert (found.get("warm_ratio"), found.get("cold_by_warm")) == (
        (None, None) if no_warm else (3.0, 2.0)
    )


@pytest.mark.parametrize("task", tasks())
def test_each_run_is_a_command_of_tfbert(task):
    setting = read_setting(SETTINGS / f"{task}.toml")
    assert setting.arguments()[:3] == ["train", "--task", task]
    assert "precision" not in setting.flags, "each contender has its fastest"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "jax"], "choose from torch, keras"),
        (["--run", "sst3", "--data-dir", "data"], "choose from conll2003, mrpc, squad, sst2"),
        (["--forms", "graph"], "--forms leaves none of torch"),
        (["--run", "sst2"], "TFBERT_DATA"),
        (["--run", "sst2", "--evaluate"], "not allowed with"),
    ],
)
def test_a_mistyped_command_is_refused_with_what_is_known(arguments, message, capsys, monkeypatch):
    monkeypatch.delenv("TFBERT_DATA", raising=False)
    options = compare.parser()
    with pytest.raises(SystemExit):
        compare.check(options.parse_args(arguments), options)
    assert message in capsys.readouterr().err


def test_a_result_names_the_instructions_of_the_processor(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "cpu family\t: 25\nmodel\t\t: 1\nmodel name\t: EPYC\nflags\t\t: fpu avx2\n\n"
    )
    found = record.processor(cpuinfo)
    assert (found["name"], found["family"], found["instructions"]) == ("EPYC", "25", ["avx2"])
