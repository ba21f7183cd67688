"""The Python side of `make bench`: the network of lumen.py answering and training as Vitrail does, on the same libtorch.

    python bench_lumen.py serve MODEL THREADS
        reads a line of JSON for each thing to do, writes a line with the milliseconds it took
    python bench_lumen.py first-answer MODEL THREADS PICTURE TOKEN,TOKEN,…
        starts, answers once, prints the boxes

Needs torch 2.11 and Pillow. Token ids come ready-made; everything else is done here, in the way one would write it for
speed in eager PyTorch: inference mode, channels-last convolutions, fused AdamW, foreach clipping, bfloat16 autocast.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from PIL import Image

import lumen

SIZE, PARTS = 128, ("image_encoder", "projector", "language_model", "aligner")
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


def build(state):
    with torch.device("meta"):
        model = lumen.Lumen(state["language_model.model.embed_tokens.weight"].shape[0])
    model.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    model.image_encoder.to(memory_format=torch.channels_last)
    return model


def open_model(folder):
    state = {}
    for part in PARTS:
        tensors = read_safetensors(f"{folder}/{part}/model.safetensors")
        state |= {f"{part}.{name}": value for name, value in tensors.items()}
    return build(state).eval()


# ---------------------------------------------------------------- answers


def pixels_of(path):
    """[1, 3, 128, 128], the picture at the top left, and input pixels a picture pixel."""
    image = Image.open(path).convert("RGB")
    scale = SIZE / max(image.size)
    small = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    values = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(small.height, small.width, 3)
    values = values.permute(2, 0, 1)[None].float()
    return F.pad(values, (0, SIZE - small.width, 0, SIZE - small.height), value=128), scale, image.size


def parabola(before, at, after):
    curvature = before - 2 * at + after
    shift = (0.5 * (before - after) / curvature).clamp(-0.5, 0.5)
    return torch.where(curvature < -1e-4, shift, 0.0)


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def boxes_of(maps, scale, size, threshold=0.4, peaks=100, limit=0.6):
    queries, side = maps.heat.shape[1], SIZE // 4
    heat = F.logsigmoid(maps.heat.float()).view(queries, 1, side, side)
    top = torch.where(heat == F.max_pool2d(heat, 3, 1, 1), heat, -1e4).view(queries, -1).topk(peaks)
    scores, cells = top.values.exp(), top.indices
    padded = F.pad(heat, (1, 1, 1, 1), mode="replicate").view(queries, -1)
    middle = (cells // side + 1) * (side + 2) + cells % side + 1
    at = lambda offset: padded.gather(1, middle + offset)
    x = (cells % side + 0.5 + parabola(at(-1), at(0), at(1))) * 4
    y = (cells // side + 0.5 + parabola(at(-side - 2), at(0), at(side + 2))) * 4
    sides = 16 * maps.log_size[0].float().clamp(-3, 4).exp().gather(1, cells[..., None].expand(-1, -1, 2))
    low = torch.stack([x, y], 2) - sides / 2
    corners = torch.cat([low, low + sides], 2) / scale
    ends = torch.tensor([*size, *size])
    corners = torch.minimum(corners.clamp(min=0), ends)
    boxes = torch.cat([corners[..., :2], corners[..., 2:] - corners[..., :2]], 2).tolist()
    found = []
    for candidates, row in zip(boxes, scores.tolist()):
        kept = []
        for box, score in zip(candidates, row):
            if score < threshold:
                break
            if all(overlap(box, other) <= limit for other in kept):
                kept.append(box)
        found.append(kept)
    return found


@torch.inference_mode()
def answer(model, path, rows):
    pixels, scale, size = pixels_of(path)
    features = model.encode(((pixels - 128) / 64).contiguous(memory_format=torch.channels_last))
    cache = model.prefix(features)
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])[None]
    last = torch.tensor([len(row) - 1 for row in rows])
    loc = model.text(cache, ids)[0, torch.arange(len(rows)), last][None]
    maps = model.align(loc, features)
    heatmaps = F.interpolate(
        maps.heat.float().sigmoid().view(-1, 1, SIZE // 4, SIZE // 4), size=(SIZE, SIZE), mode="bilinear")
    return boxes_of(maps, scale, size), heatmaps


# ---------------------------------------------------------------- training, as Sources/Training/Losses.swift


def focal(logits, target):
    positive = (target >= 0.9999).float()
    p = logits.sigmoid()
    hit = positive * (1 - p) ** 2 * F.logsigmoid(logits)
    miss = (1 - positive) * (1 - target) ** 4 * p**2 * F.logsigmoid(-logits)
    return -(hit + miss).sum() / positive.sum().clamp(min=1)


def counted(logits, targets):
    return F.cross_entropy(logits, targets, reduction="sum") / (targets != -100).float().sum().clamp(min=1)


def truth(batch):
    at = (torch.arange(SIZE // 4) + 0.5) * 4
    y, x = (v.flatten() for v in torch.meshgrid(at, at, indexing="ij"))
    distance = [cells - batch["boxes"][..., axis, None] for axis, cells in enumerate((x, y))]
    units = [d / (batch["boxes"][..., axis + 2, None] * 0.045 + 2) for axis, d in enumerate(distance)]
    gaussian = ((units[0] ** 2 + units[1] ** 2) * -0.5).exp()
    nearest = (distance[0].abs() <= 2) & (distance[1].abs() <= 2)
    heat = torch.where(nearest, 1.0, gaussian) * batch["present"].float()[..., None]
    return heat, (batch["boxes"][..., 2:].clamp(min=1) / 16).log()


def dense_losses(features, heat, log_size, batch):
    maps = features.dense.flatten(2)
    kinds = (batch["traits"][..., :1] == torch.arange(lumen.KINDS)).float()
    losses = [focal(maps[:, :lumen.KINDS], (heat[:, :, None] * kinds[..., None]).amax(1))]
    best, owner = heat.max(1)
    image, cell = (best > 0.5).nonzero(as_tuple=True)
    object_, strength = owner[image, cell], best[image, cell]
    weight = strength / strength.sum()
    seen, traits = maps.transpose(1, 2)[image, cell], batch["traits"][image, object_]
    for group, (a, b) in list(enumerate(lumen.GROUPS))[1:]:
        target = traits[:, group]
        loss = F.cross_entropy(seen[:, a:b], target.clamp(min=0), reduction="none")
        losses.append((loss * weight * (target >= 0).float()).sum())
    losses.append(((seen[:, 27:29] - log_size[image, object_]).abs().sum(1) * weight).sum())
    return losses


def losses(model, batch, weights, words):
    features = model.encode(((batch["pixels"] - 128) / 64).contiguous(memory_format=torch.channels_last))
    heat, log_size = truth(batch)
    parts = [weights["dense"] * loss for loss in dense_losses(features, heat, log_size, batch)]
    embeddings, image_words = model.projector(features)
    cache = model.language_model.prefix(embeddings)
    logits = model.projector.word_logits(image_words, model.language_model.model.embed_tokens(words))
    parts.append(weights["words"] * F.binary_cross_entropy_with_logits(logits, batch["words"]))

    hidden = {}
    for kind, name in (("location", "location"), ("texts", "text")):
        states = model.text(cache, batch[f"{kind}.ids"])
        hidden[kind] = states.flatten(0, 2)
        scores = model.logits(hidden[kind].index_select(0, batch[f"{kind}.sources"])).float()
        parts.append(weights[name] * F.cross_entropy(scores, batch[f"{kind}.targets"]))

    members, single = batch["location.members"].float(), batch["location.single"]
    scenes, queries, objects = members.shape
    loc = hidden["location"].index_select(0, batch["location.loc"]).view(scenes, queries, -1)
    said = model.aligner.attributes(loc).float()
    named = 0
    for group, (a, b) in enumerate(lumen.GROUPS):
        choice = torch.cat([said[..., a:b], said[..., 27 + group:28 + group]], 2)
        named = named + counted(choice.flatten(0, 1), batch["location.named"][..., group].flatten())
    place = members @ (batch["boxes"][..., :2] / SIZE)
    offset = (said[..., 31:33] - place).abs().sum(2) * single
    parts += [weights["named"] * named, weights["place"] * offset.sum() / single.sum().clamp(min=1)]

    maps = model.align(loc, features)
    target, owner = (heat[:, None] * members[..., None]).max(2)
    parts.append(weights["heat"] * focal(maps.heat, target))
    near = (target > 0.5).float() * target
    sizes = log_size[:, None].expand(-1, queries, -1, -1).gather(2, owner[..., None].expand(-1, -1, -1, 2))
    error = (maps.log_size - sizes).abs().sum(3)
    parts.append(weights["size"] * (error * near).sum() / near.sum().clamp(min=1))

    if len(batch["texts.subject"]):
        read = model.aligner.attributes(hidden["texts"].index_select(0, batch["texts.subject"])).float()
        traits = sum(counted(read[:, a:b], batch["texts.subject_traits"][:, g]) for g, (a, b) in enumerate(lumen.GROUPS))
        place = (read[:, 31:33] - batch["texts.subject_place"]).abs().sum(1).mean()
        parts += [weights["subject"] * traits, weights["subject_place"] * place]
    return parts


class Training:
    def __init__(self, folder, words):
        self.configuration = json.load(open(f"{folder}/configuration.json"))
        self.batch = read_safetensors(f"{folder}/batch.safetensors")
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
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.configuration["mixed_precision"]):
            parts = losses(self.model, self.batch, self.configuration["losses"], self.words)
        total = sum(parts)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.configuration["gradient_limit"], foreach=True)
        self.optimizer.step()
        return [total.item()] + [part.item() for part in parts]


# ---------------------------------------------------------------- the two modes


def timed(count, body):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        result = body()
        times.append((time.perf_counter() - start) * 1000)
    return times, result


def serve(folder):
    model, training = open_model(folder), None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "answer":
            times, (boxes, _) = timed(
                request["count"], lambda: answer(model, request["picture"], request["rows"]))
            reply = {"milliseconds": times, "boxes": boxes}
        elif request["do"] == "train":
            training = training or Training(request["folder"], request["words"])
            times, values = timed(request["count"], training.step)
            reply = {"milliseconds": times, "loss": values[0]}
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
