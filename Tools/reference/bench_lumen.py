"""The Python side of `make bench`: the network of lumen.py answering and training as Vitrail does, on the same libtorch.

    python bench_lumen.py serve MODEL THREADS
        reads a line of JSON for each thing to do, writes a line with the milliseconds it took
    python bench_lumen.py first-answer MODEL THREADS PICTURE TOKEN,TOKEN,…
        starts, answers once, prints the boxes

Needs torch 2.11 and Pillow, and transformers for masks. Token ids come ready-made; everything else is done here, in the
way one would write it for speed in eager PyTorch: inference mode, channels-last convolutions, a step's pictures as one
batch, fused AdamW, foreach clipping, bfloat16 autocast that casts a weight once a step.
"""

import json
import os
import sys
import time
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from PIL import Image

import lumen

PARTS = ("image_encoder", "projector", "language_model", "aligner")
# ImageNet's colours, which SAM was trained with.
MEAN, DEVIATION = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64, "BOOL": torch.bool}


def read_safetensors(path):
    """Tensors over the file's bytes, without the safetensors package."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            dtype = DTYPES[entry["dtype"]]
            count = (end - start) // dtype.itemsize
            values = torch.frombuffer(data, dtype=dtype, count=count, offset=start) if count else torch.empty(0, dtype=dtype)
            tensors[name] = values.view(entry["shape"])
    return tensors


def build(state, configuration=None):
    """The network of these parameters; the embedded model's attention unless the encoder's configuration is given."""
    lumen.use_joints(state["image_encoder.predict.weight"].shape[0] - 4 - 59)
    layers = 1 + max(int(name.split(".")[3]) for name in state if name.startswith("language_model.model.layers."))
    windows = {} if configuration is None else {"global_indexes": configuration.get("global_attn_indexes", range(4))}
    with torch.device("meta"):
        model = lumen.Lumen(state["language_model.model.embed_tokens.weight"].shape[0], layers, **windows)
    model.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return model.to(memory_format=torch.channels_last)


def folder_of(model, part):
    """Where a part of a model folder lies, None for a part that the model has not."""
    with open(f"{model}/model_index.json") as file:
        entry = json.load(file)["parts"].get(part)
    return entry and os.path.join(model, entry["path"])


def open_model(folder):
    state = {}
    for part in PARTS:
        tensors = read_safetensors(f"{folder_of(folder, part)}/model.safetensors")
        state |= {f"{part}.{name}": value for name, value in tensors.items()}
    with open(f"{folder_of(folder, 'image_encoder')}/config.json") as file:
        configuration = json.load(file)
    model = build(state, configuration).eval()
    model.sizes = configuration["min_image_size"], configuration["image_size"]
    return model


def open_segmenter(folder):
    """transformers' SamModel of the same sizes; what only Vitrail's decoder has is left out."""
    from transformers import SamConfig, SamModel

    folder = folder_of(folder, "segmenter")
    with open(f"{folder}/config.json") as file:
        configuration = json.load(file)
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    sam = SamModel(SamConfig(**{part: configuration[part] for part in parts}))
    state = {name: value.float() for name, value in read_safetensors(f"{folder}/model.safetensors").items()}
    positions = "shared_image_embedding.positional_embedding"
    state["prompt_encoder.shared_embedding.positional_embedding"] = state[positions]
    own = (
        "vision_encoder.skip.", "mask_decoder.skip.", "mask_decoder.boxes.", "mask_decoder.points.", "mask_decoder.refine.")
    sam.load_state_dict({name: value for name, value in state.items() if not name.startswith(own)})
    return sam.eval().to(memory_format=torch.channels_last)


# ---------------------------------------------------------------- answers


def tensor_of(image):
    """[1, 3, height, width] of 0...255."""
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(image.height, image.width, 3)
    return values.permute(2, 0, 1)[None].float()


def pixels_of(image, sizes):
    """[1, 3, h, w], the picture at the top left of sides that are multiples of 16, and its size there in pixels."""
    longest = max(image.size)
    side = min(max(longest, sizes[0]), sizes[1])
    fitted = tuple(max(1, int(length * side / longest + 0.5)) for length in image.size)
    if fitted != image.size:
        image = image.resize(fitted, Image.Resampling.BICUBIC)
    width, height = (-length % 16 for length in fitted)
    return F.pad(tensor_of(image), (0, width, 0, height), value=128), fitted


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return shared / (area(a) + area(b) - shared)


def places_of(maps, grid, fitted, size, threshold=0.4, peaks=100, limit=0.6):
    """For each query its boxes as corners with their centres, [x1, y1, x2, y2, x, y] in the picture's pixels."""
    (height, width), queries = grid, maps.heat.shape[1]
    heat = F.logsigmoid(maps.heat.float()).view(queries, 1, height, width)
    top = torch.where(heat == F.max_pool2d(heat, 3, 1, 1), heat, -1e4).view(queries, -1).topk(min(peaks, height * width))
    scores, cells = top.values.exp(), top.indices
    at_peaks = lambda values: values[0].float().gather(1, cells[..., None].expand(-1, -1, 2))
    centres = torch.stack([cells % width, cells // width], 2) + 0.5 + at_peaks(maps.offset)
    sides = 16 * at_peaks(maps.log_size).clamp(-3, 4).exp()
    corners = torch.cat([centres * 4 - sides / 2, centres * 4 + sides / 2, centres * 4], 2)
    ends = torch.tensor([*size] * 3)
    places = (corners * (ends / torch.tensor([*fitted] * 3))).clamp(min=0).minimum(ends).tolist()
    found = []
    for candidates, row in zip(places, scores.tolist()):
        kept = []
        for place, score in zip(candidates, row):
            if score < threshold:
                break
            inside = place[2] > place[0] and place[3] > place[1]
            if inside and all(overlap(place, other) <= limit for other in kept):
                kept.append(place)
        found.append(kept)
    return found


def masks_of(sam, image, places):
    """[places, height, width] of the picture's size; a place shows its thing by its centre and its box."""
    if not places:
        return None
    size = sam.config.vision_config.image_size
    scale = size / max(image.size)
    width, height = (max(1, min(size, int(length * scale + 0.5))) for length in image.size)
    small = image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = (tensor_of(small) / 255 - MEAN) / DEVIATION
    embedding = sam.get_image_embeddings(F.pad(pixels, (0, size - width, 0, size - height)))
    shown = torch.tensor(places) * torch.tensor([width / image.width, height / image.height] * 3)
    out = sam(
        image_embeddings=embedding, input_points=shown[None, :, None, 4:], input_boxes=shown[None, :, :4],
        input_labels=torch.ones(1, len(places), 1, dtype=torch.long), multimask_output=False)
    logits = F.interpolate(out.pred_masks[0], (size, size), mode="bilinear")[..., :height, :width]
    return F.interpolate(logits, (image.height, image.width), mode="bilinear")[:, 0] > 0


@torch.inference_mode()
def answer(model, path, rows, segmenter=None):
    image = Image.open(path).convert("RGB")
    pixels, fitted = pixels_of(image, model.sizes)
    features = model.encode(((pixels - 128) / 64).contiguous(memory_format=torch.channels_last))
    cache = model.prefix(features)
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])[None]
    last = torch.tensor([len(row) - 1 for row in rows])
    loc = model.text(cache, ids)[0, torch.arange(len(rows)), last][None]
    maps = model.align(loc, features)
    found = places_of(maps, [2 * side for side in features.grid], fitted, image.size)
    masks = segmenter and masks_of(segmenter, image, [place for places in found for place in places])
    boxes = [[[x, y, right - x, bottom - y] for x, y, right, bottom, *_ in places] for places in found]
    return boxes, maps.heat.float().sigmoid(), masks


