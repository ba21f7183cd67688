"""Makes Tests/{Encoders,Language,Perception}Tests/Fixtures/lumen.safetensors: a tiny LUMEN with random weights and what
lumen.py gives for it rung by rung, on inputs of the trained size, of another, and on one that is not square.

    pip install torch==2.11.0 safetensors==0.8.0
    python Tools/reference/lumen_fixtures.py
"""

import pathlib

import torch
from safetensors.torch import save_file

import lumen

TESTS = pathlib.Path(__file__).resolve().parents[2] / "Tests"
WIDTH, FINE, HEAD, GRID, VOCABULARY = 16, 8, 8, 4, 48
torch.set_num_threads(1)


def randomised(model, seed):
    """Weights large enough that every part shows in the output; also those that start as zeros."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if "norm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
            elif parameter.dim() < 2:
                parameter.normal_(0, 0.2)
            else:
                parameter.normal_(0, 1.2 * parameter[0].numel() ** -0.5)
    return model.eval()


def weights(model, prefix="weights"):
    return {f"{prefix}/{name}": tensor for name, tensor in model.state_dict().items()}


def save(target, values):
    path = TESTS / f"{target}Tests/Fixtures/lumen.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()}, path)
    path.chmod(0o644)
    print(path.relative_to(TESTS), path.stat().st_size, "bytes")


encoder = randomised(
    lumen.HybridViT(hidden=WIDTH, layers=2, heads=2, stem=(8, 8, 16), fine=FINE, head=HEAD, grid=GRID,
                    global_indexes=(1,)), 1)
projector = randomised(
    lumen.Projector(width=WIDTH, hidden=WIDTH, fine_channels=FINE + 2 * HEAD, unshuffle=2, scale=0.3, grid=GRID // 2), 2)
language = randomised(
    lumen.LanguageModel(VOCABULARY, hidden=WIDTH, layers=3, heads=4, image_heads=2, intermediate=24, theta=500.0), 3)
aligner = randomised(
    lumen.Aligner(width=WIDTH, hidden=WIDTH, layers=2, heads=2, up=8, fine=FINE + 2 * HEAD, fine_map=FINE, head=HEAD,
                  grid=GRID), 4)

torch.manual_seed(5)
pixels = {"square": torch.randint(0, 256, (2, 3, 32, 32)), "larger": torch.randint(0, 256, (1, 3, 48, 48)),
          "wide": torch.randint(0, 256, (1, 3, 32, 48))}
prefixes, answers = weights(language), weights(aligner)
images = weights(encoder, "encoder") | weights(projector, "projector")
ids = torch.randint(0, VOCABULARY, (2, 3, 6))
words = torch.randn(lumen.ATTRIBUTES - lumen.JOINTS, WIDTH)
images["inputs/words"], prefixes["inputs/ids"] = words, ids

with torch.no_grad():
    for name, values in pixels.items():
        features = encoder((values.float() - 128) / 64)
        embeddings, image_words = projector(features)
        cache = language.prefix(embeddings)
        images |= {
            f"inputs/{name}/pixels": values.to(torch.uint8), f"outputs/{name}/tokens": features.tokens,
            f"outputs/{name}/fine": features.fine, f"outputs/{name}/attributes": features.attributes,
            f"outputs/{name}/dense": features.dense, f"outputs/{name}/embeddings": embeddings,
            f"outputs/{name}/words": image_words,
            f"outputs/{name}/word_logits": projector.word_logits(image_words, words),
        }
        some = ids[:len(values)]
        hidden = language.text(cache, some)
        prefixes |= {f"inputs/{name}/embeddings": embeddings, f"outputs/{name}/hidden": hidden,
                     f"outputs/{name}/logits": language.logits(hidden)}
        for layer, (keys, entries) in enumerate(cache):
            prefixes |= {f"outputs/{name}/keys.{layer}": keys, f"outputs/{name}/values.{layer}": entries}
        # The number of images differs; texts of the last one look at it.
        states, image = torch.randn(3, 6, WIDTH, generator=torch.Generator().manual_seed(6)), torch.full((3,), len(values) - 1)
        tokens = torch.tensor([1, 5, 3])
        prefixes |= {f"inputs/{name}/states": states, f"inputs/{name}/looking": tokens, f"inputs/{name}/image": image,
                     f"outputs/{name}/image_scores": language.image_scores(states[:, 2], cache, 1, image),
                     f"outputs/{name}/text_scores": language.text_scores(states, cache, 1, image, tokens)}
        loc = hidden[:, :, 3]
        maps = aligner(loc, features)
        answers |= {
            f"inputs/{name}/loc": loc, f"inputs/{name}/grid": torch.tensor(features.grid),
            f"inputs/{name}/tokens": features.tokens, f"inputs/{name}/fine": features.fine,
            f"inputs/{name}/attributes": features.attributes, f"inputs/{name}/dense": features.dense,
            f"outputs/{name}/heat": maps.heat, f"outputs/{name}/log_size": maps.log_size, f"outputs/{name}/offset": maps.offset,
            f"outputs/{name}/named": maps.attributes, f"outputs/{name}/relation": aligner.relation(loc),
        }

# More than one window down and across, of which the last one is not full, or all are; one block in windows, and two.
with torch.no_grad():
    many = torch.randint(0, 256, (1, 3, 144, 304))
    for name, values in {"windows": many, "full_windows": many[..., :256]}.items():
        images[f"inputs/{name}/pixels"] = values.to(torch.uint8).contiguous()
        for layers, encoder.global_indexes in {1: (1,), 2: ()}.items():
            images[f"outputs/{name}/tokens.{layers}"] = encoder((values.float() - 128) / 64).tokens

# What training starts from where it is not random: the phrase's and the cell's names, matched by the gain.
start = lumen.Aligner(width=WIDTH, hidden=WIDTH, layers=1, heads=2, up=8, fine=FINE + 2 * HEAD, fine_map=FINE,
                      head=HEAD, grid=GRID)
answers |= {
    "outputs/start/match_query.weight": start.match_query.weight[:, WIDTH:],
    "outputs/start/match_key.weight": start.match_key.weight[:, HEAD:],
    "outputs/start/match_query.bias": start.match_query.bias, "outputs/start/match_key.bias": start.match_key.bias,
    "outputs/start/attributes.bias": start.attributes.bias[lumen.ATTRIBUTES:lumen.ATTRIBUTES + 4], "outputs/start/map_bias": start.map_bias,
    "outputs/start/relation.weight": start.relation.weight, "outputs/start/relation.bias": start.relation.bias,
}

save("Encoders", images)
save("Language", prefixes)
save("Perception", answers)
