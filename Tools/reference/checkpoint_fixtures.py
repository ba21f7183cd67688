"""Makes the fixtures of Tests/CheckpointsTests: archives that torch.save writes, checkpoints in shards as transformers saves
them, and PEFT's adapters with the weights and logits that PEFT makes of them.

    pip install torch==2.11.0 safetensors==0.8.0 transformers==4.57.1 peft==0.21.2 numpy
    python Tools/reference/checkpoint_fixtures.py
"""

import collections
import json
import os
import pathlib
import shutil
import warnings

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Tests/CheckpointsTests/Fixtures"
torch.set_num_threads(1)


def fresh(name):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def plain(tensor):
    """Its own memory, as safetensors wants it."""
    return tensor.detach().clone().contiguous()


# ---------------------------------------------------------------- archives of torch


def archives():
    folder = fresh("torch")
    torch.manual_seed(21)
    expected = {}

    def save(name, value, **options):
        torch.save(value, folder / name, **options)

    def expect(file, tensors):
        expected.update({f"{file}/{name}": plain(tensor) for name, tensor in tensors.items()})

    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = network.state_dict()
    save("state.pt", state)
    expect("state.pt", state)

    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "plain": base,
        "transposed": base.t(),
        "rows": base[1:3],
        "columns": base[:, 1::2],
        "repeated": base[0].expand(3, 6),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "channels_last": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
    }
    kinds = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float64)
    tensors |= {str(kind).removeprefix("torch."): torch.arange(5).to(kind) for kind in kinds}
    tensors["bool"] = torch.tensor([True, False, True])
    parameter = torch.nn.Parameter(torch.randn(2, 2))
    marked = torch.nn.Parameter(torch.randn(2))
    marked.note = "an attribute"
    mixed = collections.OrderedDict(tensors) | {
        "parameter": parameter,
        "marked": marked,
        "buffers": torch.nn.Buffer(torch.ones(2)).detach(),
        "nested": {"deeper": {"x": base}, "list": [base[0], {"y": base[1]}], 7: base[2]},
        "others": [1, -3, 2.5, None, True, "text", (), (1, 2, 3, 4), 2**70, -(2**40), base.shape, base.dtype, base.device],
    }
    names = tensors | {"parameter": parameter, "marked": marked, "buffers": torch.ones(2), "nested.deeper.x": base}
    names |= {"nested.list.0": base[0], "nested.list.1.y": base[1], "nested.7": base[2]}
    for protocol in (2, 3, 4, 5):
        save(f"protocol{protocol}.pt", mixed, pickle_protocol=protocol)
    expect("mixed", names)

    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    save("training.pth", {"epoch": 3, "model": network.state_dict(), "optimizer": optimizer.state_dict()})
    expect("training.pth", network.state_dict())
    save("pair.pth", {"generator": {"x": base}, "model": {"x": base + 1}, "state_dict": {"x": base + 2}})
    expect("pair.pth", {"generator.x": base, "model.x": base + 1, "state_dict.x": base + 2})

    class Calls:
        def __reduce__(self):
            return os.system, ("touch called",)

    save("calls.pt", {"x": base, "y": Calls()})
    save("module.pt", torch.nn.Linear(1, 1))
    save("float8.pt", {"x": base.to(torch.float8_e4m3fn)})
    save("complex.pt", {"x": base.to(torch.complex64)})
    save("sparse.pt", {"x": base.to_sparse()})
    save("meta.pt", {"x": torch.zeros(2, device="meta")})
    save("tensor.pt", base)
    save("conjugate.pt", {"x": torch.zeros(2, dtype=torch.complex64).conj().imag})
    save("before1.6.pt", {"x": base}, _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), folder / "script.pt")
    save_file(expected, folder / "expected.safetensors")


# ---------------------------------------------------------------- shards


def llama(**options):
    torch.manual_seed(22)
    sizes = dict(vocab_size=24, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    model = LlamaForCausalLM(LlamaConfig(num_key_value_heads=1, max_position_embeddings=32, **sizes, **options)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def shards():
    expected = {}
    for name, options, form in (
        ("llama", {}, dict(max_shard_size="8KB")),
        ("llama-biased", dict(attention_bias=True), dict(max_shard_size="8KB", safe_serialization=False)),
    ):
        model = llama(**options)
        model.save_pretrained(fresh(name), **form)
        expected |= {f"{name}/{key}": plain(value) for key, value in model.state_dict().items()}
    save_file(expected, FIXTURES / "shards.safetensors")


# ---------------------------------------------------------------- adapters

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 20]])


def adapters():
    values = {"inputs/ids": IDS}

    def make(name, base={}, binary=False, raw=False, **options):
        folder = fresh(f"adapters/{name}")
        model = get_peft_model(llama(**base), LoraConfig(**options))
        torch.manual_seed(23)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder, safe_serialization=not binary)
        (folder / "README.md").unlink()
        if raw:
            # As scripts that do not use save_pretrained leave it, with the adapter's name in every key.
            (folder / "adapter_model.safetensors").unlink()
            torch.save({k: v for k, v in model.state_dict().items() if "lora_" in k}, folder / "adapter_model.bin")
        model.eval()
        with torch.no_grad():
            values[f"outputs/{name}/logits"] = model(IDS).logits
            merged = model.merge_and_unload()
            values[f"outputs/{name}/merged_logits"] = merged(IDS).logits
        for key, value in merged.state_dict().items():
            values[f"outputs/{name}/weights/{key}"] = plain(value)
        return folder

    make("plain", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    make(
        "patterns",
        binary=True,
        r=4,
        lora_alpha=6,
        use_rslora=True,
        target_modules="all-linear",
        rank_pattern={"layers.1.self_attn.q_proj": 2, "^model.layers.0.mlp.up_proj": 3, "layers\\.1\\..*k_proj": 5},
        alpha_pattern={"down_proj": 5, "layers.1.self_attn.q_proj": 3},
        modules_to_save=["lm_head"],
    )
    make("named", raw=True, r=2, target_modules=["o_proj"])
    make("embedding", r=4, target_modules=["embed_tokens", "q_proj"])
    biased = dict(attention_bias=True)
    make("bias-all", base=biased, r=4, target_modules=["q_proj"], bias="all")
    make("bias-lora-only", base=biased, r=4, target_modules=["q_proj"], bias="lora_only")

    # LLaVA's own trainer saves the projector beside the adapter.
    llava = make("llava", r=4, target_modules=r"model\.layers\..*_proj")
    projector = {"0.weight": torch.randn(16, 8), "0.bias": torch.randn(16), "2.weight": torch.randn(16, 16)}
    names = {f"base_model.model.model.mm_projector.{name}": value.bfloat16() for name, value in projector.items()}
    torch.save(names, llava / "non_lora_trainables.bin")
    for name, value in projector.items():
        values[f"outputs/llava/weights/model.mm_projector.{name}"] = value.bfloat16()

    make("dora", r=4, target_modules=["q_proj"], use_dora=True)
    config = llama().config.to_dict()
    save_file(values, FIXTURES / "adapters.safetensors", {"config": json.dumps(config)})


archives()
shards()
adapters()
for path in sorted(FIXTURES.rglob("*")):
    if path.is_file():
        print(path.relative_to(FIXTURES), path.stat().st_size)