# ---------------------------------------------------------------- training, as Sources/Training/Losses.swift


def focal(logits, target):
    positive = (target >= 0.9999).float()
    p = logits.sigmoid()
    hit = positive * (1 - p) ** 2 * F.logsigmoid(logits)
    miss = (1 - positive) * (1 - target) ** 4 * p**2 * F.logsigmoid(-logits)
    return -(hit + miss).sum() / positive.sum().clamp(min=1)


def box_loss(log_size, offset, truth):
    """Of the cells that learn a box, [n, 2] each: L1 of log sizes, half of that of offsets, and 1 - IoU."""

    def sides(log_size, offset):
        length = log_size.clamp(-3, 4).exp() * 16
        return offset * 4 - length / 2, offset * 4 + length / 2, length.prod(1)

    (low, high, area), (true_low, true_high, true_area) = sides(log_size, offset), sides(truth.log_size, truth.offset)
    shared = (high.minimum(true_high) - low.maximum(true_low)).clamp(min=0).prod(1)
    size, shift = ((a - b).abs().sum(1) for a, b in ((log_size, truth.log_size), (offset, truth.offset)))
    loss = size + shift * 0.5 + 1 - shared / (area + true_area - shared)
    return (loss * truth.weight).sum() / truth.weight.sum()


def dense_losses(features, truth):
    maps = features.dense.flatten(2)
    heat = focal(maps[:, :lumen.THINGS], truth.heat)
    seen = lumen.rows(features.dense).flatten(0, 1).index_select(0, truth.cells)
    weight, attributes = truth.weight / truth.weight.sum(), 0
    for group, (a, b) in enumerate(lumen.GROUPS):
        b = lumen.THINGS if group == 0 else b
        target = truth.traits[:, group]
        loss = F.cross_entropy(seen[:, a:b], target.clamp(min=0), reduction="none")
        attributes = attributes + (loss * weight * (target >= 0).float()).sum()
    a = lumen.ATTRIBUTES
    return {
        "dense_heat": heat, "dense_attributes": attributes,
        "dense_box": box_loss(seen[:, a:a + 2], seen[:, a + 2:a + 4], truth),
    }


