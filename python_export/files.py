"""Reading the text files of an encoder's folder. Errors name the file and what is wrong in it."""

import json
from pathlib import Path

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class WeightsError(Exception):
    """An encoder that cannot be read; the message says what to do."""


def read_text(path: Path) -> str:
    """A UTF-8 file with line feeds as its only line ends and without a byte order mark.

    Raises WeightsError where the file is missing or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist") from None
    if content.startswith(_UTF16_MARKS):
        raise WeightsError(
            f"{path} is UTF-16, expected UTF-8\n"
            f"hint: convert it with `iconv -f UTF-16 -t UTF-8 {path.name}`"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WeightsError(f"{path}:{line}: not UTF-8 at byte {error.start}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> dict:
    """The JSON object in a file; raises WeightsError for anything else."""
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values
