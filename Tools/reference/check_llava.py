"""Makes LLaVAs of many random configurations, asks them with `vitrail ask --json` and with transformers, and compares.

    pip install torch==2.11.0 transformers==4.57.6 sentencepiece pillow        # and again with transformers==5.24.0
    swift build -c release --product vitrail
    python Tools/reference/check_llava.py --count 60

Folders are those that the installed transformers saves, of which half are turned into mixtures of both generations'
forms that mean the same (`llava.mixed`). transformers 5 reads the mixtures itself; transformers 4, which cannot, reads the
folder before.

Both compute in float32. A difference at a step at which the reference's two best tokens are closer than 1e-4 is counted
as a tie, and shown. With `--dtype bfloat16` both compute in bfloat16, of the Hugging Face layout, and a tie is a step at
which the reference's two best are closer than its own largest error against float32. `--layout` takes one of the
layouts, `--first` another first seed.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.utils import logging

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import llava  # noqa: E402

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / ".build/release/vitrail"
torch.set_num_threads(1)
logging.set_verbosity_error()
logging.disable_progress_bar()


def vision(pick):
    heads = pick.choice([1, 2, 4])
    patch = pick.choice([4, 7, 8, 14])
    return CLIPVisionConfig(
        hidden_size=heads * pick.choice([8, 12, 16]), intermediate_size=pick.choice([20, 48, 64]),
        num_hidden_layers=pick.randint(2, 4), num_attention_heads=heads, patch_size=patch,
        image_size=patch * pick.randint(2, 6), hidden_act=pick.choice(["quick_gelu", "gelu"]),
        layer_norm_eps=pick.choice([1e-5, 1e-4]))


def text(pick, vocabulary):
    groups = pick.choice([1, 2, 3])
    heads = groups * pick.choice([1, 2])
    wide = pick.random() < 0.4
    hidden = heads * pick.choice([8, 12, 16])
    scaling = pick.choice([
        None, None, {"rope_type": "linear", "factor": 2.0}, {"type": "dynamic", "factor": 2.0},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 64}])
    return LlamaConfig(
        vocab_size=vocabulary + pick.choice([0, 3, 64]), hidden_size=hidden, intermediate_size=pick.choice([24, 50, 96]),
        num_hidden_layers=pick.randint(1, 4), num_attention_heads=heads, num_key_value_heads=heads // groups,
        head_dim=pick.choice([6, 10, 32]) if wide else hidden // heads, max_position_embeddings=1024,
        rms_norm_eps=pick.choice([1e-5, 1e-6]), rope_theta=pick.choice([10000.0, 500000.0]), rope_scaling=scaling,
        attention_bias=pick.random() < 0.3, mlp_bias=pick.random() < 0.3, tie_word_embeddings=pick.random() < 0.3)


def question(pick):
    words = " ".join(pick.choices(llava.WORDS, k=pick.randint(1, 12)))
    return words + pick.choice(["?", "", " 日本語 ü 🦊", "\nin two lines", "  spaces   inside  "])


def ask(program, folder, image, request, tokens, dtype, *options):
    result = subprocess.run(
        [program, "ask", image, request, "--model", folder, "--temperature", "0", "--max-tokens", str(tokens),
         "--dtype", dtype, "--json", *options],
        capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def generated(model, tokens, **inputs):
    out = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, return_dict_in_generate=True, output_scores=True)
    ids = out.sequences[0]
    if "input_ids" in inputs:
        ids = ids[inputs["input_ids"].shape[1]:]
    margins = [float(top[0] - top[1]) for top in (score[0].topk(2).values for score in out.scores)]
    return ids.tolist(), margins


def hugging_face(pick, seed, folder):
    tower = vision(pick)
    count = tower.num_hidden_layers
    layer = pick.choice([-2, -1, -count, count - 1, [-2, -1], [0, -1]])
    words = llava.tokenizer(["<image>", "<pad>"])
    config = LlavaConfig(
        vision_config=tower, text_config=text(pick, len(words)), vision_feature_layer=layer,
        vision_feature_select_strategy=pick.choice(["default", "default", "full"]),
        projector_hidden_act=pick.choice(["gelu", "gelu", "relu", "silu"]),
        multimodal_projector_bias=pick.random() < 0.8)
    options = pick.choice([{}, {}, {"do_center_crop": True, "resample": 2}, {"image_mean": [0.5, 0.4, 0.3]}])
    llava.hugging_face(folder, config, seed, saved_names=pick.random() < 0.4,
                       shards=pick.choice([None, "60KB"]), bin_files=pick.random() < 0.3,
                       dtype=pick.choice([torch.float32, torch.float32, torch.bfloat16, torch.float16]), **options)

    def reference(image, request, tokens, raw, dtype):
        model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype))
        processor = LlavaProcessor.from_pretrained(folder)
        processor.image_processor = llava.image_processor(folder)
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]}]
        prompt = request if raw else processor.apply_chat_template(messages, add_generation_prompt=True)
        inputs = processor(images=image, text=prompt, return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        ids, margins = generated(model, tokens, **inputs)
        noise = 1e-4
        if dtype == "bfloat16":
            whole = inputs | {"input_ids": torch.cat([inputs["input_ids"], torch.tensor([ids])], 1)}
            whole["attention_mask"] = torch.ones_like(whole["input_ids"])
            exact = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
            with torch.no_grad():
                logits = model(**whole).logits.float()
                whole["pixel_values"] = inputs["pixel_values"].float()
                noise = float((logits - exact(**whole).logits)[0, -len(ids):].abs().max())
        return ids, margins, noise, processor.decode(ids, skip_special_tokens=True)
    return reference, []


def original(pick, seed, folder):
    marks = pick.random() < 0.3
    extra = ["<im_start>", "<im_end>"] if marks else []
    slow, legacy = pick.random() < 0.6, pick.random() < 0.7
    words = llava.sentencepiece_tokenizer(extra, legacy) if slow and not llava.NEW else llava.tokenizer(extra)
    tower_config, text_config = vision(pick), text(pick, len(words))
    kind = pick.choice(["mlp2x_gelu", "mlp2x_gelu", "linear", "mlp3x_gelu", "mlp1x_gelu"])
    layer, feature = pick.choice([-2, -1]), pick.choice(["patch", "patch", "cls_patch"])
    aspect = pick.choice(["pad", "pad", "square"])
    tower_folder = pathlib.Path(folder).parent / f"clip-{seed}"
    tower, layers, llama, _ = llava.original(
        folder, tower_folder, seed, text=text_config, vision=tower_config, projector=kind, layer=layer, feature=feature,
        aspect=aspect, marks=marks, words=words, inside=pick.random() < 0.3, shards=pick.randint(1, 3),
        dtype=pick.choice([torch.float32, torch.float16]))

    def reference(image, request, tokens, raw, dtype):
        """As LLaVA's own code does it: llava/mm_utils.py and llava/model/llava_arch.py."""
        processor = llava.image_processor(tower_folder)
        if aspect == "pad":
            side = max(image.size)
            square = Image.new("RGB", (side, side), tuple(int(x * 255) for x in processor.image_mean))
            square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
            image = square
        pixels = processor(image, return_tensors="pt")["pixel_values"]
        system = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
                  "detailed, and polite answers to the user's questions.")
        place = "<im_start><image><im_end>" if marks else "<image>"
        prompt = request if raw else f"{system} USER: {place}\n{request} ASSISTANT:"
        before, after = (words(part).input_ids for part in prompt.split("<image>"))
        # As `tokenizer_image_token` does it.
        after = after[1:] if after[:1] == [words.bos_token_id] else after
        with torch.no_grad():
            features = tower(pixels, output_hidden_states=True).hidden_states[layer]
            features = features if feature == "cls_patch" else features[:, 1:]
            for number, linear in enumerate(layers):
                features = linear(torch.nn.functional.gelu(features) if number else features)
            embed = llama.model.embed_tokens
            embeddings = torch.cat([embed(torch.tensor([before])), features, embed(torch.tensor([after]))], 1)
            llama.generation_config.pad_token_id = 0
            ids, margins = generated(
                llama, tokens, inputs_embeds=embeddings, attention_mask=torch.ones(embeddings.shape[:2]))
        # Beyond the tokenizer, where a vocabulary is padded, there is no text.
        known = [token for token in ids if token < len(words)]
        return ids, margins, 1e-4, words.decode(known, skip_special_tokens=True)
    return reference, ["--vision-tower", str(tower_folder)] if pick.random() < 0.5 else []