def depths(count):
    """A third and two thirds up, what is before and after the first of them and before the second, the end and before."""
    low, middle = (count + 1) // 3, (2 * count + 1) // 3
    return sorted({low - 1, low, low + 1, middle - 1, middle, count - 1, count})


def states(language, cache, ids):
    """Hidden states [tokens, width] of LanguageModel.text at the depths of `depths`, normalised."""
    _, queries, length = ids.shape
    model, start = language.model, cache[0][0].shape[2]
    table = lumen.rotary(torch.arange(start, start + length), language.head_width, language.theta)
    x, out = model.embed_tokens(ids.flatten(0, 1)), []
    causal = torch.full((length, length), -1e4).triu(1).to(cache[0][0].dtype)
    for number, (layer, (keys, values)) in enumerate(zip(model.layers, cache), 1):
        x = x + layer.self_attn.text(layer.input_layernorm(x), table, keys, values, queries, causal)
        x = x + layer.mlp(layer.post_attention_layernorm(x))
        if number in depths(len(cache)):
            out.append(model.norm(x).flatten(0, 1))
    return out


def told(model, hidden, truth, name, place_name):
    """What hidden states are told: the attributes that are named, and where the one thing meant is."""
    if not len(truth.positions):
        return {}
    read = model.aligner.attributes(hidden.index_select(0, truth.positions)).float()
    names, named = lumen.ATTRIBUTES, 0
    for group, (a, b) in enumerate(lumen.GROUPS):
        logits, target = torch.cat([read[:, a:b], read[:, names + group:names + group + 1]], 1), truth.named[:, group]
        known = (target != -100).float().sum().clamp(min=1)
        named = named + F.cross_entropy(logits, target, reduction="sum") / known
    start = names + len(lumen.GROUPS)
    if hasattr(truth, "one"):
        named = named + F.binary_cross_entropy_with_logits(read[:, start + 2], truth.one)
    error = (read[:, start:start + 2] - truth.place).abs().sum(1) * truth.single
    return {name: named, place_name: error.sum() / truth.single.sum().clamp(min=1)}


