"""Makes the goldens of question answering's windows from Hugging Face's fast tokenizer.

    python make_question_goldens.py

writes beside this file (needs transformers):

- `question_tokenizer.json`: a small WordPiece tokenizer with BERT's normaliser
- `question_windows.json`: awkward questions and contexts, and for each the windows of
  `tokenizer(question, context, truncation="only_second", max_length=…, stride=…,
  return_overflowing_tokens=True, return_offsets_mapping=True)`

- `question_predictions.json`: random logits (times 65536) for some of these windows, and the best
  answers

Beside ids, segments and offsets (in characters, of the context's pieces only), a window has

- `span`: first and last position of the answer as `run_qa.py` of transformers finds them, [0, 0]
  where the window does not hold it whole; null for a case without an answer
- `max_context`: for each piece of the context 1 if this window is the one with the most context
  around it, by the rule of `run_squad.py` of Google's BERT, else 0

The best answers follow `write_predictions` of `run_squad.py` with every start paired with every
end, which is what it does where a window has no more than `n_best_size` positions; an answer's text
is cut from the context by offsets, as `run_qa.py` does.

Inputs are written here or random with a fixed seed, so that the same versions make the same bytes.
"""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import json
import math
import random
import unicodedata
from importlib.metadata import version
from pathlib import Path

from transformers import BertTokenizer

HERE = Path(__file__).parent
SEED = 20240611

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = (
    "the a of and in to was on it by that is as for with from who what when where which how "
    "many did moon lunar module command pilot crew launch saturn apollo earth orbit mission "
    "rocket space year land ##ing ##ed ##er ##s ##es ##ly ##ness ##tion un ##able re over "
    "under rover sea tranquil ##ity eagle columbia armstrong collins aldrin neil michael buzz "
    "july 19 ##69 ##11 ##40 hours surface"
)
OTHERS = list(".,;:!?'\"()[]-/%$&#@*+=_<>|~^`\\{}")
OTHERS += list("東京大学のαβγδабвгдéßøæıœłđ–—…“”’€°½²")


def vocabulary() -> dict[str, int]:
    """A piece's id by piece: every Latin letter and digit is spelt, other signs partly."""
    pieces = [*SPECIALS, *OTHERS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS.split()]
    pieces += [f"##{sign}" for sign in "αβγбвгßøæıœłđ"]
    # The normaliser takes Korean syllables apart.
    signs = unicodedata.normalize("NFD", "가나다한국")
    pieces += [*signs, *(f"##{sign}" for sign in signs)]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


TEXT = (
    "The lunar module Eagle landed on the Sea of Tranquility on 20 July 1969. Armstrong was the "
    "first to step on the surface; Aldrin joined him 19 minutes later, and Collins flew the "
    "command module Columbia alone in lunar orbit. They spent 21.5 hours on the moon. "
)

