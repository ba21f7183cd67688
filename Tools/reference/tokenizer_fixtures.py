"""Makes Tests/TextTests/Fixtures: what `tokenizers`, `sentencepiece` and `transformers` do with small tokenizers of every
kind that the library reads, each trained here.

    python Tools/reference/tokenizer_fixtures.py                    everything
    python Tools/reference/tokenizer_fixtures.py --compare FILE     where a block differs that a test has left in FILE
    python Tools/reference/tokenizer_fixtures.py --speed FILE       encodes FILE with each, in MB per second of one core

Needs tokenizers 0.22.2, sentencepiece 0.2.3, transformers 4.57.1, protobuf and jinja2. `trained_here.json` in the same folder
is written by the Swift tests (VITRAIL_WRITE_FIXTURES=1 swift test -c release --filter TextTests, then run this script
again); everything else is written here, tokenizers only where they are missing.

`corpus.json` holds words, signs and ranges of characters from which this script and the tests make the same 20,000
strings (`corpus` below, Corpus.swift there). Of what a tokenizer makes of them only a hash for each block of 200 is stored.
"""

import argparse
import contextlib
import io
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

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


# The corpus of 20,000 strings, made alike in Corpus.swift.

COUNT, BLOCK, NOISE = 20_000, 200, 4_000
MASK = (1 << 64) - 1

SPECIAL = ["<s>", "</s>", "<unk>", "<pad>", "<image>", "[LOC]", "<mask>", "<|begin_of_text|>", "<|end_of_text|>",
           "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|im_start|>", "<|im_end|>", "<|startoftext|>",
           "<|endoftext|>", "<|STARTOFTEXT|>", "red circle", "Please find", "How many", "<0x41>", "<0xE2>", "\u2581",
           "</w>", "\u0120"]
CLUSTERS = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1eb\U0001f1f7",
            "\U0001f44d\U0001f3fd", "\u2764\ufe0f\u200d\U0001f525",
            "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u2615\ufe0f", "e\u0301",
            "\u00e9", "A\u030a", "\u212b", "\ufb01", "\u1e9b\u0323", "q\u0307\u0323", "\uac00", "\u1100\u1161\u11a8",
            "\u0958", "\u0f73", "\U0001d15e", "\u0130", "\u01c5", "\u03a3", "\u1e9e", "'\u017f", "'S", "'Re", "'LL",
            "\u2126", "\uff21", "\u3392", "\u00bd"]
ASCII = list("'sSret lLvVmMdD1234567890 !?.,\n\r\t_-()<>|/\\\"$#@")
# [first, count] of characters; unassigned ones are among them.
BLOCKS = [[0x20, 0x5f], [0xa0, 0x160], [0x250, 0x120], [0x370, 0x190], [0x530, 0x60], [0x590, 0x70], [0x600, 0x100],
          [0x900, 0x80], [0xe00, 0x80], [0xf00, 0x100], [0x10a0, 0x60], [0x1100, 0x100], [0x1e00, 0x200],
          [0x2000, 0x70], [0x2150, 0x240], [0x3000, 0x100], [0x4e00, 0x5200], [0xac00, 0x2ba4], [0xfb00, 0x500],
          [0xff00, 0x100], [0x10000, 0x2000], [0x1d100, 0x700], [0x1f300, 0x700], [0x20000, 0x800], [0x2f800, 0x220]]


def rng(seed: int):
    """SplitMix64: a function that gives a number below its argument."""
    state = seed

    def below(limit: int) -> int:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit

    return below


def corpus() -> list[str]:
    words = [w for s in SENTENCES for w in s.split(" ") if w]
    result = []
    for index in range(COUNT):
        below = rng(index)
        text = ""
        for _ in range(1 + below(8)):
            kind = below(100)
            if kind < 40: text += words[below(len(words))]
            elif kind < 52: text += SPECIAL[below(len(SPECIAL))]
            elif kind < 57: text += CONTROLS[below(len(CONTROLS))]
            elif kind < 66:
                for _ in range(1 + below(4)): text += SPACES[below(len(SPACES))]
            elif kind < 80:
                for _ in range(1 + below(5)):
                    first, count = BLOCKS[below(len(BLOCKS))]
                    text += chr(first + below(count))
            elif kind < 92:
                for _ in range(1 + below(8)): text += ASCII[below(len(ASCII))]
            else:
                for _ in range(1 + below(3)): text += CLUSTERS[below(len(CLUSTERS))]
            if below(100) < 55: text += SPACES[below(len(SPACES))]
        result.append(text)
    return result


def noise(size: int) -> list[list[int]]:
    """Random ids, which make up bytes that are no UTF-8, too."""
    result = []
    for index in range(NOISE):
        below = rng(COUNT + index)
        result.append([below(size) for _ in range(1 + below(12))])
    return result


