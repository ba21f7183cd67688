"""Small LLaVAs with random weights in the folder layouts that exist, for fixtures and for check_llava.py.

    pip install torch==2.11.0 transformers==4.57.1 tokenizers==0.22.2 sentencepiece pillow

The fixtures are of that version. check_llava.py runs with transformers 4.57 and 5.24, which save folders otherwise.
"""

import json
import pathlib
import random
import shutil
import tempfile

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM,
                          LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, LlamaTokenizer, LlamaTokenizerFast)

# The generation whose forms are written.
NEW = int(transformers.__version__.split(".")[0]) >= 5

WORDS = """the a red blue green star heart circle man woman dog cat street house tree sky sits stands runs is are there
two three what where who color picture image shows in on at with of and left right behind above large small one it
USER ASSISTANT A chat between curious user and an artificial intelligence assistant gives helpful detailed polite answers
to user's questions""".split()

# The template that llava-hf/llava-1.5-7b-hf publishes.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}"
    "{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")


def tokenizer(extra):
    """A SentencePiece-style BPE as Llama's `tokenizer.json` is, trained on a few sentences; `extra` tokens are added."""
    chooser = random.Random(0)
    texts = [" ".join(chooser.choices(WORDS, k=12)) for _ in range(400)]
    model = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    model.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{n:02X}>" for n in range(256)])
    # Words are cut for training alone; Llama's own tokenizer has no pre-tokenizer.
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    model.train_from_iterator(texts, trainer)
    made = json.loads(model.to_str())
    made["pre_tokenizer"] = None
    # Bytes are written as they are, and are no special tokens.
    made["added_tokens"] = [token for token in made["added_tokens"] if not token["content"].startswith("<0x")]
    model = Tokenizer.from_str(json.dumps(made))
    model.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    fast = LlamaTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.add_special_tokens({"additional_special_tokens": extra})
    return fast


def sentencepiece_tokenizer(extra, legacy):
    """The same kind as a `tokenizer.model`, which the original layout has, read by transformers' slow LlamaTokenizer,
    which ended with transformers 4."""
    chooser = random.Random(1)
    with tempfile.TemporaryDirectory() as place:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([" ".join(chooser.choices(WORDS, k=12)) for _ in range(400)]),
            model_prefix=f"{place}/tokenizer", vocab_size=400, model_type="bpe", byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
        words = LlamaTokenizer(f"{place}/tokenizer.model", legacy=legacy)
        # It reads the file again when it is saved.
        kept = pathlib.Path(tempfile.mkdtemp()) / "tokenizer.model"
        shutil.copy(words.vocab_file, kept)
        words.vocab_file = str(kept)
    words.add_tokens(extra, special_tokens=True)
    return words


def randomised(model, seed, spread=1.0):
    """Weights large enough that every part shows in what is written."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "layrnorm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2, generator=generator)
            elif parameter.dim() == 1:
                parameter.normal_(0, 0.2, generator=generator)
            else:
                fan = parameter[0].numel() if parameter.dim() > 1 else 1
                parameter.normal_(0, spread * fan ** -0.5, generator=generator)
            if "embed_tokens" in name:
                parameter.mul_(fan ** 0.5)
    return model.eval()


def rounded(model, dtype):
    """Weights as a file of `dtype` holds them, in float32. A module moved to another dtype would round its frequencies."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))
    return model


def image_processor(folder):
    """The image processor of a folder that works with Pillow, as vitrail does; torchvision's rounds otherwise."""
    from transformers import AutoImageProcessor
    return AutoImageProcessor.from_pretrained(folder, **({"backend": "pil"} if NEW else {"use_fast": False}))


