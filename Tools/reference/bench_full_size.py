"""Python's side of `vitrail-bench full-size`: one measurement of a model's folder with transformers, as one line of JSON.

    pip install torch==2.11.0 transformers==4.57.1
    python Tools/reference/bench_full_size.py llava FOLDER --tokens 32 --question 50 --threads 2
    python Tools/reference/bench_full_size.py sam FOLDER --dtype bfloat16 --threads 2

Inputs are those of Sources/Benchmarks/FullSizeWork.swift. The model decodes with `forward` and its own cache, which is a
little faster than `generate`; attention is `sdpa`, transformers' fastest on a CPU.
"""

import argparse
import json
import time

import torch
from transformers import LlavaForConditionalGeneration, SamModel
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def milliseconds(start):
    return (time.perf_counter() - start) * 1000


def picture(side):
    return (torch.arange(3 * side * side).float() * 0.01).sin().view(1, 3, side, side)


def llava(arguments):
    start = time.perf_counter()
    model = LlavaForConditionalGeneration.from_pretrained(
        arguments.folder, dtype="auto", low_cpu_mem_usage=True, attn_implementation="sdpa").eval()
    result = {"open": milliseconds(start) / 1000, "read": [], "decode": []}
    config = model.config
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    asked = [300 + number * 7919 % (config.text_config.vocab_size - 400) for number in range(arguments.question)]
    ids = torch.tensor([[1] + [config.image_token_index] * (side // patch) ** 2 + asked])
    pixels = picture(side).to(model.dtype)
    for _ in range(3):
        start = time.perf_counter()
        out = model(input_ids=ids, pixel_values=pixels, use_cache=True, logits_to_keep=1)
        chosen = out.logits[:, -1].argmax(-1, keepdim=True)
        tokens = [chosen.item()]
        result["read"].append(milliseconds(start))
        start = time.perf_counter()
        for _ in range(arguments.tokens - 1):
            out = model(input_ids=chosen, past_key_values=out.past_key_values, use_cache=True)
            chosen = out.logits[:, -1].argmax(-1, keepdim=True)
            tokens.append(chosen.item())
        result["decode"].append(milliseconds(start) / (arguments.tokens - 1))
    return result | {"prompt": ids.shape[1], "tokens": tokens, "tokenBytes": 0}


def sam(arguments):
    start = time.perf_counter()
    model = SamModel.from_pretrained(arguments.folder, dtype=getattr(torch, arguments.dtype)).eval()
    result = {"open": milliseconds(start) / 1000, "read": []}
    pixels = picture(model.config.vision_config.image_size).to(model.dtype)
    for _ in range(3):
        start = time.perf_counter()
        model.get_image_embeddings(pixels)
        result["read"].append(milliseconds(start))
    return result | {"prompt": 0, "tokens": [], "tokenBytes": 0, "decode": []}


def memory():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return {name: int(fields[field].split()[0]) * 1024 for name, field in (("peak", "VmHWM"), ("own", "RssAnon"))}


parser = argparse.ArgumentParser()
parser.add_argument("kind", choices=["llava", "sam"])
parser.add_argument("folder")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--tokens", type=int, default=32)
parser.add_argument("--question", type=int, default=50)
parser.add_argument("--dtype", default="bfloat16")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
with torch.inference_mode():
    result = {"llava": llava, "sam": sam}[arguments.kind](arguments)
print(json.dumps(result | memory()))