# name, question, context, answer (the text and which of its occurrences) or None
WRITTEN = [
    ("plain", "Who was first on the surface?", TEXT, ("Armstrong", 0)),
    ("long context", "Who flew the command module?", TEXT * 4, ("Collins", 2)),
    ("long question", "Who, of all " + "the many who went to the moon, " * 9 + "?", TEXT * 2, None),
    ("empty question", "", TEXT, ("Eagle", 0)),
    ("question of spaces", "  \t ", TEXT, None),
    ("question of signs that vanish", "\u200b\u0000\u00ad", "the moon", ("moon", 0)),
    ("context without pieces", "where?", "\u200b\u0000\u0007 \u00ad", None),
    (
        "several spaces",
        "  how   many  ? ",
        "  in   July \t\t\n\n 1969  ,   19   hours  ",
        ("1969", 0),
    ),
    (
        "no-break and wide spaces",
        "a\u00a0b?",
        "July\u00a01969\u3000moon\u2009orbit\u2028sea",
        ("moon", 0),
    ),
    (
        "accents composed",
        "où était Käthe?",
        "Käthe était à la crémerie — naïve, São Tomé.",
        ("crémerie", 0),
    ),
    (
        "accents decomposed",
        "Ka\u0308the?",
        "Ka\u0308the e\u0301tait a\u0300 la cre\u0301merie; u\u0304\u0308ber \u0301 \u0301.",
        ("cre\u0301merie", 0),
    ),
    ("letters that lower-casing lengthens", "İ?", "İstanbul İİI İİİ moon ŞŞ", ("moon", 0)),
    ("ligatures and sharp s", "ﬁ ß?", "ﬁne ﬂow Straße STRASSE ẞ ĳ Ǆ moon", ("Straße", 0)),
    ("Chinese and Japanese", "東京?", "東京大学の月面着陸、1969年7月20日。東京。", ("1969", 0)),
    # `run_qa.py` would begin this answer with the last of the pieces of its first syllable.
    ("Korean", "한?", "한국 가나다 나다 갂갃 한국", None),
    ("Greek and Cyrillic", "αβγ?", "ΑΒΓΔ αβγδ άέή АБВ абвгд ёЙ", ("αβγδ", 0)),
    ("Arabic, Hebrew, Hindi, Thai", "שלום", "السَّلامُ עֲלֵיכֶם नमस्ते สวัสดี moon", ("moon", 0)),
    ("emoji", "🚀?", "🚀 to the 🌕: 👩‍🚀👨🏽‍🚀 🇩🇪 moon 🏳️‍🌈", ("moon", 0)),
    ("letters outside the basic plane", "𝕬?", "𝕬𝖕𝖔𝖑𝖑𝖔 𐍈 𠮷野 moon 𝟙𝟡", ("moon", 0)),
    (
        "control characters",
        "a\u0007b?",
        "mo\u0000on lu\u200dnar\u0085orbit\u001csea \ufeffland\ufffding",
        ("sea", 0),
    ),
    (
        "special tokens in the text",
        "[CLS] who [SEP]?",
        "the [SEP] moon [MASK][CLS] [sep] [UNK] sea",
        ("moon", 0),
    ),
    ("an unknown sign", "☃?", "moon ☃ sea☃land ♜", ("☃", 0)),
    (
        "a word too long for the model",
        "x?",
        "moon " + "x" * 101 + " " + "y" * 100 + " sea",
        ("x" * 101, 0),
    ),
    (
        "punctuation",
        "who's?",
        "It's 'lunar'; (1969) \"Sea-of-Tranquility\" $1,940.11 50%–60%…",
        ("1,940.11", 0),
    ),
    ("an answer inside a word", "how many?", "in1969launched 21hours", ("1969", 0)),
    ("an answer of one sign", "how much?", "it was $5 or 5% in July.", ("%", 0)),
    ("a context of one piece", "who?", "moon", ("moon", 0)),
]

# Logits are whole multiples of 1 / UNIT, which 32 bits hold exactly.
UNIT = 65536

# max_length, stride, max_query_length
SIZES = [(384, 128, 64), (40, 12, 16), (24, 5, 6)]

ALPHABET = (
    list("abcmno the 19 ") * 3
    + list(
        "\u0301\u0308éÉßİıﬁ東京한나가αΓ🚀👩\u200d🌕☃"
        "\u0000\u0007\u200b\u00ad\u00a0\u3000\t\n\r  .,-'[]"
    )
    + ["[SEP]", "[CLS]", "moon", "landing", "Apollo ", "tranquility"]
)


def random_text(rng: random.Random, longest: int) -> str:
    """Signs of the alphabet in any order."""
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(longest)))


