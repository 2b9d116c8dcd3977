"""Writes tests/golden/parquet/: files by pyarrow, and their rows as it reads them, as JSON lines.

Run by hand, with pyarrow 21: python tests/golden/make_parquet_goldens.py
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent / "parquet"

TEAMS = ["billing", "bug"]

TABLES = {
    "tickets": pa.table(
        {
            "id": pa.array(range(40), pa.int64()),
            "text": [f"Größe {i}: it „crashes“\nor costs {i} €" for i in range(40)],
            "note": [None if i % 3 else f"note {i}" for i in range(40)],
            "team": pa.array([TEAMS[i % 2] for i in range(40)]).dictionary_encode(),
        }
    ),
    "scores": pa.table(
        {
            "sentence1": [f"a {i}" for i in range(20)],
            "sentence2": [f"b {i}" for i in range(20)],
            "score": pa.array([i / 4 for i in range(20)], pa.float64()),
        }
    ),
    "names": pa.table(
        {
            "tokens": pa.array([["Anna", "flew", "to", "Oslo"]] * 10, pa.list_(pa.string())),
            "ner_tags": pa.array([["B-PER", "O", "O", "B-LOC"]] * 10, pa.list_(pa.string())),
        }
    ),
    "questions": pa.table(
        {
            "id": [str(i) for i in range(10)],
            "question": [f"Who came in year {i}?" for i in range(10)],
            "context": [f"In year {i} Ada came." for i in range(10)],
            "answers": pa.array(
                [{"text": ["Ada"], "answer_start": [10]}] * 10,
                pa.struct(
                    [("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))]
                ),
            ),
        }
    ),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, table in TABLES.items():
        path = FOLDER / f"{name}.parquet"
        # Several row groups; tickets as `datasets` writes them, the others with gzip.
        compression = "snappy" if name == "tickets" else "gzip"
        pq.write_table(table, path, row_group_size=16, compression=compression)
        rows = pq.read_table(path).to_pylist()
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (FOLDER / f"{name}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
