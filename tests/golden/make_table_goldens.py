"""Writes `tables.json`: random tables as Python's csv and json write them, and what they hold.

    python tests/golden/make_table_goldens.py

Each case is the text of a file, its format, and the rows that Python reads back from it. A line end
inside a quoted field (CRLF or LF) counts as LF; a lone carriage return stays.
"""

import csv
import io
import json
import random
from pathlib import Path

SEED = 15
CASES = 60  # of each format
PARTS = [
    "a", "B", "7", " ", "  ", "'", '"', '""', ",", ";", "|", "\\", "\\n", "é", "e\u0301", "ß",
    "日本", "\U0001f600", "\u00a0", "\u2028", "\u2029", "\u0085", "\u200b", "\ufeff", "\u0000",
    "[SEP]", "null", "NaN", "-", "#", "=1+1", "\u202e", "\x0b", "\x0c", "\x1b",
]  # fmt: skip
LABELS = ["no", "yes"]


def text(rng: random.Random, extra: list[str]) -> str:
    return "".join(rng.choice(PARTS + extra) for _ in range(rng.randrange(0, 7)))


def rows(rng: random.Random, extra: list[str]) -> list[list[str]]:
    count = rng.randrange(1, 7)
    return [[text(rng, extra), text(rng, extra), rng.choice(LABELS)] for _ in range(count)]


def ended(rng: random.Random, lines: str, end: str) -> str:
    """A file with or without a byte order mark and the end of its last line."""
    if rng.random() < 0.3:
        lines = lines.removesuffix(end)
    return ("\ufeff" if rng.random() < 0.3 else "") + lines


def csv_case(rng: random.Random) -> dict:
    end = rng.choice(["\n", "\r\n"])
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    extra = ["\n", "\r\n", "\t", "\n\n"]
    if end == "\r\n" or quoting != csv.QUOTE_MINIMAL:
        # Python's writer leaves a lone carriage return without quotes otherwise.
        extra.append("\r")
    table = [["text", "text_pair", "label"], *rows(rng, extra)]
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting, lineterminator=end).writerows(table)
    content = file.getvalue()
    found = list(csv.reader(io.StringIO(content, newline="")))
    assert found == table, (found, table)
    expected = [[field.replace("\r\n", "\n") for field in row] for row in found[1:]]
    return {"format": "csv", "file": ended(rng, content, end), "rows": expected}


def tsv_case(rng: random.Random) -> dict:
    end = rng.choice(["\n", "\r\n"])
    table = [["text", "text_pair", "label"], *rows(rng, [])]
    content = "".join("\t".join(row) + end for row in table)
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE, escapechar=None
    )
    found = list(reader)
    assert found == table, (found, table)
    return {"format": "tsv", "file": ended(rng, content, end), "rows": found[1:]}


def json_case(rng: random.Random) -> dict:
    end = rng.choice(["\n", "\r\n"])
    table = rows(rng, ["\n", "\r\n", "\r", "\t", "\x7f"])
    lines, expected = [], []
    for first, second, label in table:
        value = rng.choice([first, rng.randrange(-9, 10**12), True, False, 0.5, -2.25])
        row = {"text": value, "label": label, "text_pair": second, "other": [1, {"text": None}]}
        keys = list(row)
        rng.shuffle(keys)
        line = json.dumps({key: row[key] for key in keys}, ensure_ascii=rng.random() < 0.5)
        back = json.loads(line)
        assert back == row
        value = back["text"]
        shown = value if isinstance(value, str) else json.dumps(value)
        lines.append(line + end)
        expected.append([shown, back["text_pair"], back["label"]])
    return {"format": "jsonl", "file": ended(rng, "".join(lines), end), "rows": expected}


def main() -> None:
    rng = random.Random(SEED)
    cases = [make(rng) for make in (csv_case, tsv_case, json_case) for _ in range(CASES)]
    body = ",\n".join(json.dumps(case) for case in cases)
    path = Path(__file__).parent / "tables.json"
    path.write_text(f'{{"cases": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
