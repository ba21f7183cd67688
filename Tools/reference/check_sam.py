"""Compares `vitrail segment` with the reference implementations on SAMs of random configurations and random weights,
in every form in which SAM is published.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==4.57.6 segment-anything==1.0 pillow numpy pycocotools
    python Tools/reference/check_sam.py --count 60                          # and again with transformers==5.24.0

Each trial draws a configuration, weights, a picture and prompts, writes the model in one of its layouts, runs the program
on it and the reference in this process: transformers' SamModel and SamProcessor for Hugging Face's folders,
segment-anything's SamPredictor for the original layout. A trial agrees when every mask and its box is the reference's, but
for pixels whose logit is 0 within rounding, and every score is within 1e-4 of the largest. Some boxes reach out of the
picture. Hugging Face's folders are those that the installed transformers saves, or have their image processor where the
other generation looks for it.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile

import numpy
import torch
from PIL import Image
from pycocotools import mask as coco
import transformers
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import AutoImageProcessor, SamConfig, SamImageProcessor, SamMaskDecoderConfig, SamModel, SamProcessor
from transformers import SamPromptEncoderConfig, SamVisionConfig

# transformers 5 writes no `.bin`.
NEW = int(transformers.__version__.split(".")[0]) >= 5
LAYOUTS = ["safetensors", "shards", "pth", "pth in a folder"] if NEW else [
    "safetensors", "shards", "bin", "bin shards", "pth", "pth in a folder"]
# A logit this near 0, as a share of the largest, may fall on either side.
ROUNDING = 2e-4


def randomise(model, seed, scale):
    """Weights large enough that every part shows in the output."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter, mean, deviation):
        parameter.copy_(mean + deviation * torch.randn(parameter.shape, generator=generator))

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or ".neck.1" in name or ".neck.3" in name or "upscaling.1" in name or "downscaling.1" in name \
                    or "downscaling.4" in name:
                normal(parameter, 1.0 if name.endswith("weight") else 0.0, 0.2)
            elif parameter.dim() == 1:
                normal(parameter, 0, 0.2)
            elif "embed" in name or "token" in name and "attn" not in name or "rel_pos" in name:
                normal(parameter, 0, 0.5)
            else:
                normal(parameter, 0, 1.2 * parameter[0].numel() ** -0.5)
        # The shared positions are a buffer, once or twice, and a parameter since transformers 5.
        positions = [b for n, b in list(model.named_buffers()) + list(model.named_parameters()) if "positional" in n]
        normal(positions[0], 0, scale)
        for other in positions[1:]:
            other.copy_(positions[0])
    return model.eval()