def encoded(tokenizer: BertTokenizer, case: dict) -> tuple[list, bool]:
    """The windows as the tokenizer makes them, and whether the question was cut.

    The tokenizer has no limit for the question alone, so one that is too long is given cut: as the
    text up to its last piece, which gives the same pieces (checked).
    """
    question = case["question"]
    whole = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)
    limit = case["max_query_length"]
    if len(whole["input_ids"]) > limit:
        question = question[: whole["offset_mapping"][limit - 1][1]]
        cut = tokenizer(question, add_special_tokens=False)["input_ids"]
        assert cut == whole["input_ids"][:limit], case["name"]
    encodings = tokenizer(
        question,
        case["context"],
        truncation="only_second",
        max_length=case["max_length"],
        stride=case["stride"],
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    ).encodings
    return encodings, len(whole["input_ids"]) > limit


def span(offsets: list, first: int, last: int, start: int, end: int) -> list[int]:
    """Positions of the answer at characters `start` to `end`, as `run_qa.py` finds them.

    `first` and `last` are the positions of the context's first and last piece.
    """
    if last < first or not (offsets[first][0] <= start and offsets[last][1] >= end):
        return [0, 0]
    start_position, end_position = first, last
    while start_position <= last and offsets[start_position][0] <= start:
        start_position += 1
    while end_position >= first and offsets[end_position][1] >= end:
        end_position -= 1
    return [start_position - 1, end_position + 1]


def max_context(windows: list[tuple[int, int]], index: int, piece: int) -> bool:
    """Whether window `index` of (first piece, length) gives the piece the most context."""
    best, best_score = None, None
    for i, (first, length) in enumerate(windows):
        last = first + length - 1
        if first <= piece <= last:
            score = min(piece - first, last - piece) + 0.01 * length
            if best_score is None or score > best_score:
                best, best_score = i, score
    return best == index


def windows_of(tokenizer: BertTokenizer, case: dict, answer: tuple[str, int] | None) -> list[dict]:
    """The golden of a case; sets the case's `answer` and `truncated` too."""
    encodings, case["truncated"] = encoded(tokenizer, case)
    start = end = None
    case["answer"] = None
    if answer is not None:
        text, occurrence = answer
        start = -1
        for _ in range(occurrence + 1):
            start = case["context"].index(text, start + 1)
        end = start + len(text)
        case["answer"] = {"text": text, "start": start}
    windows, stretches, first_piece = [], [], 0
    for encoding in encodings:
        in_context = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
        # A window without pieces stands between the two closing separators.
        first = in_context[0] if in_context else len(encoding.ids) - 1
        last = first + len(in_context) - 1
        stretches.append((first_piece, len(in_context)))
        first_piece += len(in_context) - case["stride"]
        windows.append(
            {
                "input_ids": encoding.ids,
                "second_segment": encoding.type_ids.index(1),
                "context_start": first,
                "offsets": [encoding.offsets[i] for i in in_context],
                "span": None if answer is None else span(encoding.offsets, first, last, start, end),
            }
        )
    for index, (window, (first, length)) in enumerate(zip(windows, stretches, strict=True)):
        window["max_context"] = [
            int(max_context(stretches, index, piece)) for piece in range(first, first + length)
        ]
    return windows


def best_answers(case: dict, logits: list, sizes: dict) -> dict:
    """The n best answers over a case's windows; `logits` has start and end of each position."""
    spans, null = [], None
    for window, rows in zip(case["windows"], logits, strict=True):
        score = rows[0][0] + rows[0][1]
        if null is None or score < null[0]:
            null = (score, "", *rows[0])
        pieces = len(window["offsets"])
        for start in range(pieces):
            if not window["max_context"][start]:
                continue
            for end in range(start, min(start + sizes["max_answer_length"], pieces)):
                from_, to = window["offsets"][start][0], window["offsets"][end][1]
                first = rows[window["context_start"] + start][0]
                last = rows[window["context_start"] + end][1]
                spans.append((first + last, case["context"][from_:to], first, last))
    spans.sort(key=lambda span: -span[0])
    n_best, texts = [], set()
    for span in spans:
        if len(n_best) < sizes["n_best_size"] and span[1] not in texts:
            texts.add(span[1])
            n_best.append(span)
    answer, null_odds = n_best[0][1], None
    if sizes["version_2_with_negative"]:
        null_odds = null[0] - n_best[0][0]
        answer = "" if null_odds > sizes["null_threshold"] else answer
        n_best.append(null)
        n_best.sort(key=lambda span: -span[0])
    weights = [math.exp(span[0] - n_best[0][0]) for span in n_best]
    n_best = [
        {"text": text, "probability": weight / sum(weights), "start_logit": start, "end_logit": end}
        for weight, (_, text, start, end) in zip(weights, n_best, strict=True)
    ]
    return {"text": answer, "null_odds": null_odds, "n_best": n_best}