def anchor_place(model, hidden, truths):
    positions, anchor, anchored = (torch.cat([getattr(t, n) for t in truths]) for n in ("positions", "anchor", "anchored"))
    read = model.aligner.attributes(hidden.index_select(0, positions)).float()
    return ((read[:, -2:] - anchor).abs().sum(1) * anchored).sum() / anchored.sum().clamp(min=1)


def look(model, hidden, cache, depth, batch, name):
    """The image heads' weight on what is meant, the logarithm, negative."""
    things = getattr(batch, f"{name}_things", None)
    if things is None:
        return 0
    chosen = hidden.index_select(0, getattr(batch, name).positions.index_select(0, things.told))
    scores = model.language_model.image_scores(chosen, cache, depth, things.images).float()
    there = scores + ((things.patches - 1) * 1e4)[:, None]
    return (scores.logsumexp(2) - there.logsumexp(2)).mean()


def losses(model, batch, words):
    features = model.encode(((batch.pixels - 128) / 64).contiguous(memory_format=torch.channels_last))
    parts = dense_losses(features, batch.dense)
    embeddings, patches = model.projector(features)
    cache = model.language_model.prefix(embeddings)
    logits = model.projector.word_logits(patches, model.language_model.model.embed_tokens(words))
    parts["words"] = F.binary_cross_entropy_with_logits(logits, batch.words)

    levels = zip(*(states(model.language_model, cache, ids) for ids in batch.ids))
    at = dict(zip(depths(len(cache)), (torch.cat(group) for group in levels)))
    below, above, last = (len(cache) + 1) // 3, (2 * len(cache) + 1) // 3, at[len(cache)]
    low, middle = at[below], at[above]
    for name, following in (("location", batch.location), ("text", batch.text), ("answer", batch.varying)):
        if len(following.sources):
            scores = model.logits(last.index_select(0, following.sources)).float()
            parts[name] = F.cross_entropy(scores, following.targets)
    parts |= told(model, last, batch.loc, "named", "place")
    parts |= told(model, middle, batch.loc, "named_early", "place_early")
    parts |= told(model, low, batch.mentions, "mention", "mention_place")
    parts |= told(model, middle, batch.subjects, "subject", "subject_place")
    parts["anchor_place"] = anchor_place(model, at[below + 1], [batch.loc, batch.subjects])
    if len(batch.relations.positions):
        read = lambda depth: model.aligner.relation(at[depth].index_select(0, batch.relations.positions)).float()
        parts["direction"] = F.cross_entropy(read(above)[:, :4], batch.relations.directions)
        parts["beside"] = F.l1_loss(read(len(cache) - 1)[:, 4], batch.relations.distances)
    if len(batch.lists.positions):
        read = model.aligner.attributes(middle.index_select(0, batch.lists.positions)).float()[:, :lumen.THINGS]
        error = F.binary_cross_entropy_with_logits(read, batch.lists.kinds, reduction="sum")
        parts["unlisted"] = error / len(batch.lists.kinds)
    parts["look"] = look(model, at[below - 1], cache, below - 1, batch, "mentions") + sum(
        look(model, at[above - 1], cache, above - 1, batch, name) for name in ("loc", "subjects", "lists"))
    if hasattr(batch, "anchors"):
        anchors = batch.anchors
        texts = low.index_select(0, anchors.texts.flatten()).view(*anchors.texts.shape, -1)
        scores = model.language_model.text_scores(texts, cache, below, anchors.images, anchors.tokens)
        parts["look_anchor"] = F.cross_entropy(scores, anchors.phrases + cache[0][0].shape[2])

    loc = last.index_select(0, batch.aligned).view(*batch.heat.shape[:2], -1)
    maps = model.align(loc, features)
    parts["heat"] = focal(maps.heat, batch.heat)
    if len(batch.boxes.cells):
        chosen = lambda values: values.reshape(-1, 2).index_select(0, batch.boxes.cells)
        parts["box"] = box_loss(chosen(maps.log_size), chosen(maps.offset), batch.boxes)
    return parts


