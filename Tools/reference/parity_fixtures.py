"""Makes Tests/EncodersTests/Fixtures/clip.safetensors and Tests/LanguageTests/Fixtures/llama.safetensors:
small networks of transformers with random weights, and what they give rung by rung.

    pip install torch==2.11.0 transformers==4.57.1 safetensors==0.8.0 pillow numpy
    python Tools/reference/parity_fixtures.py
"""

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
            out = model(images, output_hidden_states=True)
            resized = model(wide, output_hidden_states=True, interpolate_pos_encoding=True)
            values[f"outputs/{activation}/embeddings"] = model.vision_model.embeddings(images)
        for number, state in enumerate(out.hidden_states):
            values[f"outputs/{activation}/hidden.{number}"] = state
        values[f"outputs/{activation}/pooled"] = out.pooler_output
        values[f"outputs/{activation}/features"] = out.hidden_states[-2][:, 1:]
        values[f"outputs/{activation}/wide"] = resized.hidden_states[-2][:, 1:]
    save(TESTS / "EncodersTests/Fixtures/clip.safetensors", values, metadata)


def llama():
    values, metadata = {}, {}
    configs = {
        "grouped": LlamaConfig(
            vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-4, tie_word_embeddings=False),
        "tied": LlamaConfig(
            vocab_size=96, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            head_dim=8, max_position_embeddings=64, rope_theta=500.0, rms_norm_eps=1e-6,
            tie_word_embeddings=True),
    }
    for kind, config in configs.items():
        model = randomised(LlamaForCausalLM(config), 4)
        metadata[kind] = config.to_json_string()
        values |= weights(model, f"weights/{kind}")
        torch.manual_seed(3)
        ids = torch.randint(0, 96, (2, 11))
        with torch.no_grad():
            out = model(ids, output_hidden_states=True)
            # Greedy decoding of the first prompt alone, and how far the choice is ahead of the next one.
            tokens, margins = ids[:1], []
            for _ in range(32):
                best = model(tokens).logits[0, -1].topk(2)
                margins.append(float(best.values[0] - best.values[1]))
                tokens = torch.cat([tokens, best.indices[None, :1]], 1)
            model.generation_config.eos_token_id = None
            cached = model.generate(ids[:1], max_new_tokens=32, do_sample=False)
            assert torch.equal(tokens, cached) and min(margins) > 1e-3, (kind, min(margins))
            print(kind, "distinct tokens", len(set(tokens[0, 11:].tolist())), "smallest margin", min(margins))
            values[f"outputs/{kind}/embeddings"] = out.hidden_states[0]
            values[f"outputs/{kind}/block.1"] = model.model.norm(out.hidden_states[1])
            values[f"outputs/{kind}/hidden"] = out.hidden_states[-1]
            values[f"outputs/{kind}/logits"] = out.logits
            values[f"outputs/{kind}/greedy"] = tokens[0, 11:]
        values[f"inputs/{kind}/ids"] = ids
    save(TESTS / "LanguageTests/Fixtures/llama.safetensors", values, metadata)


clip()
llama()
