"""Makes Tests/EncodersTests/Fixtures/clip.safetensors and llama, llama_far and warpers.safetensors in
Tests/LanguageTests/Fixtures: small networks of transformers with random weights, and what they give rung by rung;
and what its ways of choosing a token make of scores.

    pip install torch==2.11.0 transformers==4.57.1 safetensors==0.8.0 pillow numpy
    python Tools/reference/parity_fixtures.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

TESTS = pathlib.Path(__file__).resolve().parents[2] / "Tests"
torch.set_num_threads(1)


def randomised(model, seed):
    """Weights large enough that every part shows in the output."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if "norm" in name or "layrnorm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
            elif parameter.dim() == 1:
                parameter.normal_(0, 0.2)
            else:
                parameter.normal_(0, 1.5 * parameter.shape[-1] ** -0.5)
    return model.eval()


def weights(model, prefix):
    tied = getattr(model, "_tied_weights_keys", None) or [] if model.config.tie_word_embeddings else []
    return {f"{prefix}/{name}": tensor for name, tensor in model.state_dict().items()
            if name not in tied and not name.endswith("position_ids")}


def save(path, values, metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()}, path, metadata)
    path.chmod(0o644)
    print(path.relative_to(TESTS), path.stat().st_size, "bytes")


def clip():
    values, metadata = {}, {}
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    processor = CLIPImageProcessor(do_resize=False, do_center_crop=False)
    images = processor(list(pixels), return_tensors="pt")["pixel_values"]
    wide = torch.randn(1, 3, 18, 42)
    values |= {"inputs/pixels": pixels, "inputs/images": images, "inputs/wide": wide}
    for activation in ["quick_gelu", "gelu"]:
        config = CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=24,
            patch_size=6, hidden_act=activation, layer_norm_eps=1e-4)
        model = randomised(CLIPVisionModel(config), 2)
        metadata[activation] = config.to_json_string()
        values |= weights(model, "weights")
        with torch.no_grad():
            kept = {}
            layer = model.vision_model.encoder.layers[0]
            hooks = [layer.self_attn.register_forward_hook(lambda *call: kept.update(attention=call[-1][0])),
                     layer.mlp.register_forward_hook(lambda *call: kept.update(mlp=call[-1]))]
            out = model(images, output_hidden_states=True)
            for hook in hooks:
                hook.remove()
            for name, value in kept.items():
                values[f"outputs/{activation}/{name}"] = value
            resized = model(wide, output_hidden_states=True, interpolate_pos_encoding=True)
            values[f"outputs/{activation}/embeddings"] = model.vision_model.embeddings(images)
        for number, state in enumerate(out.hidden_states):
            values[f"outputs/{activation}/hidden.{number}"] = state
        values[f"outputs/{activation}/pooled"] = out.pooler_output
        values[f"outputs/{activation}/features"] = out.hidden_states[-2][:, 1:]
        values[f"outputs/{activation}/full"] = torch.cat([out.hidden_states[n] for n in (-2, 1, 3)], -1)
        values[f"outputs/{activation}/wide"] = resized.hidden_states[-2][:, 1:]
    save(TESTS / "EncodersTests/Fixtures/clip.safetensors", values, metadata)