def read_batch(path):
    """The tensors by the parts of their names: `dense.heat` is batch.dense.heat, `ids.0` and so on a list."""
    batch = SimpleNamespace(ids=[])
    for name, tensor in read_safetensors(path).items():
        group, _, field = name.partition(".")
        if group == "ids":
            batch.ids.append((int(field), tensor))
        elif field:
            if not hasattr(batch, group):
                setattr(batch, group, SimpleNamespace())
            setattr(getattr(batch, group), field, tensor)
        else:
            setattr(batch, name, tensor)
    batch.ids = [tensor for _, tensor in sorted(batch.ids, key=lambda entry: entry[0])]
    return batch


class Training:
    def __init__(self, folder, words):
        self.folder = folder
        with open(f"{folder}/configuration.json") as file:
            self.configuration = json.load(file)
        self.weights = self.configuration["stages"][0]["losses"]
        self.batch = read_batch(f"{folder}/batch.safetensors")
        self.words = torch.tensor(words)
        saved = read_safetensors(f"{folder}/checkpoint.safetensors")
        model = build({name[6:]: value.clone() for name, value in saved.items() if name.startswith("model.")})
        self.model = model.train().requires_grad_(True)
        tables = ("position_embedding", "embed_tokens", "output_tokens")
        decays = lambda name, p: p.dim() >= 2 and not any(table in name for table in tables)
        named = list(self.model.named_parameters())
        self.optimizer = torch.optim.AdamW(
            [{"params": [p for n, p in named if decays(n, p)], "weight_decay": self.configuration["weight_decay"]},
             {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0}],
            lr=1e-5, betas=(0.9, 0.98), fused=True)

    def step(self):
        """The weighted losses by name."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.configuration["mixed_precision"]):
            parts = losses(self.model, self.batch, self.words)
        shared = {"answer": "text", "anchor_place": "subject_place", "unlisted": "subject", "look_anchor": "look",
                  "direction": "subject", "beside": "subject_place"}
        weight = lambda name: self.weights[
            "dense" if name.startswith("dense_") else shared.get(name, name.removesuffix("_early"))]
        parts = {name: value * weight(name) for name, value in parts.items()}
        self.optimizer.zero_grad(set_to_none=True)
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.configuration["gradient_limit"], foreach=True)
        self.optimizer.step()
        return {name: value.item() for name, value in parts.items()}


# ---------------------------------------------------------------- the two modes


def timed(count, body):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        result = body()
        times.append((time.perf_counter() - start) * 1000)
    return times, result


def serve(folder):
    model, segmenter, training = open_model(folder), None, None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "answer":
            if request["masks"]:
                segmenter = segmenter or open_segmenter(folder)
            chosen = segmenter if request["masks"] else None
            isLow = request["dtype"] == "bfloat16"
            with torch.autocast("cpu", torch.bfloat16, enabled=isLow):
                times, (boxes, *_) = timed(
                    request["count"], lambda: answer(model, request["picture"], request["rows"], chosen))
            reply = {"milliseconds": times, "boxes": boxes}
        elif request["do"] == "train":
            if training is None or training.folder != request["folder"]:
                training = Training(request["folder"], request["words"])
            times, parts = timed(request["count"], training.step)
            reply = {"milliseconds": times, "losses": parts}
        else:
            a, b, count = torch.ones(8), torch.ones(8), range(request["count"])

            def add():
                for _ in count:
                    a + b

            with torch.inference_mode():
                reply = {"milliseconds": timed(5, add)[0]}
        print(json.dumps(reply), flush=True)


torch.set_num_threads(int(sys.argv[3]))
if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    tokens = [int(token) for token in sys.argv[5].split(",")]
    print(answer(open_model(sys.argv[2]), sys.argv[4], [tokens])[0], flush=True)
