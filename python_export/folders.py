"""Writing a folder so that it is complete or absent, and removing what a killed process left.

A folder is written beside its place under a hidden name, and renamed when it is complete. The
process that writes a hidden folder holds a lock on it. The lock ends with the process, however that
ends, so a hidden folder without a lock is a leftover.
"""

import fcntl
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

# `.NAME.partial-…` is being written; `.NAME.old-…` is being replaced.
_PARTIAL, _OLD = ".partial-", ".old-"


@contextmanager
def written_aside(folder: Path):
    """Gives an empty folder to write to, which takes the place of `folder` at the end.

    After an exception `folder` is as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside, lock = _create(folder)
    try:
        yield aside
        _replace(folder, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(lock)


def remove_leftovers(parent: Path) -> list[Path]:
    """Removes the hidden folders in `parent` that no process writes any more; returns their paths.

    A folder that was moved away to be replaced, and whose replacement never came, is moved back.
    """
    removed = []
    for path in sorted(parent.glob(".*")):
        name, _, _ = path.name[1:].partition(_OLD if _OLD in path.name else _PARTIAL)
        if not path.is_dir() or path.is_symlink() or name == path.name[1:]:
            continue
        lock = _lock(path)
        if lock is None:
            continue
        try:
            if _OLD in path.name and not (parent / name).exists():
                path.rename(parent / name)
            else:
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
        finally:
            os.close(lock)
    return removed


def _create(folder):
    """A new folder beside `folder`, and its lock."""
    while True:
        number = f"{os.getpid()}-{secrets.token_hex(3)}"
        aside = folder.with_name(f".{folder.name}{_PARTIAL}{number}")
        aside.mkdir()
        lock = _lock(aside)
        # Another process may have found the folder before it was locked, and removed it.
        if lock is not None and aside.exists():
            return aside, lock


def _lock(path):
    """Locks a folder and returns its descriptor, or None where another process has locked it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _replace(folder, aside):
    """Puts `aside` in the place of `folder`, by renames alone."""
    old = folder.with_name(f".{folder.name}{_OLD}{aside.name.partition(_PARTIAL)[2]}")
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
