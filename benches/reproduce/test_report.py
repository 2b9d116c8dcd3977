"""The comparison's arithmetic, and that the written reports are what the runs say."""

import json
import re

import pytest

import report
from compare import against_seeds, against_value, degenerate, sample, selected
from machine import Watch
from peer_tasks import answer_span
from settings_file import HERE, ROOT, SIDES, plain, read_runs, read_settings


def test_the_reports_are_what_the_runs_say():
    assert not report.stale(), "run `make results`"


def test_a_run_that_is_added_makes_every_report_stale(monkeypatch):
    score = {"epoch": 1, "step": 9, "loss": 0.5, "metrics": {"f1": 0.123, "accuracy": 0.1}}
    facts = {"seconds": 1.0, "threads": 2, "processor": "p", "versions": {}}
    run = {"seed": 1, "evaluations": [score], **facts}

    def runs(setting, side):
        found = read_runs(setting, side)
        return [*found, run] if setting.name == "mrpc" else found

    monkeypatch.setattr(report, "read_runs", runs)
    stale = report.stale()
    assert sorted(stale) == ["README.md", "benches/reproduce/results.json", "docs/RESULTS.md"]


def test_every_score_in_readme_is_in_the_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = [
        readme.split(begin)[1].split(end)[0] for begin, end in map(report.limits, report.BLOCKS)
    ]
    found = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    means = {
        f"{side['mean']:.4f}"
        for entry in found.values()
        for line in entry["last"].values()
        for side in line["sides"].values()
    }
    for table in tables:
        scores = re.findall(r"\| (0\.\d{4})", table)
        assert scores and set(scores) <= means


def test_two_sides_agree_within_twice_the_standard_error_of_their_difference():
    # Deviations √((0.01² + 0.01²) / 1) = 0.01414 each; the error is √(2 · 0.01414² / 2) = 0.01414.
    ours, theirs = sample([0.80, 0.82]), sample([0.82, 0.84])
    found = against_seeds(ours, theirs)
    assert found.difference == pytest.approx(-0.02)
    assert found.limit == pytest.approx(2 * 0.0141421, rel=1e-5)
    assert found.word == "agrees"
    assert against_seeds(ours, sample([0.84, 0.86])).word == "differs: lower"
    assert against_seeds(sample([0.84, 0.86]), ours).word == "differs: higher"


def test_a_published_value_agrees_within_twice_the_standard_deviation_of_the_seeds():
    ours = sample([0.80, 0.81, 0.82])
    assert ours.sd == pytest.approx(0.01)
    assert against_value(ours, 0.8299).word == "agrees"
    assert against_value(ours, 0.8301).word == "differs: lower"
    assert against_value(ours, 0.7899).word == "differs: higher"


def test_one_seed_has_no_verdict():
    assert against_seeds(sample([0.8]), sample([0.7, 0.9])).word == "one seed: no verdict"
    assert against_value(sample([0.8]), 0.8).word == "one seed: no verdict"


def test_the_last_and_the_best_evaluation_are_selected_by_the_first_metric():
    metrics = [{"f1": 0.7, "accuracy": 0.9}, {"f1": 0.8, "accuracy": 0.5}, {"f1": 0.75}]
    evaluations = [{"metrics": found} for found in metrics]
    assert selected(evaluations, "f1", "last") == {"f1": 0.75}
    assert selected(evaluations, "f1", "best") == {"f1": 0.8, "accuracy": 0.5}


def test_a_run_that_guesses_is_degenerate():
    def last(loss, **metrics):
        return [{"loss": loss, "metrics": metrics}]

    assert degenerate(last(0.6930, accuracy=0.52), "rte", 2)
    assert not degenerate(last(0.6700, accuracy=0.58), "rte", 2)
    assert degenerate(last(0.6, matthews_correlation=0.0), "cola", 2)
    assert not degenerate(last(2.1, pearson=0.1), "stsb", None)


def test_every_setting_has_what_its_comparison_needs():
    for setting in read_settings():
        assert setting.seeds and setting.metrics and "epochs" in setting.flags, setting.name
        if setting.published:
            assert set(setting.reference["values"]) == set(setting.metrics), setting.name
            assert setting.reference["source"].startswith("https://"), setting.name
        else:
            assert setting.encoder == "minilm-l6"
            assert setting.flags["precision"] in ("f32", "bf16")


