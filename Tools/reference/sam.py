"""Makes the fixtures of SAM under Tests/VitrailTests/Fixtures: small models of random weights, and what they give for a
picture and prompts of every form.

- sam: transformers' SamModel as it saves itself
- sam-original: segment-anything's Sam, its state saved as the authors published theirs

    pip install torch==2.11.0 torchvision==0.26.0 transformers==4.57.1 segment-anything==1.0 safetensors==0.8.0 \\
        pillow==13.0.0 numpy
    python Tools/reference/sam.py
"""

import json
import pathlib

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import SamConfig, SamImageProcessor, SamMaskDecoderConfig, SamModel, SamProcessor
from transformers import SamPromptEncoderConfig, SamVisionConfig

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Tests/VitrailTests/Fixtures"
FOLDER = FIXTURES / "sam"
torch.set_num_threads(1)


def model():
    torch.manual_seed(1)
    config = SamConfig(
        SamVisionConfig(hidden_size=32, output_channels=32, num_hidden_layers=3, num_attention_heads=2, image_size=64,
                        patch_size=8, window_size=3, global_attn_indexes=[1], num_pos_feats=16, mlp_dim=48),
        SamPromptEncoderConfig(hidden_size=32, image_size=64, patch_size=8, mask_input_channels=8),
        SamMaskDecoderConfig(hidden_size=32, mlp_dim=40, num_attention_heads=4, iou_head_depth=3,
                             iou_head_hidden_dim=24))
    model = SamModel(config)
    randomise(model)
    # Smooth enough that rounding of the phases stays below the tolerance.
    positions = torch.randn(2, 16)
    model.shared_image_embedding.positional_embedding.copy_(positions)
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(positions)
    return model.eval()


def randomise(model):
    for name, parameter in model.named_parameters():
        # Large enough that every part shows in the output.
        with torch.no_grad():
            if "norm" in name or any(part in name for part in ORIGINAL_NORMS):
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
            elif parameter.dim() == 1:
                parameter.normal_(0, 0.2)
            elif "embed" in name or "token" in name and "attn" not in name or "rel_pos" in name:
                parameter.normal_(0, 0.5)
            else:
                parameter.normal_(0, 1.2 * (parameter[0].numel()) ** -0.5)


# Norms that the original calls by a number.
ORIGINAL_NORMS = ["neck.1.", "neck.3.", "downscaling.1.", "downscaling.4.", "upscaling.1."]


def picture():
    """Wider than high, so that the input has an empty part."""
    numbers = numpy.random.default_rng(2)
    small = numbers.integers(0, 256, (6, 10, 3), dtype=numpy.uint8)
    return Image.fromarray(small).resize((100, 60), Image.BICUBIC)


def pattern(width, height):
    """A picture that the tests draw, too."""
    y, x, c = numpy.mgrid[:height, :width, :3]
    return Image.fromarray(((x * (3 + 2 * c) + y * (5 + c) + x * y // (7 + c)) % 256).astype(numpy.uint8))


def huggingface():
    sam = model()
    FOLDER.mkdir(parents=True, exist_ok=True)
    sam.save_pretrained(FOLDER, safe_serialization=True)
    image = picture()
    processor = SamProcessor(SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}))
    processor.save_pretrained(FOLDER)
    inputs = processor(image, return_tensors="pt")
    values = {"inputs/picture": torch.from_numpy(numpy.array(image)), "outputs/pixels": inputs["pixel_values"]}
    published = SamImageProcessor()
    for width, height in [(1500, 1001), (777, 1301), (33, 1200), (5, 7), (1024, 1024)]:
        pixels = published(pattern(width, height), return_tensors="pt")["pixel_values"]
        values[f"outputs/processed/{width}x{height}"] = pixels.flatten()[::1999]
    with torch.no_grad():
        states = []
        for layer in sam.vision_encoder.layers:
            layer.register_forward_pre_hook(lambda _, given: states.append(given[0]))
        sam.vision_encoder.neck.register_forward_pre_hook(lambda _, given: states.append(given[0]))
        embedding = sam.get_image_embeddings(inputs["pixel_values"])
        for number, state in enumerate(states):
            values[f"outputs/states/{number}"] = state.clone()
        values["outputs/embedding"] = embedding
        values["outputs/bfloat16/embedding"] = sam.to(torch.bfloat16).get_image_embeddings(
            inputs["pixel_values"].to(torch.bfloat16)).float()
        sam = model()
        previous = torch.randn(1, 1, 32, 32) * 4
        prompts = {
            "point": dict(points=[[[20, 30]]], labels=[[1]]),
            "points": dict(points=[[[20, 30], [70.5, 8], [3, 55]]], labels=[[1, 0, 1]]),
            "box": dict(boxes=[[10, 12, 60, 50.5]]),
            "point_and_box": dict(points=[[[33, 30]]], labels=[[1]], boxes=[[10, 12, 60, 50]]),
            "several": dict(points=[[[33, 30]], [[80, 20]], [[1, 1]]], labels=[[1], [0], [1]],
                            boxes=[[10, 12, 60, 50], [70, 2, 99, 40], [0, 0, 100, 60]]),
            "padding": dict(points=[[[33, 30], [5, 5], [9, 9]]], labels=[[1, -10, -1]]),
            "previous": dict(points=[[[20, 30]]], labels=[[1]], masks=previous),
            "previous_alone": dict(masks=previous),
        }
        for name, prompt in prompts.items():
            arguments = {}
            if "points" in prompt:
                given = processor(image, input_points=[prompt["points"]], input_labels=[prompt["labels"]],
                                  return_tensors="pt")
                arguments["input_points"] = given["input_points"].float()
                arguments["input_labels"] = given["input_labels"]
            if "boxes" in prompt:
                given = processor(image, input_boxes=[prompt["boxes"]], return_tensors="pt")
                arguments["input_boxes"] = given["input_boxes"].float()
            if "masks" in prompt:
                arguments["input_masks"] = prompt["masks"]
            for key, value in arguments.items():
                values[f"inputs/{name}/{key}"] = value
            for multimask in [False, True]:
                out = sam(image_embeddings=embedding, multimask_output=multimask, **arguments)
                kind = "multi" if multimask else "single"
                values[f"outputs/{name}/{kind}/masks"] = out.pred_masks
                values[f"outputs/{name}/{kind}/scores"] = out.iou_scores
                full = processor.image_processor.post_process_masks(
                    out.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"],
                    pad_size={"height": 64, "width": 64})
                values[f"outputs/{name}/{kind}/full"] = full[0].to(torch.uint8)
        for width, height in [(97, 61), (31, 150), (64, 64)]:
            scale = 64 / max(width, height)
            reshaped = (int(height * scale + 0.5), int(width * scale + 0.5))
            values[f"outputs/post/{width}x{height}"] = processor.image_processor.post_process_masks(
                values["outputs/point/multi/masks"], [(height, width)], [reshaped], binarize=False,
                pad_size={"height": 64, "width": 64})[0][0].flatten()[::7]
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()}, FOLDER / "prompts.safetensors",
              {"prompts": json.dumps({name: {k: v for k, v in prompt.items() if k != "masks"}
                                      for name, prompt in prompts.items()})})
    (FOLDER / "generation_config.json").unlink(missing_ok=True)


