"""A folder is complete or absent, whatever ends the process that writes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from python_export.folders import remove_leftovers, written_aside


def hidden(parent):
    return [path for path in parent.iterdir() if path.name.startswith(".")]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with written_aside(tmp_path / "a" / "export") as aside:
        (aside / "file").write_text("content")
        assert not (tmp_path / "a" / "export").exists()
    assert (tmp_path / "a" / "export" / "file").read_text() == "content"
    assert not hidden(tmp_path / "a")


def test_a_folder_that_fails_leaves_the_earlier_one_as_it_was(tmp_path):
    with written_aside(tmp_path / "export") as aside:
        (aside / "file").write_text("first")
    with pytest.raises(OSError, match="full"), written_aside(tmp_path / "export") as aside:
        (aside / "file").write_text("second")
        raise OSError("full")
    assert (tmp_path / "export" / "file").read_text() == "first"
    assert not hidden(tmp_path)


def test_a_new_folder_replaces_the_earlier_one_whole(tmp_path):
    for name in ("first", "second"):
        with written_aside(tmp_path / "export") as aside:
            (aside / name).write_text("")
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["second"]
    assert not hidden(tmp_path)


def test_a_folder_that_is_being_written_is_no_leftover(tmp_path):
    with written_aside(tmp_path / "export") as aside:
        assert remove_leftovers(tmp_path) == []
        assert aside.exists()


_WRITE_AND_WAIT = """
import sys
from pathlib import Path
from python_export.folders import written_aside
with written_aside(Path(sys.argv[1])) as aside:
    (aside / "saved_model.pb").write_text("half")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_the_folder_of_a_killed_process_is_removed(tmp_path):
    command = [sys.executable, "-c", _WRITE_AND_WAIT, str(tmp_path / "export")]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline() == b"written\n"
        (left,) = hidden(tmp_path)
        assert remove_leftovers(tmp_path) == []
        process.kill()
        process.wait()
    assert remove_leftovers(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_moved_away_by_a_killed_process_is_moved_back(tmp_path):
    (tmp_path / ".export.old-1").mkdir()
    (tmp_path / ".export.old-1" / "file").write_text("kept")
    assert remove_leftovers(tmp_path) == []
    assert (tmp_path / "export" / "file").read_text() == "kept"


def test_other_hidden_files_and_folders_are_left_alone(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".notes.partial-1").write_text("a file")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".link.partial-1").symlink_to(tmp_path / "elsewhere")
    assert remove_leftovers(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 4