def test_every_run_is_of_its_setting_and_seed():
    for setting in read_settings():
        for side in SIDES:
            for run in read_runs(setting, side):
                epochs = [found["epoch"] for found in run["evaluations"]]
                assert epochs == list(range(1, setting.flags["epochs"] + 1)), setting.name
                assert (run["setting"], run["side"]) == (setting.name, side)


def test_flags_are_written_as_they_are_typed():
    assert [plain(value) for value in (1e-4, 3e-5, 0.1, 32, "f32")] == [
        *("1e-4", "3e-5", "0.1", "32", "f32")
    ]


def test_an_answer_is_found_in_the_window_that_holds_it_whole():
    # "the moon" at 4..12, of the pieces [CLS] q [SEP] the mo ##on rose [SEP]
    offsets = [None, None, None, (4, 7), (8, 10), (10, 12), (13, 17), None]
    assert answer_span(offsets, {"answer_start": 8, "text": "moon"}) == (4, 5)
    assert answer_span(offsets, {"answer_start": 4, "text": "the moon"}) == (3, 5)
    # An answer that ends behind the window, one before it, and one that begins inside a piece.
    assert answer_span(offsets, {"answer_start": 13, "text": "rose up"}) == (0, 0)
    assert answer_span(offsets, {"answer_start": 0, "text": "at"}) == (0, 0)
    assert answer_span(offsets, {"answer_start": 9, "text": "oon"}) == (4, 5)


def test_an_undefined_correlation_counts_as_0_and_is_degenerate():
    def evaluation(value):
        return {"loss": 0.6, "metrics": {"matthews_correlation": value}}

    name = "matthews_correlation"
    assert selected([evaluation(None), evaluation(-0.1)], name, "best") == {name: 0.0}
    assert selected([evaluation(0.2), evaluation(None)], name, "last") == {name: 0.0}
    assert degenerate([evaluation(0.2), evaluation(None)], "cola", 2)


def test_only_runs_alone_on_the_machine_have_a_time():
    alone = {"command_seconds": 10.0, "busy_elsewhere": 0.02}
    assert report.quiet(alone)
    assert not report.quiet(alone | {"busy_elsewhere": 0.5})
    assert not report.quiet(alone | {"resumed": True})
    assert not report.quiet({"command_seconds": 10.0})
    runs = [run | {"quiet": report.quiet(run)} for run in (alone, alone | {"busy_elsewhere": 1.0})]
    assert report.quiet_time(runs) == 10.0
    assert report.quiet_time(runs[1:]) is None


def test_times_are_compared_on_one_processor_only():
    def run(side, processor, seconds):
        facts = {"command_seconds": seconds, "quiet": seconds != 99.0, "processor": processor}
        return side, facts

    runs = {"tfbert": [], "trainer": []}
    for side, facts in (
        run("tfbert", "fast", 10.0),
        run("tfbert", "fast", 30.0),
        run("trainer", "fast", 40.0),
        run("trainer", "fast", 99.0),
        run("tfbert", "slow", 50.0),
    ):
        runs[side].append(facts)
    (times,) = report.times_of(runs)
    assert (times.processor, times.ratio) == ("fast", 2.0)
    assert times.runs == {"tfbert": 2, "trainer": 1}


def test_the_processor_time_of_others_is_counted_in_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("machine.os.sysconf", lambda _name: 100)
    monkeypatch.setattr("machine.own", iter([1.0, 4.0]).__next__)
    monkeypatch.setattr("machine.time.perf_counter", iter([0.0, 10.0]).__next__)
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 9999 50 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n", "utf-8")
    watch = Watch(stat)
    # 8 seconds more of user time, system time and time taken by other guests; 3 are our own.
    stat.write_text("cpu  500 0 300 10999 90 0 0 200 0 0\n", "utf-8")
    assert watch.end() == {"command_seconds": 10.0, "busy_elsewhere": 0.5}


def test_without_proc_stat_only_the_time_is_known(tmp_path):
    assert Watch(tmp_path / "none").end().keys() == {"command_seconds"}