def predictions(cases: list[dict], rng: random.Random) -> list[dict]:
    """Random logits for every case of the smaller windows that has pieces."""
    rows = []
    for index, case in enumerate(cases):
        if case["max_length"] != 24 or not case["windows"][0]["offsets"]:
            continue
        logits = [
            [
                [round(rng.gauss(0, 3) * UNIT), round(rng.gauss(0, 3) * UNIT)]
                for _ in window["input_ids"]
            ]
            for window in case["windows"]
        ]
        sizes = {
            "max_answer_length": rng.choice([1, 3, 30]),
            "n_best_size": rng.choice([1, 5, 20]),
            "version_2_with_negative": rng.random() < 0.5,
            "null_threshold": rng.choice([-6.0, 0.0]),
        }
        scaled = [[[start / UNIT, end / UNIT] for start, end in window] for window in logits]
        rows.append({"case": index, **sizes, "logits": logits, **best_answers(case, scaled, sizes)})
    return rows


def write(name: str, cases: list[dict]) -> None:
    """Writes a golden, a case a line."""
    libraries = " ".join(f"{name}-{version(name)}" for name in ("transformers", "tokenizers"))
    made_by = json.dumps(f"{Path(__file__).name} {libraries}")
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path = HERE / name
    path.write_text(f'{{\n"made_by": {made_by},\n"cases": [\n{body}\n]\n}}\n', encoding="ascii")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size:,} bytes")


def main() -> None:
    """Writes the files."""
    tokenizer = BertTokenizer(vocab=vocabulary())
    (HERE / "question_tokenizer.json").write_text(
        tokenizer.backend_tokenizer.to_str() + "\n", encoding="utf-8"
    )
    rng = random.Random(SEED)
    cases = []
    for max_length, stride, max_query_length in SIZES:
        sizes = {
            "max_length": max_length,
            "stride": stride,
            "max_query_length": max_query_length,
        }
        for name, question, context, answer in WRITTEN:
            case = {"name": name, "question": question, "context": context, **sizes}
            cases.append((case, answer))
        for number in range(12):
            context = random_text(rng, 200) + "moon"
            # A question with Korean signs cannot always be given cut, see `encoded`.
            question = "".join(sign for sign in random_text(rng, 20) if sign not in "한나가")
            case = {"name": f"random {number}", "question": question, "context": context, **sizes}
            cases.append((case, ("moon", 0)))
    for stride in (0, 1, 7, 8):
        # Around the room for the context: 16 pieces less 3 special tokens and 4 of the question.
        for pieces in range(7, 17):
            case = {
                "name": f"{pieces} pieces for a room of 9, stride {stride}",
                "question": "who was it?",
                "context": " ".join(["moon", "sea", "orbit"][i % 3] for i in range(pieces)),
                "max_length": 16,
                "stride": stride,
                "max_query_length": 4,
            }
            cases.append((case, ("orbit", pieces // 8)))
    for case, answer in cases:
        case["windows"] = windows_of(tokenizer, case, answer)
    cases = [case for case, _ in cases]
    write("question_windows.json", cases)
    write("question_predictions.json", predictions(cases, rng))


if __name__ == "__main__":
    main()