def mixed(pick, folder):
    """Turns a folder that was saved by either generation of transformers into another form that means the same: what one
    of them calls so and the other so, in any mixture, and files that do not count beside those that do."""
    folder = pathlib.Path(folder)

    def read(name):
        return json.loads((folder / name).read_text())

    def write(name, value):
        (folder / name).write_text(json.dumps(value))

    config = read("config.json")
    text = config.get("text_config", config)
    rotary = dict(text.pop("rope_parameters", None) or text.pop("rope_scaling", None) or {"rope_type": "default"})
    rotary.setdefault("rope_theta", text.pop("rope_theta", 10000.0))
    theta = rotary["rope_theta"]
    form = pick.choice(["old", "new", "new", "new and old base", "old and another new", "new with null"])
    if form == "old" or form == "old and another new":
        del rotary["rope_theta"]
        kind = rotary.get("rope_type", rotary.get("type"))
        text["rope_theta"] = theta
        text["rope_scaling"] = rotary if kind != "default" else pick.choice([None, rotary, {}])
        if form == "old and another new" and text["rope_scaling"]:
            text["rope_parameters"] = {"rope_type": "default", "rope_theta": 77.0}
    else:
        text["rope_parameters"] = rotary
        if form == "new and old base":
            text["rope_theta"] = 77.0
        elif form == "new with null":
            text["rope_scaling"] = None
    if "text_config" in config and pick.random() < 0.3:
        # Either place ties.
        config["tie_word_embeddings"] = text.pop("tie_word_embeddings", False)
    if pick.random() < 0.3:
        config["torch_dtype"] = config.pop("dtype", "float32")
    write("config.json", config)

    if "text_config" in config:
        processor = read("processor_config.json")
        images = processor.pop("image_processor", None) or read("preprocessor_config.json")
        (folder / "preprocessor_config.json").unlink(missing_ok=True)
        form = pick.choice(["new", "old", "new and another old"])
        if form == "old":
            write("preprocessor_config.json", images)
        else:
            processor["image_processor"] = images
            if form == "new and another old":
                write("preprocessor_config.json", images | {"image_mean": [0.1, 0.2, 0.3], "resample": 2})
        write("processor_config.json", processor)

    template = folder / "chat_template.jinja"
    if template.exists() and pick.random() < 0.6:
        text = template.read_text()
        text = pick.choice([
            text.replace("\\n", "\n"), text.replace("'", '"'), text.replace("['role']", ".role"),
            text.replace("{% for message", "{# all of them -#}\n  {%- for message").replace(" + ", "+"),
            text.replace("%}{%", "%}\n    {%")])
        if pick.random() < 0.5:
            template.unlink()
            write("chat_template.json", {"chat_template": text})
        else:
            template.write_text(text)

    if (folder / "model.safetensors").exists():
        spelling = pick.choice(["as it is", "published", "saved", "in memory", "in memory, saved"])
        rename(folder / "model.safetensors", spelling)


def rename(path, spelling):
    """Gives the tensors of a LLaVA, or of a lone tower of CLIP, the names that they have in one of the forms."""
    from safetensors.torch import load_file, save_file
    tensors = load_file(path)
    if spelling == "as it is":
        return

    def renamed(name):
        for prefix in ["model.vision_tower.", "vision_tower."]:
            if name.startswith(prefix):
                rest = name.removeprefix(prefix).removeprefix("vision_model.")
                middle = "" if "saved" in spelling else "vision_model."
                return f"{'model.' if 'memory' in spelling else ''}vision_tower.{middle}{rest}"
        own = name.removeprefix("model.") if name.startswith(("model.language_model", "model.multi")) else name
        own = own.replace("language_model.model.", "language_model.").replace("language_model.lm_head", "lm_head")
        if "memory" in spelling:
            return own if own.startswith("lm_head") else f"model.{own}"
        if own.startswith("lm_head"):
            return f"language_model.{own}"
        return own.replace("language_model.", "language_model.model.", 1) if own.startswith("language_model.") else own

    save_file({renamed(name): tensor for name, tensor in tensors.items()}, path, {"format": "pt"})


def picture(seed, width, height):
    """A smooth picture with noise on it, so that filters show."""
    from PIL import Image
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    noisy = (smooth + 0.08 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)[0]
    return Image.fromarray((noisy * 255).to(torch.uint8).permute(1, 2, 0).numpy())


def processor(folder_tokenizer, side, patch, strategy="default", **options):
    images = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **options)
    return LlavaProcessor(
        image_processor=images, tokenizer=folder_tokenizer, patch_size=patch, num_additional_image_tokens=1,
        vision_feature_select_strategy=strategy, chat_template=TEMPLATE)