class Trial:
    """What is drawn, the same for both layouts; `original` keeps to what the original layout can express."""

    def __init__(self, random, original):
        choice = random.choice
        self.heads = choice([1, 2, 3, 4])
        self.width = self.heads * choice([4, 8, 12, 20])
        self.layers = choice([1, 2, 3, 5])
        self.patch = choice([4, 8, 16, 14])
        self.grid = choice([3, 5, 7, 8, 12])
        self.image = self.grid * self.patch + (0 if original else choice([0, 0, 0, 1]))
        self.window = choice([2, 3, 4, 5, 7, 14] + ([] if original else [0]))
        self.globals = sorted(random.sample(range(self.layers), random.randint(0, self.layers)))
        if original and self.window == self.grid:
            self.window += 1
        if original and len(self.globals) == self.layers and random.random() < 0.5:
            self.globals = self.globals[1:]
        self.bias = random.random() < 0.8
        self.absolute = random.random() < 0.85 or original
        self.relative = original or random.random() < 0.85
        self.ratio = choice([1.0, 2.5, 4.0])
        self.decoder_heads = 8 if original else choice([1, 2, 4])
        self.rate = choice([1, 2])
        self.decoder = self.decoder_heads * self.rate * choice([2, 4]) * (1 if original else 2)
        if self.decoder % 8:
            self.decoder *= 2
        self.decoder_mlp = choice([16, 40, 96])
        self.decoder_layers = choice([1, 2, 3])
        self.masks = choice([1, 2, 3, 4])
        self.depth = choice([2, 3, 4])
        self.score_width = choice([8, 24])
        self.channels = choice([4, 8, 16])
        # As published, or what transformers draws for a new model.
        self.positions = choice([1.0, 1.0, self.width // 2])
        self.size = choice([(100, 60), (37, 91), (64, 64), (1, 40), (313, 200), (1301, 777), (640, 480), (25, 24)])

    def transformers(self):
        vision = SamVisionConfig(
            hidden_size=self.width, output_channels=self.decoder, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, image_size=self.image, patch_size=self.patch, qkv_bias=self.bias,
            mlp_ratio=self.ratio, mlp_dim=int(self.width * self.ratio), use_abs_pos=self.absolute,
            use_rel_pos=self.relative, window_size=self.window, global_attn_indexes=self.globals,
            num_pos_feats=self.decoder // 2)
        prompts = SamPromptEncoderConfig(
            hidden_size=self.decoder, image_size=self.image, patch_size=self.patch, mask_input_channels=self.channels)
        decoder = SamMaskDecoderConfig(
            hidden_size=self.decoder, mlp_dim=self.decoder_mlp, num_hidden_layers=self.decoder_layers,
            num_attention_heads=self.decoder_heads, attention_downsample_rate=self.rate,
            num_multimask_outputs=self.masks, iou_head_depth=self.depth, iou_head_hidden_dim=self.score_width)
        return SamModel(SamConfig(
            vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder))

    def original(self):
        return Sam(
            ImageEncoderViT(
                img_size=self.image, patch_size=self.patch, embed_dim=self.width, depth=self.layers,
                num_heads=self.heads, mlp_ratio=self.ratio, out_chans=self.decoder, qkv_bias=self.bias,
                norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6), use_rel_pos=True,
                window_size=self.window, global_attn_indexes=self.globals),
            PromptEncoder(self.decoder, (self.grid, self.grid), (self.image, self.image), self.channels),
            MaskDecoder(
                num_multimask_outputs=self.masks, iou_head_depth=self.depth, iou_head_hidden_dim=self.score_width,
                transformer_dim=self.decoder, transformer=TwoWayTransformer(
                    depth=self.decoder_layers, embedding_dim=self.decoder, mlp_dim=self.decoder_mlp,
                    num_heads=8, attention_downsample_rate=self.rate)))


def prompts(random, width, height):
    """One or several prompts in the program's order, each points, labels and a box, and the options that say so."""
    def coordinate(size):
        return round(random.random() * size, 2)

    def box():
        x, y = sorted([coordinate(width), coordinate(width)]), sorted([coordinate(height), coordinate(height)])
        inside = [x[0], y[0], x[1] + 0.01, y[1] + 0.01] if x[1] < width and y[1] < height else [0, 0, width, height]
        if random.random() < 0.3:
            out = [random.choice([0, 0, 0.1, 1, 3]) * side for side in [width, height, width, height]]
            return [round(v, 2) for v in [inside[0] - out[0], inside[1] - out[1], inside[2] + out[2], inside[3] + out[3]]]
        return inside

    points = [[coordinate(width), coordinate(height)] for _ in range(random.choice([0, 0, 1, 1, 2, 5]))]
    labels = [random.choice([0, 1, 1]) for _ in points]
    boxes = [box() for _ in range(random.choice([0, 1, 1, 3] if points else [1, 1, 3]))]
    options = [f"--point={x},{y},{label}" for (x, y), label in zip(points, labels)]
    options += [f"--box={','.join(map(str, each))}" for each in boxes]
    if len(boxes) == 1:
        return [(points, labels, boxes[0])], options
    return ([(points, labels, None)] if points else []) + [([], [], each) for each in boxes], options


def expected(model, processor, picture, given, multimask):
    """Logits of the picture's size, and scores, of each prompt."""
    results = []
    if isinstance(model, Sam):
        predictor = SamPredictor(model)
        predictor.set_image(numpy.array(picture))
        for points, labels, box in given:
            masks, scores, _ = predictor.predict(
                numpy.array(points) if points else None, numpy.array(labels) if points else None,
                numpy.array(box) if box else None, multimask_output=multimask, return_logits=True)
            results.append((masks, scores))
        return results
    inputs = processor(picture, return_tensors="pt")
    with torch.no_grad():
        embedding = model.get_image_embeddings(inputs["pixel_values"])
        for points, labels, box in given:
            arguments = processor(
                picture, input_points=[[points]] if points else None, input_labels=[[labels]] if points else None,
                input_boxes=[[box]] if box else None, return_tensors="pt")
            out = model(
                image_embeddings=embedding, multimask_output=multimask,
                **{k: v for k, v in arguments.items() if k in ["input_points", "input_labels", "input_boxes"]})
            full = processor.image_processor.post_process_masks(
                out.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False)
            results.append((full[0][0].numpy(), out.iou_scores[0, 0].numpy()))
    return results


def write(model, trial, layout, folder, draw):
    """What the program is given, and the model as the reference reads it back."""
    if layout.startswith("pth"):
        path = folder / "sam_random.pth"
        torch.save(model.state_dict(), path)
        return (folder if layout == "pth in a folder" else path), None
    form = {} if NEW else {"safe_serialization": "bin" not in layout}
    model.save_pretrained(folder, max_shard_size="50KB" if "shards" in layout else "5GB", **form)
    if layout == "bin":
        # Published folders have the shared positions twice.
        state = torch.load(folder / "pytorch_model.bin")
        state["prompt_encoder.shared_embedding.positional_embedding"] = state[
            "shared_image_embedding.positional_embedding"]
        torch.save(state, folder / "pytorch_model.bin")
    size = trial.image
    processor = SamProcessor(SamImageProcessor(
        size={"longest_edge": size}, pad_size={"height": size, "width": size}))
    processor.save_pretrained(folder)
    reference = SamProcessor.from_pretrained(folder)
    reference.image_processor = AutoImageProcessor.from_pretrained(
        folder, **({"backend": "pil"} if NEW else {"use_fast": False}))
    place(folder, draw)
    return folder, reference


def place(folder, draw):
    """Puts what a folder says of its image processor where either generation has it, or where both look."""
    nested, own = folder / "processor_config.json", folder / "preprocessor_config.json"
    outer = json.loads(nested.read_text()) if nested.exists() else {"processor_class": "SamProcessor"}
    images = outer.pop("image_processor", None) or json.loads(own.read_text())
    own.unlink(missing_ok=True)
    form = draw.choice(["old", "new", "new and another old"])
    if form == "old":
        own.write_text(json.dumps(images))
    else:
        outer["image_processor"] = images
        if form == "new and another old":
            own.write_text(json.dumps(images | {"image_mean": [0.1, 0.2, 0.3], "resample": 3}))
    nested.write_text(json.dumps(outer))


def compare(found, results, width, height):
    """Why they differ, or nothing; how many pixels lie on the edge; how many masks are neither empty nor full."""
    edge, telling = 0, 0
    scale = max(float(abs(scores).max()) for _, scores in results)
    for answer, (logits, scores) in zip(found["results"], results, strict=True):
        if len(answer["masks"]) != len(scores):
            return "another number of masks", edge, telling
        for mask in answer["masks"]:
            index = max(0, mask["index"] - 1)
            truth = logits[index]
            pixels = coco.decode(mask["segmentation"]).astype(bool)
            if pixels.shape != (height, width):
                return f"a mask of {pixels.shape}", edge, telling
            different = pixels != (truth > 0)
            allowed = abs(truth) < ROUNDING * abs(logits).max()
            if (different & ~allowed).any():
                return f"{int((different & ~allowed).sum())} of {pixels.size} pixels differ", edge, telling
            edge += int(different.sum())
            telling += 0 < (truth > 0).mean() < 1
            if abs(mask["score"] - scores[index]) > 1e-4 * max(scale, 1e-2):
                return f"score {mask['score']}, expected {scores[index]}", edge, telling
            if mask["bbox"] != coco.toBbox(coco.encode(numpy.asfortranarray(pixels))).tolist():
                return f"box {mask['bbox']}", edge, telling
    return None, edge, telling


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vitrail", default=".build/release/vitrail")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one trial")
    options = parser.parse_args()
    torch.set_num_threads(2)
    agree, masks, edges, tellings = 0, 0, 0, 0
    per_layout = {layout: [0, 0] for layout in LAYOUTS}
    numbers = range(options.count) if options.only is None else [options.only]
    for number in numbers:
        draw = random.Random(f"{options.seed}-{number}")
        layout = LAYOUTS[number % len(LAYOUTS)]
        trial = Trial(draw, original=layout.startswith("pth"))
        model = trial.original() if layout.startswith("pth") else trial.transformers()
        randomise(model, draw.randrange(1 << 30), trial.positions)
        width, height = trial.size
        multimask = draw.random() < 0.4
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            pixels = numpy.random.default_rng(draw.randrange(1 << 30)).integers(0, 256, (9, 9, 3), dtype=numpy.uint8)
            picture = Image.fromarray(pixels).resize((width, height), Image.BICUBIC)
            image = folder / "picture.png"
            picture.save(image)
            (folder / "model").mkdir()
            path, processor = write(model, trial, layout, folder / "model", draw)
            given, arguments = prompts(draw, width, height)
            results = expected(model, processor, picture, given, multimask)
            done = subprocess.run(
                [options.vitrail, "segment", image, "--model", path, "--json"] + arguments
                + (["--multimask"] if multimask else []), capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip()
        else:
            reason, edge, telling = compare(json.loads(done.stdout), results, width, height)
            edges, tellings = edges + edge, tellings + telling
            masks += sum(len(scores) for _, scores in results)
        per_layout[layout][1] += 1
        if reason is None:
            agree += 1
            per_layout[layout][0] += 1
        else:
            print(f"trial {number} ({layout}): {reason}\n  {vars(trial)}\n  {' '.join(arguments)}", flush=True)
    print(", ".join(f"{layout} {a} of {b}" for layout, (a, b) in per_layout.items() if b))
    print(f"{agree} of {len(numbers)} trials agree; {masks} masks, {tellings} of them neither empty nor full, "
          f"{edges} pixels on the edge")


main()