def llama():
    values, metadata = {}, {}
    small = {"vocab_size": 96, "max_position_embeddings": 96}
    configs = {
        "grouped": LlamaConfig(
            **small, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, rms_norm_eps=1e-4, tie_word_embeddings=False),
        "tied": LlamaConfig(
            **small, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            head_dim=8, rope_theta=500.0, rms_norm_eps=1e-6, tie_word_embeddings=True),
        "llama3": LlamaConfig(
            **small, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=1, head_dim=16, rope_theta=5000.0, attention_bias=True, mlp_bias=True,
            rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 32}),
        "linear": LlamaConfig(
            **small, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3,
            rope_scaling={"type": "linear", "factor": 3.0}),
    }
    for kind, config in configs.items():
        model = randomised(LlamaForCausalLM(config), {"linear": 12}.get(kind, 4))
        metadata[kind] = config.to_json_string()
        values |= weights(model, f"weights/{kind}")
        torch.manual_seed(3)
        ids = torch.randint(0, 96, (2, 11))
        with torch.no_grad():
            kept = {}
            model.model.layers[0].self_attn.register_forward_hook(lambda *call: kept.update(layer=call[-1][0]))
            out = model(ids, output_hidden_states=True)
            values[f"outputs/{kind}/layer"] = kept["layer"]
            # Greedy decoding of the first prompt alone, and how far the choice is ahead of the next one.
            tokens, margins = ids[:1], []
            for _ in range(64):
                best = model(tokens).logits[0, -1].topk(2)
                margins.append(float(best.values[0] - best.values[1]))
                tokens = torch.cat([tokens, best.indices[None, :1]], 1)
            model.generation_config.eos_token_id = None
            cached = model.generate(ids[:1], max_new_tokens=64, do_sample=False)
            assert torch.equal(tokens, cached) and min(margins) > 1e-4, (kind, min(margins))
            print(kind, "distinct tokens", len(set(tokens[0, 11:].tolist())), "smallest margin", min(margins))
            values[f"outputs/{kind}/embeddings"] = out.hidden_states[0]
            values[f"outputs/{kind}/block.1"] = model.model.norm(out.hidden_states[1])
            values[f"outputs/{kind}/hidden"] = out.hidden_states[-1]
            values[f"outputs/{kind}/logits"] = out.logits
            values[f"outputs/{kind}/greedy"] = tokens[0, 11:]
            values[f"outputs/{kind}/penalised"] = model.generate(
                ids[:1], max_new_tokens=24, do_sample=False, repetition_penalty=1.3)[0, 11:]
            torch.manual_seed(7)
            values[f"outputs/{kind}/sampled"] = model.generate(
                ids[:1], max_new_tokens=24, do_sample=True, temperature=1.4, top_k=40, top_p=0.9)[0, 11:]
            values[f"outputs/{kind}/bfloat16/logits"] = model.bfloat16()(ids).logits.float()
        values[f"inputs/{kind}/ids"] = ids
    save(TESTS / "LanguageTests/Fixtures/llama.safetensors", values, metadata)


def llama_far():
    """Positions of thousands, where a wrong last digit of a frequency shows."""
    values, metadata = {}, {}
    scalings = {
        "default": None,
        "linear": {"rope_type": "linear", "factor": 2.5},
        "llama3": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 1024},
    }
    torch.manual_seed(5)
    ids = torch.randint(0, 32, (1, 5000))
    values["inputs/ids"] = ids.to(torch.uint8)
    for kind, scaling in scalings.items():
        config = LlamaConfig(
            vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
            max_position_embeddings=131072, rope_theta=500000.0, rope_scaling=scaling)
        model = randomised(LlamaForCausalLM(config), 6)
        metadata[kind] = config.to_json_string()
        values |= weights(model, f"weights/{kind}")
        with torch.no_grad():
            values[f"outputs/{kind}/logits"] = model(ids, logits_to_keep=8).logits
    save(TESTS / "LanguageTests/Fixtures/llama_far.safetensors", values, metadata)


def warpers():
    """Scores after each way of choosing a token, and the token that a seed draws from them."""
    from transformers import (LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                              TopKLogitsWarper, TopPLogitsWarper)
    values, metadata = {}, {}
    torch.manual_seed(8)
    logits = torch.randn(6, 50) * 3
    ids = torch.randint(0, 50, (6, 12))
    values |= {"inputs/logits": logits, "inputs/ids": ids}
    cases = {
        "temperature": {"temperature": 0.7}, "hot": {"temperature": 2.5},
        "top_k": {"temperature": 1.0, "top_k": 5}, "one": {"temperature": 1.0, "top_k": 1},
        "top_p": {"temperature": 1.0, "top_p": 0.8}, "narrow": {"temperature": 1.0, "top_p": 0.01},
        "penalty": {"temperature": 1.0, "repetition_penalty": 1.6},
        "reward": {"temperature": 1.0, "repetition_penalty": 0.7},
        "all": {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.2},
    }
    for name, case in cases.items():
        chain = LogitsProcessorList()
        if "repetition_penalty" in case:
            chain.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
        if case["temperature"] != 1:
            chain.append(TemperatureLogitsWarper(case["temperature"]))
        if "top_k" in case:
            chain.append(TopKLogitsWarper(case["top_k"]))
        if "top_p" in case:
            chain.append(TopPLogitsWarper(case["top_p"]))
        metadata[name] = json.dumps(case)
        rows, drawn = [], []
        for row in range(6):
            rows.append(chain(ids[row:row + 1], logits[row:row + 1].clone())[0])
            torch.manual_seed(row)
            drawn.append(torch.multinomial(rows[-1].softmax(-1)[None], 1)[0, 0])
        values[f"outputs/{name}/scores"] = torch.stack(rows)
        values[f"outputs/{name}/drawn"] = torch.stack(drawn)
    save(TESTS / "LanguageTests/Fixtures/warpers.safetensors", values, metadata)


clip()
llama()
llama_far()
warpers()