LAYOUTS = {"hf": hugging_face, "original": original}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--layout", choices=list(LAYOUTS))
    parser.add_argument("--vitrail", default=PROGRAM)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments = parser.parse_args()
    same = ties = texts = distinct = 0
    wrong = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        pick = random.Random(seed)
        layout = "hf" if arguments.dtype == "bfloat16" else arguments.layout
        name = layout or pick.choice(["hf", "hf", "original"])
        with tempfile.TemporaryDirectory() as place:
            folder = f"{place}/model"
            reference, options = LAYOUTS[name](pick, seed, folder)
            image = llava.picture(seed, pick.randint(20, 200), pick.randint(20, 200))
            image.save(f"{place}/picture.png")
            raw = pick.random() < 0.2
            request = f"USER: <image>\n{question(pick)} ASSISTANT:" if raw else question(pick)
            mixes = pick.random() < 0.5
            if mixes and llava.NEW:
                llava.mixed(pick, folder)
            ids, margins, noise, answer = reference(image, request, arguments.tokens, raw, arguments.dtype)
            if mixes and not llava.NEW:
                llava.mixed(pick, folder)
            ours = ask(arguments.vitrail, folder, f"{place}/picture.png", request, arguments.tokens, arguments.dtype, *options,
                       *(["--raw-prompt"] if raw else []))
        distinct += len(set(ids))
        if ours["ids"] == ids:
            same += 1
            texts += ours["answer"] == answer
            if ours["answer"] != answer:
                print(f"seed {seed} ({name}): the text is {ours['answer']!r}, the reference's {answer!r}")
            continue
        step = next((n for n, (a, b) in enumerate(zip(ours["ids"], ids)) if a != b), min(len(ids), len(ours["ids"])))
        margin = margins[min(step, len(margins) - 1)]
        if margin < noise:
            ties += 1
            print(f"seed {seed} ({name}): a tie at step {step}, margin {margin:.1e}, noise {noise:.1e}")
        else:
            wrong.append(seed)
            print(f"seed {seed} ({name}): differs at step {step}, margin {margin:.1e}, noise {noise:.1e}: {ours['ids'][step:step + 5]} for "
                  f"{ids[step:step + 5]}")
    print(f"{arguments.count} models: {same} with the same {arguments.tokens} tokens, {texts} of them with the same "
          f"text, {ties} ties, {len(wrong)} different {wrong}; {distinct / arguments.count:.0f} distinct tokens each")
    sys.exit(bool(wrong))


main()
