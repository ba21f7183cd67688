"""Opens the LoRA adapter of a LUMEN that `vitrail train` wrote with PyPI's `peft`, and compares what the language model
then gives with the base's weights to which scale * B A was added by hand.

    pip install torch==2.11.0 transformers==4.57.1 peft==0.21.2 safetensors
    vitrail synthesize --model llava-1.5-tiny --output llava
    vitrail train Training/lumen-tiny.json --model llava --output run
    python Tools/reference/check_adapter.py llava run/model/adapter
"""

import json
import pathlib
import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

base, adapter = sys.argv[1:]
warnings.simplefilter("error")


def opened():
    return LlavaForConditionalGeneration.from_pretrained(base, dtype=torch.float32).eval()


ids = torch.arange(5, 45).unsqueeze(0)
with torch.inference_mode():
    plain = opened()(input_ids=ids).logits
    adapted = PeftModel.from_pretrained(opened(), adapter).eval()(input_ids=ids).logits

    configuration = json.loads((pathlib.Path(adapter) / "adapter_config.json").read_text())
    scale = configuration["lora_alpha"] / configuration["r"]
    tensors = load_file(pathlib.Path(adapter) / "adapter_model.safetensors")
    model = opened()
    weights = dict(model.named_parameters())
    layers = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    for layer in layers:
        a, b = (tensors[f"{layer}.lora_{matrix}.weight"].float() for matrix in "AB")
        weights[layer.removeprefix("base_model.model.") + ".weight"] += scale * b @ a
    merged = model(input_ids=ids).logits

size = merged.abs().max()
changed, error = ((adapted - plain).abs().max() / size).item(), ((adapted - merged).abs().max() / size).item()
print(f"{len(layers)} layers; the adapter changes logits by {changed:.2e}; PEFT's differ by {error:.2e} from the merged ones")
assert len(layers) == len(tensors) // 2 and changed > 1e-3 and error < 1e-5
