"""Makes Tests/VitrailTests/Fixtures/sam: a small SamModel of transformers with random weights as it saves itself, and
what it gives for a picture and prompts of every form.

    pip install torch==2.11.0 transformers==4.57.1 safetensors==0.8.0 pillow numpy
    python Tools/reference/sam.py
"""

import json
import pathlib

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import SamConfig, SamImageProcessor, SamMaskDecoderConfig, SamModel, SamProcessor
from transformers import SamPromptEncoderConfig, SamVisionConfig

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests/VitrailTests/Fixtures/sam"
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
    for name, parameter in model.named_parameters():
        # Large enough that every part shows in the output.
        with torch.no_grad():
            if "norm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
            elif parameter.dim() == 1:
                parameter.normal_(0, 0.2)
            elif "embed" in name or "token" in name and "attn" not in name or "rel_pos" in name:
                parameter.normal_(0, 0.5)
            else:
                parameter.normal_(0, 1.2 * (parameter[0].numel()) ** -0.5)
    # Smooth enough that rounding of the phases stays below the tolerance.
    positions = torch.randn(2, 16)
    model.shared_image_embedding.positional_embedding.copy_(positions)
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(positions)
    return model.eval()


def main():
    sam = model()
    FOLDER.mkdir(parents=True, exist_ok=True)
    sam.save_pretrained(FOLDER, safe_serialization=True)
    # A picture wider than high, so that the input has an empty part.
    numbers = numpy.random.default_rng(2)
    small = numbers.integers(0, 256, (6, 10, 3), dtype=numpy.uint8)
    picture = Image.fromarray(small).resize((100, 60), Image.BICUBIC)
    processor = SamProcessor(SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}))
    inputs = processor(picture, return_tensors="pt")
    values = {"inputs/picture": torch.from_numpy(numpy.array(picture)), "outputs/pixels": inputs["pixel_values"]}
    with torch.no_grad():
        embedding = sam.get_image_embeddings(inputs["pixel_values"])
        values["outputs/embedding"] = embedding
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
                given = processor(picture, input_points=[prompt["points"]], input_labels=[prompt["labels"]],
                                  return_tensors="pt")
                arguments["input_points"] = given["input_points"].float()
                arguments["input_labels"] = given["input_labels"]
            if "boxes" in prompt:
                given = processor(picture, input_boxes=[prompt["boxes"]], return_tensors="pt")
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
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()}, FOLDER / "prompts.safetensors",
              {"prompts": json.dumps({name: {k: v for k, v in prompt.items() if k != "masks"}
                                      for name, prompt in prompts.items()})})
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    for path in sorted(FOLDER.iterdir()):
        path.chmod(0o644)
        print(path.name, path.stat().st_size, "bytes")


main()