def original():
    torch.manual_seed(4)
    # Windows that need padding, a layer over the whole grid, rates that differ from the published ones.
    sam = Sam(
        ImageEncoderViT(
            img_size=56, patch_size=8, embed_dim=24, depth=3, num_heads=3, mlp_ratio=2.5, out_chans=32,
            norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6), use_rel_pos=True, window_size=4,
            global_attn_indexes=(1,)),
        PromptEncoder(embed_dim=32, image_embedding_size=(7, 7), input_image_size=(56, 56), mask_in_chans=8),
        MaskDecoder(
            num_multimask_outputs=3, iou_head_depth=4, iou_head_hidden_dim=24, transformer_dim=32,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=32, mlp_dim=40, num_heads=8, attention_downsample_rate=4)))
    randomise(sam)
    sam.eval()
    folder = FIXTURES / "sam-original"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(sam.state_dict(), folder / "sam_vit_small.pth")
    image = picture()
    predictor = SamPredictor(sam)
    predictor.set_image(numpy.array(image))
    values = {"inputs/picture": torch.from_numpy(numpy.array(image)), "outputs/embedding": predictor.features}
    previous = 4 * numpy.random.default_rng(3).standard_normal((1, 28, 28), dtype=numpy.float32)
    values["inputs/previous"] = torch.from_numpy(previous)
    prompts = {
        "point": dict(points=[[20, 30]], labels=[1]),
        "points": dict(points=[[20, 30], [70.5, 8], [3, 55]], labels=[1, 0, 1]),
        "box": dict(box=[10, 12, 60, 50.5]),
        "point_and_box": dict(points=[[33, 30]], labels=[0], box=[10, 12, 60, 50]),
        "previous": dict(points=[[20, 30]], labels=[1], previous=True),
    }
    for name, prompt in prompts.items():
        for kind, multimask in [("single", False), ("multi", True)]:
            points = prompt.get("points")
            masks, scores, logits = predictor.predict(
                numpy.array(points) if points else None, numpy.array(prompt["labels"]) if points else None,
                numpy.array(prompt["box"]) if "box" in prompt else None,
                previous if "previous" in prompt else None, multimask_output=multimask)
            values[f"outputs/{name}/{kind}/masks"] = torch.from_numpy(logits)
            values[f"outputs/{name}/{kind}/scores"] = torch.from_numpy(scores)
            values[f"outputs/{name}/{kind}/full"] = torch.from_numpy(masks.astype(numpy.uint8))
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()},
              folder / "prompts.safetensors", {"prompts": json.dumps(prompts)})


huggingface()
original()
for path in sorted(FOLDER.iterdir()) + sorted((FIXTURES / "sam-original").iterdir()):
    path.chmod(0o644)
    print(path.relative_to(FIXTURES), path.stat().st_size, "bytes")
