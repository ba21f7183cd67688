"""Makes Tests/VitrailTests/Fixtures/llava: small LLaVAs with random weights in both layouts, a LoRA of each, CLIP folders,
and what transformers and PEFT give for them; and clip_processor.safetensors, what CLIPImageProcessor makes of pictures.

    pip install torch==2.11.0 transformers==4.57.1 tokenizers==0.22.2 peft==0.21.2 sentencepiece pillow
    python Tools/reference/llava_fixtures.py
"""

import json
import os
import pathlib
import shutil
import sys

# PEFT asks for the base by its name.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig, LlamaConfig,
                          LlamaForCausalLM, LlavaConfig, LlavaForConditionalGeneration, LlavaImageProcessor,
                          LlavaProcessor)
from transformers.utils import logging

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import llava  # noqa: E402

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Tests/VitrailTests/Fixtures"
FOLDER = FIXTURES / "llava"
QUESTION = "what color is the large star?"
torch.set_num_threads(1)
logging.set_verbosity_error()


def save(path, values, metadata=None):
    values = {name: value.detach().clone().contiguous() for name, value in values.items()}
    save_file(values, path, metadata)
    print(path.relative_to(FIXTURES), path.stat().st_size, "bytes")


def tower_config(**options):
    return CLIPVisionConfig(**{
        "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 7} | options)


def text_config(vocabulary, **options):
    return LlamaConfig(**{
        "vocab_size": vocabulary, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5} | options)


def greedy(model, tokens=64, **inputs):
    out = model.generate(
        **inputs, max_new_tokens=tokens, do_sample=False, return_dict_in_generate=True, output_scores=True)
    start = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    margin = min(float(top[0] - top[1]) for top in (score[0].topk(2).values for score in out.scores))
    ids = out.sequences[0, start:]
    print("   distinct tokens", len(set(ids.tolist())), "of", len(ids), "smallest margin", margin)
    assert margin > 1e-3
    return ids


def hugging_face(image, values):
    folder = FOLDER / "hf"
    words = llava.tokenizer(["<image>", "<pad>"])
    config = LlavaConfig(tower_config(), text_config(len(words) + 5, attention_bias=True))
    llava.hugging_face(folder, config, 21, shards="80KB")
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    processor = LlavaProcessor.from_pretrained(folder)
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(images=image, text=prompt, return_tensors="pt")
    with torch.no_grad():
        values["hf/pixels"] = inputs["pixel_values"]
        values["hf/features"] = model.model.vision_tower(
            inputs["pixel_values"], output_hidden_states=True).hidden_states[-2][:, 1:]
        values["hf/embeddings"] = model.get_image_features(inputs["pixel_values"])[0][None]
        values["hf/logits"] = model(**inputs).logits
        values["hf/greedy"] = greedy(model, **inputs)
        torch.manual_seed(5)
        values["hf/sampled"] = model.generate(
            **inputs, max_new_tokens=20, do_sample=True, temperature=0.9, top_k=30, top_p=0.95,
            repetition_penalty=1.1)[0, inputs["input_ids"].shape[1]:]
        values["hf/ids"] = inputs["input_ids"]
        values["hf/bfloat16/logits"] = model.bfloat16()(
            **{name: value.bfloat16() if value.is_floating_point() else value for name, value in inputs.items()}
        ).logits.float()
    texts = {"hf/prompt": prompt, "hf/text": processor.decode(values["hf/greedy"], skip_special_tokens=True)}

    # A LoRA of PEFT's on this model, both networks adapted.
    from peft import LoraConfig, get_peft_model
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    adapted = get_peft_model(model, LoraConfig(
        r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False))
    torch.manual_seed(31)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, 0, 0.3)
    adapted.peft_config["default"].base_model_name_or_path = "example/hf"
    shutil.rmtree(FOLDER / "hf-lora", ignore_errors=True)
    adapted.save_pretrained(FOLDER / "hf-lora")
    (FOLDER / "hf-lora/README.md").unlink(missing_ok=True)
    with torch.no_grad():
        values["hf-lora/greedy"] = greedy(adapted, 24, **inputs)
    return texts


def original(image, values):
    folder, tower_folder = FOLDER / "original", FOLDER / "clip-tiny"
    words = llava.tokenizer([])
    vision = tower_config(image_size=21, hidden_act="gelu")
    tower, layers, llama, words = llava.original(
        folder, tower_folder, 40, text=text_config(len(words), num_key_value_heads=4, max_position_embeddings=512),
        vision=vision)
    processor = CLIPImageProcessor.from_pretrained(tower_folder)
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(x * 255) for x in processor.image_mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    pixels = processor(square, return_tensors="pt")["pixel_values"]
    prompt = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
              f"detailed, and polite answers to the user's questions. USER: <image>\n{QUESTION} ASSISTANT:")
    before, after = (words(part).input_ids for part in prompt.split("<image>"))

    def embeddings(language, projector):
        features = tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        for number, linear in enumerate(projector):
            features = linear(torch.nn.functional.gelu(features) if number else features)
        embed = language.model.embed_tokens
        return torch.cat([embed(torch.tensor([before])), features, embed(torch.tensor([after[1:]]))], 1)

    llama.generation_config.pad_token_id = 0
    with torch.no_grad():
        values["original/pixels"] = pixels
        inputs = embeddings(llama, layers)
        values["original/logits"] = llama(inputs_embeds=inputs).logits[:, -8:]
        values["original/greedy"] = greedy(llama, inputs_embeds=inputs, attention_mask=torch.ones(inputs.shape[:2]))
    texts = {"original/prompt": prompt, "original/text": words.decode(values["original/greedy"], skip_special_tokens=True)}

    # LLaVA's own LoRA: its base is the language model that LLaVA started from.
    base = FOLDER / "vicuna-tiny"
    shutil.rmtree(base, ignore_errors=True)
    start = llava.randomised(LlamaForCausalLM(llama.config), 50)
    start.save_pretrained(base)
    words.save_pretrained(base)
    adapter = FOLDER / "original-lora"
    shutil.rmtree(adapter, ignore_errors=True)
    adapter.mkdir()
    shutil.copy(folder / "config.json", adapter)
    (adapter / "adapter_config.json").write_text(json.dumps({
        "base_model_name_or_path": "example/vicuna-tiny", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "lora_alpha": 8, "lora_dropout": 0.05, "modules_to_save": None, "peft_type": "LORA", "r": 4,
        "target_modules": ["q_proj", "up_proj"], "task_type": "CAUSAL_LM"}))
    torch.manual_seed(51)
    updates = {}
    for number, block in enumerate(start.model.layers):
        for path, linear in [("self_attn.q_proj", block.self_attn.q_proj), ("mlp.up_proj", block.mlp.up_proj)]:
            a, b = torch.randn(4, linear.in_features) * 0.3, torch.randn(linear.out_features, 4) * 0.3
            name = f"base_model.model.model.layers.{number}.{path}"
            updates |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
            linear.weight.data += 8 / 4 * b @ a
    torch.save(updates, adapter / "adapter_model.bin")
    projector = [llava.randomised(torch.nn.Linear(24, 24), 60 + n) for n in range(2)]
    torch.save({f"base_model.model.model.mm_projector.{2 * n}.{name}": value.data.clone()
                for n, linear in enumerate(projector) for name, value in linear.named_parameters()},
               adapter / "non_lora_trainables.bin")
    start.generation_config.pad_token_id = 0
    with torch.no_grad():
        inputs = embeddings(start, projector)
        values["original-lora/greedy"] = greedy(
            start, 24, inputs_embeds=inputs, attention_mask=torch.ones(inputs.shape[:2]))
    return texts