def digest(values) -> str:
    """FNV-1a over a block of ids or bytes, each list ended by 2^32 - 1, folded to 32 bits."""
    h = 0xCBF29CE484222325
    for value in values:
        for v in value: h = ((h ^ v) * 0x100000001B3) & MASK
        h = ((h ^ 0xFFFFFFFF) * 0x100000001B3) & MASK
    return f"{(h >> 32) ^ (h & 0xFFFFFFFF):08x}"


class Reference:
    """What one tokenizer does, by whichever package is the measure for it."""

    def __init__(self, size, encode, decode, special=frozenset()):
        self.size, self.encode, self.decode, self.special = size, encode, decode, special

    @staticmethod
    def tokenizers(tokenizer: Tokenizer) -> "Reference":
        return Reference(
            tokenizer.get_vocab_size(), lambda t, add: tokenizer.encode(t, add_special_tokens=add).ids,
            lambda ids, skip: tokenizer.decode(ids, skip_special_tokens=skip))

    @staticmethod
    def sentencepiece(path: Path) -> "Reference":
        sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return Reference(sp.get_piece_size(), lambda t, add: sp.encode(t), lambda ids, skip: sp.decode(ids))

    @staticmethod
    def slow_llama(folder: Path) -> "Reference":
        """Ids are transformers' LlamaTokenizer's; text is sentencepiece's, of the ids that are no added tokens."""
        slow = transformers.LlamaTokenizer.from_pretrained(folder)
        sp = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        added = set(slow.added_tokens_decoder)
        return Reference(
            max(len(slow), max(added) + 1), lambda t, add: slow(t, add_special_tokens=add).input_ids,
            lambda ids, skip: sp.decode([i for i in ids if i not in added]) if skip else None)


KINDS = ["ids", "whole", "text", "plain", "noiseText", "noisePlain"]


def outcomes(reference: Reference, texts: list[str], ids: list[list[int]]) -> dict[str, list]:
    """Of each string the ids, those with special tokens around them, and the text of the latter with special tokens and
    without; of each list of random ids the two texts."""
    made = [reference.encode(t, True) for t in texts]

    def decoded(lists, skip):
        texts = [reference.decode(i, skip) for i in lists]
        return None if None in texts else [t.encode() for t in texts]

    return {
        "ids": [reference.encode(t, False) for t in texts], "whole": made, "text": decoded(made, False),
        "plain": decoded(made, True), "noiseText": decoded(ids, False), "noisePlain": decoded(ids, True)}


def digests(reference: Reference, texts: list[str]) -> dict:
    ids = noise(reference.size)
    made = outcomes(reference, texts, ids)
    result = {"vocabularySize": reference.size}
    for kind in KINDS:
        values = made[kind]
        result[kind] = None if values is None else "".join(
            digest(values[i:i + BLOCK]) for i in range(0, len(values), BLOCK))
    # A few to read.
    result["sample"] = [{"text": t, "ids": i} for t, i in zip(texts[:400:57], made["whole"][:400:57])]
    return result


# The tokenizers.

def byte_level(pre_tokenizer, added: list[str], size: int, **model) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens([AddedToken(a, special=True, normalized=False) for a in added])
    return tokenizer


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CLIP = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def llama3() -> Tokenizer:
    tokenizer = byte_level(
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>"],
        600, ignore_merges=True)
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                                      special_tokens=[("<|begin_of_text|>", begin)])])
    return tokenizer


