"""Makes Tests/TextTests/Fixtures: what Hugging Face's `tokenizers` does with byte-level BPE.

    python Tools/reference/tokenizer_fixtures.py

Needs tokenizers 0.22.2. `trained_here.json` in the same folder is written by the Swift tests
(VITRAIL_WRITE_FIXTURES=1 swift test -c release --filter TextTests, then run this script again);
everything else is written here.
"""

import json
import random
import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

FIXTURES = Path(__file__).resolve().parents[2] / "Tests/TextTests/Fixtures"

SENTENCES = """
Please find the location of the red circle. It's left of two blue stars, isn't it?
Where is the person's left ankle? They'll say we've got 12 of them; I'd say 3, you're sure, I'm not.
Segment every small green triangle in the picture, then count the yellow ones: 1, 22, 333, 4444.
How many objects are there? There are five: a square, a ring, a cross, a heart and a moon.
DON'T SHOUT, IT'S LOUD. we'RE 'sure' 'tis 'll 're ''s rock'n'roll
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë au delà des îles.
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Straße, Füße, Öl.
Съешь же ещё этих мягких французских булок, да выпей чаю. Где красный круг?
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Πού είναι ο κόκκινος κύκλος;
いろはにほへと ちりぬるを。赤い円はどこですか？カタカナも、漢字も。
我能吞下玻璃而不伤身体。红色的圆在哪里？一共有三个。
다람쥐 헌 쳇바퀴에 타고파. 빨간 원은 어디에 있나요?
نص حكيم له سر قاطع وذو شأن عظيم ١٢٣٤ أين الدائرة الحمراء؟
דג סקרן שט בים מאוכזב ולפתע מצא חברה. איפה העיגול האדום?
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले १२३
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓
ვეფხის ტყაოსანი შოთა რუსთაველი ღმერთსი შემვედრე
Տիեզերքի բոլոր արարածները ազատ են
ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ᛫ᚠᛁᚱᚪ᛫ᚷᛖᚻᚹᛦᛚᚳᚢᛗ ⅓ ½ Ⅷ ② ³ ꙮ
😀 👨‍👩‍👧‍👦 🇫🇷 👍🏽 ❤️‍🔥 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🧑🏿‍🚀 ☕️ 𝒳𝓎𝕫 𐍈𐎠 𠜎𠜱
e\u0301 \u00e9 A\u030a \u00c5 \u212b ﬁ ﬀ ｆｕｌｌ ％ ″ ‽ … — – « » „ “ ” ‚ ‘ ’s ’ll
def f(x):@n    return x**2 + 3*x  # comment@n@n@tif x != None:@r@n@t@tprint(f"{x:>10}")@r@n
https://example.org/a?b=c&d=%20e#f user@host.org C:\\dir\\file.txt <b>bold</b> &amp; [0.12, 0.98] {"k": -1.5e-3}
""".strip("\n").split("\n")
SENTENCES = [s.replace("@n", "\n").replace("@t", "\t").replace("@r", "\r") for s in SENTENCES]

SPACES = [" ", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085",
          "\u200b", "\ufeff", "\x0b", "\x0c", "\x1c", "\x1f", "\u180e", "\u1680", "\u205f"]
CONTROLS = ["\x00", "\x01", "\x07", "\x08", "\x1b", "\x7f", "\x80", "\x9f", "\xad", "\u200d", "\u202e", "\u2060",
            "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000"]

ADDED = [
    AddedToken("<s>", special=True), AddedToken("</s>", special=True),
    AddedToken("<image>", special=True, lstrip=True),
    AddedToken("[LOC]", special=True, lstrip=True, rstrip=True),
    AddedToken("<mask>", special=True, rstrip=True),
    AddedToken("<seg", special=True), AddedToken("<seg>", special=True), AddedToken("<segment>", special=True),
    AddedToken("[Frage é]", special=True, lstrip=True),
    AddedToken("Please find the location of", special=False, normalized=False),
    AddedToken("Please find", special=False, normalized=False),
    AddedToken("How many", special=False, normalized=True, single_word=True),
    AddedToken("red", special=False, normalized=False, single_word=True),
    AddedToken("cat", special=False, normalized=True),
    AddedToken("catalogue", special=False, normalized=True),
    AddedToken(" it", special=False, normalized=True, rstrip=True),
    AddedToken("<cat>", special=True, normalized=True),
    AddedToken("  two spaces", special=False, normalized=False, lstrip=True),
    AddedToken("é", special=False, normalized=False, single_word=True),
]