def clip(values):
    """A whole CLIP, whose text part is to be left alone."""
    torch.manual_seed(70)
    config = CLIPConfig.from_text_vision_configs(
        CLIPTextConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                       max_position_embeddings=8),
        tower_config(image_size=14))
    model = llava.randomised(CLIPModel(config), 71)
    shutil.rmtree(FOLDER / "clip-whole", ignore_errors=True)
    model.save_pretrained(FOLDER / "clip-whole")
    pixels = torch.randn(1, 3, 14, 14)
    values["clip/pixels"] = pixels
    with torch.no_grad():
        values["clip/pooled"] = model.vision_model(pixels).pooler_output


def clip_processor():
    values, metadata = {}, {}
    side = {"shortest_edge": 24}
    crop = {"height": 24, "width": 24}
    cases = {
        "plain": (CLIPImageProcessor, {"size": side, "crop_size": crop}),
        "numbers": (CLIPImageProcessor, {"size": 30, "crop_size": 24}),
        "bilinear": (CLIPImageProcessor, {"size": side, "crop_size": crop, "resample": 2}),
        "exact": (CLIPImageProcessor, {"size": {"height": 20, "width": 26}, "crop_size": {"height": 16, "width": 22}}),
        "larger crop": (CLIPImageProcessor, {"size": {"shortest_edge": 15}, "crop_size": {"height": 21, "width": 20}}),
        "no crop": (CLIPImageProcessor, {"size": side, "do_center_crop": False}),
        "bare": (CLIPImageProcessor, {"do_resize": False, "do_rescale": False, "crop_size": crop,
                                      "image_mean": [100.0, 110.0, 120.0], "image_std": [2.0, 3.0, 4.0]}),
        "pad": (LlavaImageProcessor, {"do_pad": True, "size": side, "crop_size": crop}),
    }
    pictures = {"wide": (61, 37), "tall": (23, 70), "small": (10, 13), "square": (24, 24)}
    for number, (name, (width, height)) in enumerate(pictures.items()):
        image = llava.picture(80 + number, width, height)
        values[f"inputs/{name}"] = torch.from_numpy(numpy.array(image))
        for case, (kind, options) in cases.items():
            made = kind(**options)
            metadata[case] = json.dumps(made.to_dict(), default=str)
            values[f"outputs/{case}/{name}"] = made(image, return_tensors="pt")["pixel_values"]
    save(FIXTURES / "clip_processor.safetensors", values, metadata)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    image = llava.picture(7, 61, 40)
    image.save(FOLDER / "picture.png")
    values = {}
    texts = hugging_face(image, values) | original(image, values)
    clip(values)
    save(FOLDER / "expected.safetensors", values, texts)
    clip_processor()
    for path in FIXTURES.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


main()