def qwen2() -> Tokenizer:
    tokenizer = byte_level(
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], 500)
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def clip(folder: Path) -> Tokenizer:
    """CLIP's vocabulary has every byte, every byte at a word's end, what the merges make, and two special tokens."""
    folder.mkdir(exist_ok=True)
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    trained.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(CLIP), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trained.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=800, show_progress=False, end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    merges = [tuple(m) for m in json.loads(trained.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [a + "</w>" for a in alphabet]
    tokens += [m for m in dict.fromkeys(a + b for a, b in merges) if m not in set(tokens)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(
        json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return transformers.CLIPTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt")).backend_tokenizer


def with_characters(size: int, added: list[AddedToken], **model) -> Tokenizer:
    """A BPE of characters, with a token for each byte when it falls back to them."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **model))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    bytes_ = [f"<0x{b:02X}>" for b in range(256)] if model.get("byte_fallback") else []
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, limit_alphabet=200,
        **{k: model[k] for k in model if k == "end_of_word_suffix"}))
    if bytes_:
        # The trainer makes special tokens of them; they are to be found by falling back alone.
        content = json.loads(tokenizer.to_str())
        content["added_tokens"] = [t for t in content["added_tokens"] if not t["content"].startswith("<0x")]
        tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_tokens(added)
    return tokenizer


def metaspace() -> Tokenizer:
    tokenizer = with_characters(450, [
        AddedToken("Red Circle", normalized=True), AddedToken("<IMAGE>", normalized=True, special=True),
        AddedToken("how many", normalized=True, single_word=True, rstrip=True)], fuse_unk=True)
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Replace("``", '"')])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def first() -> Tokenizer:
    tokenizer = with_characters(700, [AddedToken("<image>", special=True, lstrip=True, rstrip=True)], byte_fallback=True)
    tokenizer.normalizer = normalizers.NFD()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> <s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def suffixed() -> Tokenizer:
    tokenizer = with_characters(450, [AddedToken("<mask>", special=True)], end_of_word_suffix="</w>")
    tokenizer.normalizer = normalizers.NFKD()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(CLIP), "removed", invert=True)
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


def train_sentencepiece(path: Path, **options) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        text.write_text("\n".join(s.replace("\n", " ").replace("\r", " ") for s in SENTENCES * 3))
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
            sentencepiece.SentencePieceTrainer.train(
                input=str(text), model_prefix=f"{folder}/m", model_type="bpe", minloglevel=2, **options)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((Path(folder) / "m.model").read_bytes())


def llama_models() -> None:
    """Llama's options, and a model with its own rules for characters."""
    vicuna = FIXTURES / "vicuna"
    train_sentencepiece(
        vicuna / "tokenizer.model", vocab_size=700, character_coverage=0.98, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    (vicuna / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "add_eos_token": False, "bos_token": {"__type": "AddedToken", "content": "<s>",
        "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}, "eos_token": "</s>",
        "legacy": False, "model_max_length": 2048, "pad_token": None, "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>"}, indent=1) + "\n")
    (vicuna / "special_tokens_map.json").write_text(json.dumps({
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}, indent=1) + "\n")
    legacy = FIXTURES / "vicuna_legacy"
    legacy.mkdir(exist_ok=True)
    (legacy / "tokenizer.model").write_bytes((vicuna / "tokenizer.model").read_bytes())
    (legacy / "added_tokens.json").write_text(json.dumps({"<pad>": 700, "<image>": 701}) + "\n")
    (legacy / "special_tokens_map.json").write_text(json.dumps({
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
        "additional_special_tokens": ["<image>", "[LOC]"]}, indent=1) + "\n")
    (legacy / "tokenizer_config.json").write_text(json.dumps({"add_eos_token": True}) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rows = [("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("\n", " "), ("\u2026", "..."), ("\ufb01", "fi"),
                ("e\u0301", "\u00e9"), ("\u200b", ""), ("A", "a"), ("B", "b"), ("\U0001f600", ":)")]
        rules.write_text("".join(
            " ".join(f"{ord(c):04X}" for c in a) + "\t" + " ".join(f"{ord(c):04X}" for c in b) + "\n" for a, b in rows))
        train_sentencepiece(
            FIXTURES / "rules.model", vocab_size=600, character_coverage=0.98, normalization_rule_tsv=str(rules),
            user_defined_symbols=["<mask>", "red circle", "\u2581How", "cat"], control_symbols=["<image>"])


def files() -> dict[str, Reference]:
    """The committed tokenizers and what measures them."""
    result = {n: Reference.tokenizers(Tokenizer.from_file(str(FIXTURES / f"{n}.json"))) for n in [
        "plain", "prefixed", "trained_here", "llama3", "qwen2", "clip", "llama", "llama_legacy", "metaspace", "first",
        "suffixed"]}
    result["clip/"] = result["clip"]
    result["vicuna/tokenizer.model"] = Reference.sentencepiece(FIXTURES / "vicuna/tokenizer.model")
    result["rules.model"] = Reference.sentencepiece(FIXTURES / "rules.model")
    for folder in ["vicuna/", "vicuna_legacy/"]: result[folder] = Reference.slow_llama(FIXTURES / folder)
    return result


def write_tokenizers() -> None:
    """What is there is left as it is, for training breaks ties by chance: delete a file to have it made again."""

    def save(name: str, tokenizer) -> None:
        path = FIXTURES / f"{name}.json"
        if not path.exists(): tokenizer().save(str(path), pretty=False)

    def llama(legacy: bool) -> Tokenizer:
        fast = transformers.LlamaTokenizerFast(
            vocab_file=str(FIXTURES / "vicuna/tokenizer.model"), legacy=legacy, from_slow=True)
        fast.add_special_tokens({"additional_special_tokens": ["<image>"], "pad_token": "<pad>"})
        return fast.backend_tokenizer

    for name, tokenizer in [
        ("llama3", llama3), ("qwen2", qwen2), ("clip", lambda: clip(FIXTURES / "clip")), ("metaspace", metaspace),
        ("first", first), ("suffixed", suffixed),
    ]: save(name, tokenizer)
    if not (FIXTURES / "vicuna").exists(): llama_models()
    save("llama", lambda: llama(False))
    save("llama_legacy", lambda: llama(True))


# Chat templates: the texts that Hugging Face folders have, and conversations as transformers renders them.

JINJA = {
    # llava-hf/llava-1.5-7b-hf
    "llava_hf": "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}"
    "{% endif %}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image')"
    " %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in "
    "message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}{% for "
    "content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}"
    "{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
    "vicuna": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = "
    "messages[0]['content'].strip() %}{% else %}{% set loop_messages = messages %}{% set system_message = 'A chat between a "
    "curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to "
    "the user\\'s questions.' %}{% endif %}{% for message in loop_messages %}{% if loop.index0 == 0 %}{{ system_message }}"
    "{% endif %}{% if message['role'] == 'user' %}{{ ' USER: ' + message['content'].strip() }}{% elif message['role'] == "
    "'assistant' %}{{ ' ASSISTANT: ' + message['content'].strip() + eos_token }}{% endif %}{% endfor %}{% if "
    "add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}",
    # meta-llama/Llama-2-7b-chat-hf
    "llama_2_hf": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = "
    "messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for "
    "message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and "
    "system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' "
    "+ content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token "
    "}}{% endif %}{% endfor %}",
    # meta-llama/Meta-Llama-3-8B-Instruct
    "llama_3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set "
    "content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
}
TURNS = [("system", "Be brief."), ("user", "<image>\nWhat is this? "), ("assistant", "A cat."), ("user", "Where?"),
         ("assistant", "On a mat."), ("user", "Why?")]


def templates() -> list[dict]:
    tokenizer = transformers.LlamaTokenizerFast(tokenizer_file=str(FIXTURES / "llama.json"))
    result = []
    for name, jinja in JINJA.items():
        if name == "llama_3": tokenizer.bos_token, tokenizer.eos_token = "<|begin_of_text|>", "<|eot_id|>"
        for turns in [TURNS[1:2], TURNS[:2], TURNS[1:4], TURNS]:
            if name == "llava_hf":
                messages = [{"role": r, "content": ([{"type": "image"}] if t.startswith("<image>") else [])
                             + [{"type": "text", "text": t.removeprefix("<image>\n")}]} for r, t in turns]
            else:
                messages = [{"role": r, "content": t} for r, t in turns]
            prompt = tokenizer.apply_chat_template(
                messages, chat_template=jinja, tokenize=False, add_generation_prompt=True)
            result.append({"name": name, "jinja": jinja, "messages": [list(t) for t in turns], "prompt": prompt})
    return result


def compare(path: str) -> None:
    """Where a block differs from the reference: the file holds what Swift made of it."""
    found = json.loads(Path(path).read_text())
    reference = files()[found["name"]]
    start = found["block"] * BLOCK
    texts, ids = corpus()[start:start + BLOCK], noise(reference.size)[start:start + BLOCK]
    for kind, expected in outcomes(reference, texts, ids).items():
        if expected is None: continue
        sources = ids if kind.startswith("noise") else texts
        for source, value, other in zip(sources, expected, found[kind]):
            value = value.decode() if isinstance(value, bytes) else value
            if value != other: print(f"{kind} of {source!r}\n   expected {value!r}\n   is       {other!r}")


def speed(path: str) -> None:
    """MB of a file encoded in a second of one core, the best of three."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    text = Path(path).read_text()
    for name, reference in files().items():
        best = min(timed(lambda: reference.encode(text, False)) for _ in range(3))
        print(f"{name:24} {len(text.encode()) / 1e6 / best:7.2f} MB/s", flush=True)


def timed(body) -> float:
    start = time.process_time()
    body()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--compare")
    parser.add_argument("--speed")
    arguments = parser.parse_args()
    assert tokenizers.__version__ == "0.22.2", tokenizers.__version__
    assert sentencepiece.__version__ == "0.2.3", sentencepiece.__version__
    assert transformers.__version__ == "4.57.1", transformers.__version__
    if arguments.compare: return compare(arguments.compare)
    if arguments.speed: return speed(arguments.speed)
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
        sys.exit("trained_here.json is missing: see the top of this script")
    write_tokenizers()
    save("corpus.json", {
        "words": [w for s in SENTENCES for w in s.split(" ") if w], "special": SPECIAL, "controls": CONTROLS,
        "spaces": SPACES, "blocks": BLOCKS, "ascii": ASCII, "clusters": CLUSTERS})
    save("templates.json", templates())
    strings = corpus()
    save("digests.json", {name: digests(reference, strings) for name, reference in files().items()})


if __name__ == "__main__":
    main()
