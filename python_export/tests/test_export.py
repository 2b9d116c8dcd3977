"""The command, and what it writes."""

import json

import pytest

from python_export import CONTRACT_VERSION, tiny
from python_export.__main__ import HEAD_NAMES, main
from python_export.heads import HEADS
from python_export.tests.session import ExportSession, load_graph, v1
from python_export.tests.test_weights import write

FILES = [
    "assets.extra/serving/saved_model.pb",
    "assets.extra/tfbert.json",
    "assets.extra/tokenizer.json",
    "assets.extra/vocab.txt",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
]


def run(output, *arguments):
    return main(["--encoder", "tiny", "--head", "regress", "--output", str(output), *arguments])


@pytest.fixture
def exported(tiny_exports, tmp_path):
    """An output folder with a copy of `tiny/regress`."""
    copy = tmp_path / "tiny" / "regress"
    for name in FILES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((tiny_exports / "regress" / name).read_bytes())
    return tmp_path


def stamps(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_the_heads_of_the_command_are_those_of_the_graph():
    assert list(HEADS) == list(HEAD_NAMES)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_an_export_holds_the_files_of_the_contract_and_no_other(tiny_exports, head):
    folder = tiny_exports / head
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == FILES
    leftovers = [p.name for p in tiny_exports.iterdir() if p.name not in HEAD_NAMES]
    assert not leftovers


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_the_contract_lists_the_signatures_of_both_graphs(tiny_exports, tiny_sessions, head):
    contract = tiny_sessions[head].contract
    assert contract["contract_version"] == CONTRACT_VERSION
    assert contract["head"] == head
    expected = {"name": "tiny", "model_type": "bert", **tiny.config().to_json()}
    assert contract["encoder"] == expected
    training = tiny_sessions[head].meta_graph
    with v1.Graph().as_default():
        serving = load_graph(tiny_exports / head / "assets.extra" / "serving")
    for key, graph in (("signatures", training), ("serving_signatures", serving)):
        found = {
            name: {
                "inputs": described(signature.inputs),
                "outputs": described(signature.outputs),
            }
            for name, signature in graph.signature_def.items()
            if not name.startswith("__")
        }
        assert found == contract[key]


def described(tensors):
    return {
        name: {
            "dtype": v1.as_dtype(tensor.dtype).name,
            "shape": [None if d.size == -1 else d.size for d in tensor.tensor_shape.dim],
        }
        for name, tensor in tensors.items()
    }


def test_an_export_is_as_large_as_its_weights(tiny_exports):
    folder = tiny_exports / "classify" / "variables"
    weights = sum(tensor.nbytes for tensor in tiny.tensors(0).values())
    assert (folder / "variables.data-00000-of-00001").stat().st_size < weights + 100_000


def test_a_complete_export_is_left_alone(exported, capsys):
    before = stamps(exported)
    assert run(exported) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(exported / "tiny" / "regress")
    assert "left as it is" in err
    assert stamps(exported) == before


def test_force_replaces_an_export(exported):
    before = stamps(exported)
    assert run(exported, "--force") == 0
    after = stamps(exported)
    assert set(after) == set(before)
    assert not {path for path in after if after[path] == before[path]}
    with ExportSession(exported / "tiny" / "regress") as session:
        assert session.init(1)["num_labels"] == 1


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("contract_version", 0, "`contract_version` is 0, not"),
        ("weights_sha256", "0", '`weights_sha256` is "0", not'),
        ("do_lower_case", False, "`do_lower_case` is false, not true"),
        ("exporter", {"tensorflow": "2.20.0"}, '`exporter.tensorflow` is "2.20.0", not'),
        ("exporter", None, "`exporter.tensorflow` is null, not"),
        ("encoder", {"name": "tiny"}, "`encoder.model_type` is null, not"),
        ("pooler_seed", 3, "`pooler_seed` is 3, not null"),
        ("files", None, "assets.extra/tokenizer.json is not the encoder's"),
        ("files", 3, "is not a complete export"),
    ],
)
def test_another_export_in_the_place_is_not_replaced(exported, capsys, key, value, message):
    path = exported / "tiny" / "regress" / "assets.extra" / "tfbert.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    before = stamps(exported)
    assert run(exported) == 1
    error = capsys.readouterr().err
    assert message in error and "--force" in error
    assert stamps(exported) == before


def test_an_export_of_other_source_files_is_refused_by_name(exported, capsys):
    path = exported / "tiny" / "regress" / "assets.extra" / "tfbert.json"
    contract = json.loads(path.read_text())
    contract["exporter"]["sources_sha256"] = "0"
    path.write_text(json.dumps(contract))
    assert run(exported) == 1
    error = capsys.readouterr().err
    assert '`exporter.sources_sha256` is "0", not' in error and "--force" in error


def test_an_export_with_another_choice_of_case_is_refused_by_name(exported, capsys):
    assert run(exported, "--do-lower-case", "false") == 1
    error = capsys.readouterr().err
    assert "`do_lower_case` is true, not false" in error and "--force" in error


def test_an_export_whose_tokenizer_was_another_is_refused(exported, capsys, monkeypatch):
    pieces = [*tiny.vocabulary()[:-1], "zebra"]
    monkeypatch.setattr(tiny, "vocabulary", lambda: pieces)
    assert run(exported) == 1
    error = capsys.readouterr().err
    assert "tokenizer.json is not the encoder's" in error and "--force" in error


@pytest.mark.parametrize("name", sorted(set(FILES) - {"assets.extra/tfbert.json"}))
def test_an_export_with_a_file_that_is_changed_or_missing_is_not_complete(exported, capsys, name):
    path = exported / "tiny" / "regress" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert run(exported) == 1
    assert f"is damaged: {name} was changed" in capsys.readouterr().err
    path.unlink()
    assert run(exported) == 1
    assert f"is not a complete export: {name} is missing" in capsys.readouterr().err


def test_the_next_export_removes_what_a_killed_one_left(exported, capsys):
    # Of this head, of another, and of another encoder.
    left = [
        exported / name
        for name in ("tiny/.regress.partial-1", "tiny/.tag.partial-2", "other/.span.old-3")
    ]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text("half")
    (exported / "other" / "span").mkdir()
    assert run(exported) == 0
    error = capsys.readouterr().err
    for folder in left:
        assert not folder.exists()
        assert f"removed {folder}, left by an export that was killed" in error


def test_a_folder_that_is_no_export_is_not_replaced(tmp_path, capsys):
    mine = tmp_path / "tiny" / "regress" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("keep me")
    assert run(tmp_path) == 1
    assert "is not a complete export" in capsys.readouterr().err
    assert mine.read_text() == "keep me"


def test_an_export_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("python_export.export._save", write_half)
    assert run(tmp_path) == 1
    assert "error: No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "tiny").iterdir())


def write_half(_module, folder, _signatures, weights):
    (folder / "saved_model.pb").write_text("half")
    raise OSError("No space left on device")


def test_a_missing_pooler_is_drawn_and_said(tmp_path, capsys):
    kept = {n: v for n, v in tiny.tensors(0).items() if not n.startswith("pooler")}
    write(tmp_path / "mine", tensors=kept)
    arguments = ["--encoder", str(tmp_path / "mine"), "--head", "regress"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "the checkpoint has no pooler" in capsys.readouterr().err


def test_an_unknown_encoder_is_one_message_and_exit_code_1(tmp_path, capsys):
    assert main(["--encoder", "nothing", "--head", "all", "--output", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "error: `nothing` is neither" in err
