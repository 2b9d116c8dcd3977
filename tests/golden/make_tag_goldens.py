"""Makes the goldens of texts, pairs, tagged sentences and choices from Hugging Face's tokenizer.

    python make_tag_goldens.py

writes beside this file (needs transformers):

- `uncased_tokenizer.json`, `cased_tokenizer.json`: what `python_export` exports for two small
  vocabularies
- `text_ids.json`: awkward texts and pairs, and for each the ids and segments of
  `BertTokenizer(text, text_pair, truncation=True, max_length=…)`
- `word_ids.json`: sentences cut into words, and for each the ids and word ids of
  `BertTokenizer(words, is_split_into_words=True)`
- `choice_ids.json`: contexts with endings, and the ids of the pairs that `run_swag.py` of
  transformers makes of them

The reference reads the vocabularies by itself and not through the exported tokenizers. A text is
written as a unit and how often it is repeated. Inputs are written here or random with a fixed
seed, so that the same versions make the same bytes.
"""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import json
import random
import sys
from importlib.metadata import version
from pathlib import Path

from transformers import BertTokenizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from python_export import tiny  # noqa: E402
from python_export.tokenizer import tokenizer_json  # noqa: E402

SEED = 20240613
SIGNS = "東京大学の가나한αβγбвгßøæıłđ–…“”’€½²①ﬁＡ😀👍"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ACCENTED = "éèñüÉÜİåç"


def vocabularies() -> dict[str, list[str]]:
    """The vocabulary of each tokenizer, in the order of its ids."""
    signs = [*SIGNS, *(f"##{sign}" for sign in "αβγбвгßøæıłđ나")]
    cased = [*CAPITALS, *(f"##{letter}" for letter in CAPITALS), *ACCENTED]
    cased += [f"##{letter}" for letter in ACCENTED]
    small = tiny.vocabulary()
    return {"uncased": [*small, *signs], "cased": [*small, *signs, *cased]}


# name, text, text_pair or None; a text is a string or (unit, times)
TEXTS = [
    ("plain", "The film was a wonderful surprise, and funnier than it had to be.", None),
    ("empty", "", None),
    ("white space alone", " \t\n\u00a0\u3000 ", None),
    ("accents, composed", "Élodie était à Zürich; señor Åse çà", None),
    ("accents, decomposed", "E\u0301lodie e\u0301tait a\u0300 Zu\u0308rich", None),
    ("case that changes length", "İstanbul ISPARTA ıI ŒUVRE Straße STRASSE ẞ Ǆ ŉ", None),
    ("CJK", "東京大学の学生 is 大きい\uff0cand 漢字\U00020000\U0002f800 too", None),
    ("Hangul", "가나다 한국어 \u1112\u1161\u11ab", None),
    ("other scripts", "Αθήνα Москва שלום مرحبا ไทย हिन्दी", None),
    ("emoji", "😀👍 👨‍👩‍👧 good 👍🏽! ❤️ 🇳🇴", None),
    ("control characters", "a\x00b\x01c\x7f d\u0085e\ufffdf\u200bg\u200dh\u00adi\ufeffj", None),
    ("control characters alone", "\x00\x01\x02\u200b\ufeff", None),
    ("line ends", "one\r\ntwo\rthree\n\nfour\x0bfive\x0csix\u2028seven", None),
    ("punctuation", 'wait... what?!--(no), "it\'s" [so] <x> $5.00 @me #1 50% _a_ ~/b\\c', None),
    ("signs of other blocks", "“quoted” – dash… ‘so’ € ½ x² ① ﬁlm ＡＢ ™ № ´ ¨ ・ ﹐ ⁇ ¿¡", None),
    ("special tokens in the text", "[CLS] a [SEP] b [MASK] [UNK] [PAD] [sep] [ SEP ]", None),
    ("continuation in the text", "##ing ## # ing ##", None),
    ("a word of 100 characters", ("a", 100), None),
    ("a word of 101 characters", ("a", 101), None),
    ("10,000 characters of words", ("the long river ran. ", 500), None),
    ("10,000 characters without a space", ("ab", 5000), None),
    ("10,000 signs without a space", ("東", 10000), None),
    ("private use and unassigned", "a\ue000b\U000f0000c\u0378d\uffffe", None),
    ("combining marks alone", "\u0301\u0308 \u20dd a\u0301\u0301\u0301", None),
    ("right to left marks", "\u202eabc\u202c \u200fdef\u061c", None),
    ("pair", "Did it rain?", "The street was wet in the morning."),
    ("pair of empty texts", "", ""),
    ("pair with an empty first", "", "something"),
    ("pair with an empty second", "something", ""),
    ("pair of odd characters", "Élodie\x00 東京", "👍\u200b Zu\u0308rich [SEP]"),
    ("long first", ("so it goes on ", 40), "and it ends"),
    ("long second", "and it ends", ("so it goes on ", 40)),
    ("both long, equal", ("so it goes on ", 40), ("and on and on ", 40)),
    ("both long, first longer", ("so it goes on ", 60), ("and on and on ", 40)),
    ("both long, second longer", ("so it goes on ", 40), ("and on and on ", 60)),
    ("long first and empty second", ("so it goes on ", 40), ""),
    ("10,000 characters each", ("so it goes ", 909), ("and on ", 1429)),
]
LIMITS = (4, 5, 8, 9, 16, 33, 128)
RANDOM_CHARACTERS = (
    "abcdefghij ABÉÜé\u0301\u0308ñßİı東京のαБ가😀👍\u200b\u200d\x00\x01\t\n\u00a0\u00ad.,!?'-[]#"
)