def texts(count: int) -> list[str]:
    rng = random.Random(7)
    result = ["", " ", "  ", "\n", "a", "'", "''", "'s", " 's", "' s", "a 's", "a  's", "\u00a0a", " \u00a0a", "é"]
    result += SENTENCES
    result += [t.content for t in ADDED] + [f" {t.content} " for t in ADDED] + [f"x{t.content}y" for t in ADDED]
    result += [a.content + b.content for a in ADDED[:12] for b in ADDED[:12]]
    words = [w for s in SENTENCES for w in s.split(" ")]
    assigned = [c for c in map(chr, range(0x110000)) if not 0xD800 <= ord(c) < 0xE000
                and unicodedata.category(c) not in ("Cn", "Co")]
    while len(result) < count:
        parts = []
        for _ in range(rng.randint(1, 6)):
            kind = rng.random()
            if kind < 0.45: parts.append(rng.choice(words))
            elif kind < 0.6: parts.append(rng.choice(ADDED).content)
            elif kind < 0.66: parts.append(rng.choice(CONTROLS))
            elif kind < 0.72: parts.append("".join(rng.choice(SPACES) for _ in range(rng.randint(1, 5))))
            elif kind < 0.8: parts.append("".join(rng.choice(assigned) for _ in range(rng.randint(1, 4))))
            elif kind < 0.9: parts.append("".join(rng.choice("'sSret lLvm1 !?.\n_é") for _ in range(rng.randint(1, 8))))
            else: parts.append(rng.choice(["", "the", "circle", "0", "²", "_", "e\u0301"]))
            parts.append(rng.choice(SPACES) if rng.random() < 0.6 else "")
        result.append("".join(parts))
    result.append("long" * 60 + " " * 200 + "é" * 90 + "the" * 70)
    return result


def train(vocabulary: int, prefix: bool, added: list[AddedToken]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=added[:2], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    for token in added[2:]:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    return tokenizer


def expect(tokenizer: Tokenizer, strings: list[str]) -> dict:
    rng = random.Random(11)
    ids = [tokenizer.encode(s).ids for s in strings]
    decoded = [tokenizer.decode(i, skip_special_tokens=False) for i in ids]
    size = tokenizer.get_vocab_size()
    noise = [[rng.randrange(size + 3) for _ in range(rng.randint(1, 10))] for _ in range(200)]
    special = [i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special]
    noise += [[rng.choice(special) if rng.random() < 0.3 else rng.randrange(size) for _ in range(8)]
              for _ in range(100)]
    return {
        "vocabularySize": size, "ids": ids,
        # null where the text comes back as it was
        "decoded": [None if d == s else d for d, s in zip(decoded, strings)],
        "noise": noise,
        "noiseDecoded": [tokenizer.decode(i, skip_special_tokens=False) for i in noise],
        "noiseWithoutSpecial": [tokenizer.decode(i, skip_special_tokens=True) for i in noise],
    }


def character_kinds() -> list[list]:
    """[first scalar, kind] where the kind (l, n, s, o) of GPT-2's pattern changes, for all of Unicode."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str

    def kind(scalar: str) -> str:
        if len(split("x" + scalar)) == 1: return "l"
        if len(split("1" + scalar)) == 1: return "n"
        return "o" if len(split("!" + scalar)) == 1 else "s"

    changes, last = [], ""
    for value in range(0x110000):
        if 0xD800 <= value < 0xE000: continue
        now = kind(chr(value))
        if now != last: changes.append([value, now])
        last = now
    return changes


def save(name: str, value) -> None:
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main() -> None:
    assert tokenizers.__version__ == "0.22.2", tokenizers.__version__
    FIXTURES.mkdir(parents=True, exist_ok=True)
    strings = texts(2000)
    save("texts.json", strings)
    for name, size, prefix in [("plain", 700, False), ("prefixed", 400, True)]:
        path = FIXTURES / f"{name}.json"
        train(size, prefix, ADDED).save(str(path), pretty=False)
        # Loaded again, for what the file says is what counts.
        some = strings if not prefix else strings[:450]
        save(f"{name}.expected.json", expect(Tokenizer.from_file(str(path)), some))
    save("character_kinds.json", character_kinds())
    trained_here = FIXTURES / "trained_here.json"
    if trained_here.exists():
        save("trained_here.expected.json", expect(Tokenizer.from_file(str(trained_here)), strings[:450]))
    else:
        print("trained_here.json is missing: see the top of this script", file=sys.stderr)


if __name__ == "__main__":
    main()