def hugging_face(folder, config, seed, *, saved_names=False, dtype=torch.float32, shards=None, bin_files=False,
                 **options):
    """A folder as `llava-hf` publishes them; with `saved_names` under the names that the classes have since 4.52."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = tokenizer(["<image>", "<pad>"])
    config.image_token_index = words.convert_tokens_to_ids("<image>")
    config.image_token_id = config.image_token_index
    model = randomised(LlavaForConditionalGeneration(config), seed).to(dtype)
    if saved_names:
        from safetensors.torch import save_file
        config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        tied = config.text_config.tie_word_embeddings
        save_file({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()
                   if not (tied and name == "lm_head.weight")}, folder / "model.safetensors", {"format": "pt"})
    else:
        # transformers 5 writes no `.bin`.
        options_of_files = {} if NEW else {"safe_serialization": not bin_files}
        model.save_pretrained(folder, max_shard_size=shards or "5GB", **options_of_files)
    processor(words, config.vision_config.image_size, config.vision_config.patch_size,
              config.vision_feature_select_strategy, **options).save_pretrained(folder)
    return model


def original(folder, tower_folder, seed, *, text, vision, projector="mlp2x_gelu", dtype=torch.float16, shards=2,
             aspect="pad", layer=-2, feature="patch", marks=False, inside=False, words=None):
    """A folder as `liuhaotian` publishes them, beside the CLIP tower that it names.

    Returns the tower, the projector's layers and the Llama, of transformers, with these weights; and the tokenizer.
    """
    folder, tower_folder = pathlib.Path(folder), pathlib.Path(tower_folder)
    for path in (folder, tower_folder):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    words = words or tokenizer([])
    llama = rounded(randomised(LlamaForCausalLM(text), seed), dtype)
    tower = rounded(randomised(CLIPVisionModel(vision), seed + 1), dtype)
    tower.save_pretrained(tower_folder)
    CLIPImageProcessor(size={"shortest_edge": vision.image_size},
                       crop_size={"height": vision.image_size, "width": vision.image_size}
                       ).save_pretrained(tower_folder)
    depth = 1 if projector == "linear" else int(projector[3])
    layers = [torch.nn.Linear(vision.hidden_size if n == 0 else text.hidden_size, text.hidden_size)
              for n in range(depth)]
    layers = [rounded(randomised(linear, seed + 2 + n), dtype) for n, linear in enumerate(layers)]
    weights = dict(llama.state_dict())
    for n, linear in enumerate(layers):
        middle = "" if projector == "linear" else f"{2 * n}."
        weights |= {f"model.mm_projector.{middle}{name}": value for name, value in linear.state_dict().items()}
    for n in range(text.num_hidden_layers):
        # Early checkpoints hold what is computed from the configuration, too.
        weights[f"model.layers.{n}.self_attn.rotary_emb.inv_freq"] = torch.ones(text.head_dim // 2)
    if inside:
        tower = rounded(randomised(CLIPVisionModel(vision), seed + 9), dtype)
        weights |= {f"model.vision_tower.vision_tower.{name}": value for name, value in tower.state_dict().items()}
    names = sorted(weights)
    index = {}
    for number in range(shards):
        part = {name: weights[name].to(dtype) for name in names[number::shards]}
        name = f"pytorch_model-{number + 1:05d}-of-{shards:05d}.bin"
        torch.save(part, folder / name)
        index |= dict.fromkeys(part, name)
    total = sum(value.numel() * value.element_size() for value in weights.values())
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index}))
    config = text.to_dict() | {
        "model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": f"openai/{tower_folder.name}",
        "mm_projector_type": projector, "mm_hidden_size": vision.hidden_size, "mm_vision_select_layer": layer,
        "mm_vision_select_feature": feature, "mm_use_im_start_end": marks, "image_aspect_ratio": aspect,
        "use_mm_proj": True, "tune_mm_mlp_adapter": False}
    if projector == "linear":
        del config["mm_projector_type"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    words.save_pretrained(folder)
    return tower, layers, llama, words