WORDS = [
    ("plain", ["The", "river", "runs", "north", "of", "Oslo", "."]),
    ("no words", []),
    ("punctuation inside words", ["U.S.", "it's", "3-2", "(", "a/b", "...", "1,000.50", "'s"]),
    ("words without a piece", ["Ada", "\x00\x01", "\u00a0", "\u200b", "saw", "\u0301"]),
    ("only words without a piece", ["\u200b", "\ufeff"]),
    ("accents and CJK", ["Élodie", "Zu\u0308rich", "東京大学", "Straße", "👍🏽"]),
    ("special tokens as words", ["[CLS]", "[SEP]", "[PAD]", "##ing", "[", "MASK", "]"]),
    ("a word of 101 characters", ["b", "a" * 101, "c"]),
    ("a word with a space in it", ["New York", "is", "big"]),
]

CHOICES = [
    ("plain", "The cook opens the oven.", "She", ["takes the bread out.", "sings", "", "sleeps"]),
    ("no start", "The cook opens the oven.", "", ["She takes the bread.", "She sings."]),
    ("empty context", "", "She", ["sings", "sleeps"]),
    ("odd characters", "Élodie\x00 東京", "👍\u200b", ["Zu\u0308rich", "[SEP]"]),
    ("long context", "so it goes on " * 40, "and then", ["it ends", "it goes on " * 20]),
]


def write(name: str, content: dict) -> None:
    """Writes a golden, one case a line."""
    made_by = [f"{library}-{version(library)}" for library in ("transformers", "tokenizers")]
    lines = [f'"made_by": {json.dumps(" ".join([Path(__file__).name, *made_by]))}']
    for key, cases in content.items():
        rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        lines.append(f'"{key}": [\n{rows}\n]')
    path = HERE / name
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def whole(text: str | tuple[str, int]) -> str:
    """A text from its unit."""
    return text if isinstance(text, str) else text[0] * text[1]


def unit(text: str | tuple[str, int] | None) -> list | None:
    """A text as it stands in the golden."""
    return [text, 1] if isinstance(text, str) else text


def random_texts() -> list:
    """Short texts of odd characters, singles and pairs."""
    draw = random.Random(SEED)

    def text() -> str:
        return "".join(draw.choices(RANDOM_CHARACTERS, k=draw.randrange(40)))

    return [(f"random {i}", text(), text() if i % 2 else None) for i in range(60)]


def text_cases(tokenizers: dict[str, BertTokenizer]) -> list[dict]:
    """Every text with every tokenizer, and with every limit that cuts it."""
    cases = []
    for name, text, pair in TEXTS + random_texts():
        # In lists, as of one text the reference takes an empty pair for none.
        texts = [[whole(text)]] if pair is None else [[whole(text)], [whole(pair)]]
        for casing, tokenizer in tokenizers.items():
            full = len(tokenizer(*texts)["input_ids"][0])
            limits = [limit for limit in LIMITS if limit < full]
            if name.startswith("random") or full > 1000:
                # Of a long pair the reference makes an encoding for every two of the parts that it
                # cuts off: with a low limit these need gigabytes.
                limits = limits[-1:]
            for limit in [*limits, full] if full <= max(LIMITS) else limits:
                encoding = tokenizer(*texts, truncation=True, max_length=max(limit, 4))
                cases.append(
                    {
                        "name": name,
                        "tokenizer": casing,
                        "text": unit(text),
                        "text_pair": unit(pair),
                        "max_length": max(limit, 4),
                        "input_ids": encoding["input_ids"][0],
                        "second_segment": encoding["token_type_ids"][0].count(0),
                        "truncated": limit < full,
                    }
                )
    return cases


def word_cases(tokenizers: dict[str, BertTokenizer]) -> list[dict]:
    """Every sentence with every tokenizer."""
    cases = []
    for name, words in WORDS:
        for casing, tokenizer in tokenizers.items():
            encoding = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
            cases.append(
                {
                    "name": name,
                    "tokenizer": casing,
                    "words": words,
                    "input_ids": encoding["input_ids"],
                    "word_ids": encoding.word_ids(0),
                }
            )
    return cases


def choice_cases(tokenizers: dict[str, BertTokenizer]) -> list[dict]:
    """Every choice with the uncased tokenizer, cut and whole."""
    cases = []
    for name, context, start, endings in CHOICES:
        for limit in (8, 21, 128):
            encoding = tokenizers["uncased"](
                [context] * len(endings),
                [f"{start} {ending}" for ending in endings],
                truncation=True,
                max_length=limit,
            )
            cases.append(
                {
                    "name": name,
                    "context": context,
                    "start": start,
                    "endings": endings,
                    "max_length": limit,
                    "input_ids": encoding["input_ids"],
                    "second_segment": [kinds.count(0) for kinds in encoding["token_type_ids"]],
                }
            )
    return cases


def main() -> None:
    """Writes all goldens."""
    tokenizers = {}
    for casing, vocabulary in vocabularies().items():
        lowercase = casing == "uncased"
        path = HERE / f"{casing}_tokenizer.json"
        exported = json.loads(tokenizer_json(vocabulary, lowercase))
        path.write_text(json.dumps(exported) + "\n", encoding="ascii")
        print(f"{path.name}: {path.stat().st_size:,} bytes")
        ids = {piece: index for index, piece in enumerate(vocabulary)}
        tokenizers[casing] = BertTokenizer(vocab=ids, do_lower_case=lowercase)
    write("text_ids.json", {"cases": text_cases(tokenizers)})
    write("word_ids.json", {"cases": word_cases(tokenizers)})
    write("choice_ids.json", {"cases": choice_cases(tokenizers)})


if __name__ == "__main__":
    main()
