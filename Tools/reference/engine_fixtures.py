"""Makes the fixtures of Tests/TorchTests, Tests/NNTests and Tests/CheckpointsTests:
what PyTorch gives for every operator that the Torch module wraps, its random streams, a small network's
gradients, ten steps of its AdamW and five of its Muon. Names are `inputs/NAME` and `outputs/CASE.NUMBER`.

    pip install torch==2.11.0 safetensors==0.8.0 numpy
    python Tools/reference/engine_fixtures.py
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

TESTS = pathlib.Path(__file__).resolve().parents[2] / "Tests"
torch.set_num_threads(1)
torch.manual_seed(11)


def randn(*shape):
    return torch.randn(*shape)


a, b, row = randn(3, 4), randn(3, 4), randn(4)
p = torch.rand(3, 4) + 0.5
n, k = torch.randint(-9, 10, (3, 4)), torch.randint(-3, 4, (3, 4))
m, m2 = a > 0, b > 0
cube = randn(2, 3, 4)
square = randn(4, 4)
ids = torch.tensor([[2, 0, 1], [1, 1, 2]])
columns = torch.tensor([[3, 0], [1, 2], [2, 2]])
updates = randn(3, 2)
odd = torch.tensor([[1.0, float("nan"), float("inf")], [-0.5, 0.5, 1.5]])
ties = torch.tensor([[2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 3.0, -1.0]])
whole = torch.tensor([7.0, -7.0, 8.0])
sequence = randn(2, 4, 9)
image = randn(2, 4, 6, 6)
volume = randn(1, 2, 4, 5, 5)
kernel1, kernel2, kernel3 = randn(6, 2, 3), randn(6, 2, 3, 3), randn(3, 2, 2, 3, 3)
kernelT = randn(4, 3, 3, 3)
bias6, bias3 = randn(6), randn(3)
weight, bias5 = randn(5, 4), randn(5)
gain, shift = randn(4), randn(4)
query, key, value = randn(1, 4, 3, 8), randn(1, 2, 5, 8), randn(1, 2, 5, 8)
scores = randn(3, 5)
allowed = torch.tensor([[1, 1, 0, 0, 1], [0, 1, 1, 1, 1], [1, 0, 1, 0, 1]]).bool()
self_query, self_key, self_value = randn(1, 2, 4, 8), randn(1, 2, 4, 8), randn(1, 2, 4, 8)
grid = torch.rand(2, 3, 5, 2) * 2.4 - 1.2
logits, targets = randn(4, 7), torch.tensor([1, 6, -100, 0])
probabilities = torch.rand(3, 4)
shares = torch.tensor([[1.0, 0.0, 3.0, 6.0], [5.0, 5.0, 0.0, 0.0]])

inputs = {name: value for name, value in list(globals().items()) if isinstance(value, torch.Tensor)}


def generator(seed=5):
    return torch.Generator().manual_seed(seed)


def written(target, change):
    target = target.clone()
    change(target)
    return target


def put(*index):
    """What is left after writing a column, and a number, into the places."""
    first, second = cube.clone(), cube.clone()
    first[index] = torch.ones_like(first[index]) * 2.5
    second[index] = -3
    return first, second


G = generator()
attention = F.scaled_dot_product_attention
interpolate = F.interpolate
clip = dict(align_corners=False)
cases = {
    # Making
    "full": lambda: torch.full((2, 3), 1.5, dtype=torch.float64),
    "zeros": lambda: torch.zeros(2, 3, dtype=torch.int32),
    "ones": lambda: torch.ones(4, dtype=torch.bool),
    "zerosLike": lambda: torch.zeros_like(n),
    "onesLike": lambda: torch.ones_like(a),
    "arange": lambda: torch.arange(-1, 2, 0.25),
    "arangeInt": lambda: torch.arange(2, 11, 3, dtype=torch.int64),
    "eye": lambda: torch.eye(3),
    "cat": lambda: torch.cat([a, b], 1),
    "stack": lambda: torch.stack([a, b], 1),
    "where": lambda: torch.where(m, a, row),
    # Moving and viewing
    "toDouble": lambda: a.to(torch.float64),
    "toInt": lambda: (a * 10).to(torch.int32),
    "clone": lambda: a.t().clone(),
    "copy": lambda: written(a, lambda t: t.copy_(row)),
    "fill": lambda: written(n, lambda t: t.fill_(4)),
    "view": lambda: a.view(2, 6),
    "bitcast": lambda: a.view(torch.int32),
    "reshaped": lambda: a.t().reshape(2, -1),
    "permuted": lambda: cube.permute(2, 0, 1),
    "transposed": lambda: cube.transpose(0, -1),
    "unsqueezed": lambda: a.unsqueeze(1),
    "squeezed": lambda: a.unsqueeze(1).squeeze(1),
    "flattened": lambda: cube.flatten(1),
    "flattenedPart": lambda: cube.flatten(0, 1),
    "unflattened": lambda: cube.unflatten(2, (2, 2)),
    "expanded": lambda: row.expand(3, -1),
    "repeated": lambda: a.repeat(2, 1),
    "repeatedInterleaved": lambda: a.repeat_interleave(2, 1),
    "narrowed": lambda: a.narrow(1, 1, 2),
    "split": lambda: a.split([1, 3], 1),
    "chunked": lambda: a.chunk(2, 1),
    "flipped": lambda: cube.flip(0, 2),
    "rolled": lambda: a.roll([1, -1], [0, 1]),
    "tril": lambda: square.tril(-1),
    "triu": lambda: square.triu(1),
    "indexSelected": lambda: a.index_select(0, ids[0]),
    "gathered": lambda: a.gather(1, columns),
    "scattered": lambda: a.scatter(1, columns[:1], updates[:1]),
    "scatterAdded": lambda: a.scatter_add(1, columns, updates),
    "maskedFilled": lambda: a.masked_fill(m, -2),
    "nonzero": lambda: m.nonzero(),
    # Subscripts
    "at": lambda: cube[1],
    "atNegative": lambda: cube[-1, 0, -2],
    "slices": lambda: cube[:, 1:3, 2:],
    "slicesOpen": lambda: cube[:1, :2, -2:],
    "slicesClosed": lambda: cube[0:2, :2, :],
    "strided": lambda: cube[:, :, 1:4:2],
    "newAxis": lambda: cube[:, None, 1],
    "ellipsis": lambda: cube[..., 2],
    "ellipsisMiddle": lambda: cube[1, ..., :2],
    "rows": lambda: a[ids],
    "masked": lambda: a[m],
    "maskedRows": lambda: cube[:, m[:, 0]],
    "pairs": lambda: a[ids[0], columns[:, 0]],
    "mixed": lambda: cube[:, ids[0], 1:],
    "apart": lambda: cube[ids[1] % 2, :, columns[:, 0]],
    "assignAt": lambda: put(1),
    "assignSlices": lambda: put(slice(None), slice(0, 2), -1),
    "assignRows": lambda: put(slice(None), torch.tensor([2, 0])),
    "assignMask": lambda: put(cube > 0),
    # Arithmetic
    "add": lambda: a + row,
    "addScalar": lambda: (a + 1.5, 1.5 + a),
    "subtract": lambda: a - row,
    "subtractScalar": lambda: (a - 1.5, 1.5 - a),
    "multiply": lambda: a * row,
    "multiplyScalar": lambda: (a * 1.5, 1.5 * a),
    "divide": lambda: a / p,
    "divideScalar": lambda: (a / 1.5, 1.5 / p),
    "integers": lambda: (n + k, n + 2, 2 + n, n - 2, 2 - n, n * 3, 3 * n, n / 2, n + 2.5),
    "negate": lambda: -a,
    "equal": lambda: (n == k, n == 2),
    "unequal": lambda: (n != k, n != 2),
    "less": lambda: (n < k, n < 2),
    "lessOrEqual": lambda: (n <= k, n <= 2),
    "greater": lambda: (n > k, n > 2),
    "greaterOrEqual": lambda: (n >= k, n >= 2),
    "logical": lambda: (m & m2, m | m2, ~m),
    "abs": lambda: a.abs(),
    "exp": lambda: a.exp(),
    "log": lambda: p.log(),
    "log1p": lambda: p.log1p(),
    "sqrt": lambda: p.sqrt(),
    "rsqrt": lambda: p.rsqrt(),
    "sin": lambda: a.sin(),
    "cos": lambda: a.cos(),
    "tanh": lambda: a.tanh(),
    "erf": lambda: a.erf(),
    "floor": lambda: a.floor(),
    "ceil": lambda: a.ceil(),
    "rounded": lambda: (odd[1]).round(),
    "reciprocal": lambda: p.reciprocal(),
    "pow": lambda: (p.pow(2.5), p.pow(a)),
    "clamped": lambda: (a.clamp(-0.5, 0.5), a.clamp(min=0), a.clamp(max=0)),
    "floorDivided": lambda: (n // 4, whole // 4),
    "remainder": lambda: (n % 4, whole % 4),
    "isNaN": lambda: odd.isnan(),
    "isFinite": lambda: odd.isfinite(),
    "sigmoid": lambda: a.sigmoid(),
    "logSigmoid": lambda: F.logsigmoid(a),
    "relu": lambda: a.relu(),
    "gelu": lambda: (F.gelu(a), F.gelu(a, approximate="tanh")),
    "silu": lambda: F.silu(a),
    "softplus": lambda: F.softplus(a * 30),
    "leakyRelu": lambda: F.leaky_relu(a, 0.2),
    "inPlace": lambda: written(a, lambda t: t.add_(row).mul_(3)),
    "zeroInPlace": lambda: torch.zeros_like(a),
    "maximum": lambda: torch.maximum(a, b),
    "minimum": lambda: torch.minimum(a, b),
    # Reductions
    "sum": lambda: (cube.sum(), cube.sum((0, 2)), cube.sum(-1, keepdim=True), m.sum()),
    "mean": lambda: (cube.mean(), cube.mean((0, 2)), cube.mean(1, keepdim=True)),
    "variance": lambda: (cube.var((0, 1)), cube.var(2, correction=0, keepdim=True), cube.var()),
    "standardDeviation": lambda: (cube.std((0, 1)), cube.std(2, correction=0, keepdim=True)),
    "product": lambda: (cube.prod(1), cube.prod(1, keepdim=True)),
    "extremes": lambda: (cube.max(), cube.min()),
    "max": lambda: (*a.max(1), *a.max(0, keepdim=True)),
    "min": lambda: (*a.min(1), *a.min(0, keepdim=True)),
    "amax": lambda: (cube.amax((0, 2)), cube.amax(1, keepdim=True), cube.amax()),
    "amin": lambda: (cube.amin((0, 2)), cube.amin(1, keepdim=True)),
    "argmax": lambda: (a.argmax(1), a.argmax(0, keepdim=True)),
    "argmin": lambda: (a.argmin(1), a.argmin(0, keepdim=True)),
    "cumulativeSum": lambda: a.cumsum(1),
    "norm": lambda: cube.norm(),
    "softmax": lambda: cube.softmax(1),
    "logSoftmax": lambda: cube.log_softmax(-1),
    "logSumExp": lambda: (cube.logsumexp(1), cube.logsumexp(1, keepdim=True)),
    "sorted": lambda: (*ties.sort(stable=True, dim=1), *ties.sort(stable=True, dim=0, descending=True)),
    "topK": lambda: (*a.topk(2), *a.topk(1, 0, largest=False)),
    # Networks
    "matmul": lambda: (a @ square, cube @ square, cube @ row),
    "einsum": lambda: torch.einsum("bij,kj->bik", cube, a),
    "linear": lambda: (F.linear(cube, weight), F.linear(cube, weight, bias5)),
    "conv1d": lambda: F.conv1d(sequence, kernel1, bias6, stride=2, padding=3, dilation=2, groups=2),
    "conv2d": lambda: (
        F.conv2d(image, kernel2, bias6, stride=2, padding=2, dilation=2, groups=2),
        F.conv2d(image[:, :2], kernel2),
    ),
    "conv3d": lambda: F.conv3d(volume, kernel3, bias3, stride=(1, 2, 1), padding=(0, 1, 2), dilation=(2, 1, 1)),
    "convTransposed2d": lambda: (
        F.conv_transpose2d(image, kernelT, bias3, stride=2, padding=1, output_padding=1),
        F.conv_transpose2d(image, kernelT[:, :2], stride=2, groups=2, dilation=2),
    ),
    "layerNorm": lambda: (F.layer_norm(cube, (3, 4)), F.layer_norm(cube, (4,), gain, shift, 1e-2)),
    "groupNorm": lambda: (F.group_norm(image, 2), F.group_norm(image, 4, gain, shift, 1e-2)),
    "rmsNorm": lambda: F.rms_norm(cube, (4,), gain, 1e-2),
    "embedding": lambda: F.embedding(ids, a),
    "attention": lambda: (
        attention(self_query, self_key, self_value),
        attention(self_query, self_key, self_value, is_causal=True, scale=0.3),
        attention(query, key, value, attn_mask=scores, enable_gqa=True),
        attention(query, key, value, attn_mask=allowed, enable_gqa=True),
    ),
    "interpolate": lambda: (
        interpolate(image, (9, 4), mode="nearest"),
        interpolate(image, (9, 4), mode="nearest-exact"),
        interpolate(image, (9, 4), mode="bilinear", **clip),
        interpolate(image, (9, 4), mode="bilinear", align_corners=True),
        interpolate(image, (9, 4), mode="bilinear", antialias=True, **clip),
        interpolate(image, (9, 4), mode="bicubic", **clip),
        interpolate(image, (9, 4), mode="bicubic", antialias=True, **clip),
    ),
    "maxPool2d": lambda: (F.max_pool2d(image, 2), F.max_pool2d(image, 3, 1, 1)),
    "averagePool2d": lambda: (F.avg_pool2d(image, 2), F.avg_pool2d(image, 3, 1, 1)),
    "adaptiveAveragePool2d": lambda: F.adaptive_avg_pool2d(image, (4, 1)),
    "pixelShuffle": lambda: F.pixel_shuffle(image, 2),
    "pixelUnshuffle": lambda: F.pixel_unshuffle(image, 3),
    "gridSample": lambda: F.grid_sample(image, grid, padding_mode="border", align_corners=False),
    "pad": lambda: (F.pad(image, (1, 2, 0, 3), value=0.5), F.pad(image, (1, 2, 0, 3), mode="replicate")),
    "orthonormal": lambda: torch.linalg.qr(square)[0],
    # Losses
    "crossEntropy": lambda: (
        F.cross_entropy(logits, targets),
        F.cross_entropy(logits, targets, reduction="none"),
        F.cross_entropy(logits, targets.clamp(min=0), ignore_index=6, label_smoothing=0.1, reduction="sum"),
    ),
    "binaryCrossEntropy": lambda: (
        F.binary_cross_entropy_with_logits(a, probabilities),
        F.binary_cross_entropy_with_logits(a, probabilities, reduction="none"),
    ),
    "meanSquaredError": lambda: (F.mse_loss(a, b), F.mse_loss(a, b, reduction="sum")),
    "l1Loss": lambda: (F.l1_loss(a, b), F.l1_loss(a, b, reduction="none")),
    "smoothL1Loss": lambda: (F.smooth_l1_loss(a, b), F.smooth_l1_loss(a, b, reduction="sum", beta=0.25)),
    # Steps of optimisers
    "totalNorm": lambda: torch.cat([a.flatten(), b.flatten()]).norm(),
    "scale": lambda: (a * 0.25, b * 0.25),
    # Precisions
    "bfloat16": lambda: (a.bfloat16(), a.bfloat16() @ square.bfloat16(), a.bfloat16().sum()),
    "float16": lambda: (a.half(), a.half() * b.half()),
    # Random streams: one generator through all of them, in this order
    "stream": lambda: (
        torch.randn(5, generator=G),
        torch.randn(40, generator=G),
        torch.rand(3, 7, generator=G),
        torch.randperm(23, generator=G),
        torch.randint(-3, 50, (4, 6), generator=G),
        torch.multinomial(shares, 2, generator=G),
        torch.multinomial(shares, 5, replacement=True, generator=G),
        torch.empty(33).normal_(2.0, 0.5, generator=G),
        torch.empty(33).uniform_(-2.0, 0.5, generator=G),
        torch.randn(6, generator=G, dtype=torch.float64),
    ),
    "state": lambda: generator(5).get_state(),
    "dropout": lambda: (torch.manual_seed(3), F.dropout(torch.ones(64), 0.25))[1],
}


def plain(tensor):
    """Its own memory, as safetensors wants it."""
    return tensor.detach().clone().contiguous()


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: plain(value) for name, value in values.items()}, path)
    print(path.relative_to(TESTS), path.stat().st_size, "bytes,", len(values), "tensors")


def outputs(results):
    for name, result in results.items():
        for number, tensor in enumerate(result if isinstance(result, (tuple, list)) else (result,)):
            yield f"outputs/{name}.{number}", tensor


values = {f"inputs/{name}": tensor for name, tensor in inputs.items()}
values.update(outputs({name: case() for name, case in cases.items()}))
save(TESTS / "TorchTests/Fixtures/engine.safetensors", values)

# A small network: its gradients, and ten steps of training it.
torch.manual_seed(12)
parameters = {
    "conv.weight": randn(4, 3, 3, 3) * 0.3,
    "conv.bias": randn(4) * 0.1,
    "norm.weight": randn(4) * 0.1 + 1,
    "norm.bias": randn(4) * 0.1,
    "fc1.weight": randn(8, 4) * 0.5,
    "fc1.bias": randn(8) * 0.1,
    "fc2.weight": randn(5, 8) * 0.5,
    "fc2.bias": randn(5) * 0.1,
}
pictures, classes = randn(6, 3, 5, 5), torch.randint(0, 5, (6,))
training = {"inputs/pictures": pictures, "inputs/classes": classes}
training |= {f"inputs/{name}": tensor for name, tensor in parameters.items()}


def loss(t):
    x = F.conv2d(pictures, t["conv.weight"], t["conv.bias"], stride=2, padding=1)
    x = F.group_norm(x, 2, t["norm.weight"], t["norm.bias"]).relu().mean((2, 3))
    x = F.gelu(F.linear(x, t["fc1.weight"], t["fc1.bias"]))
    return F.cross_entropy(F.linear(x, t["fc2.weight"], t["fc2.bias"]), classes)


leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
value = loss(leaves)
value.backward()
training["outputs/loss"] = value
training |= {f"outputs/grad/{name}": leaf.grad for name, leaf in leaves.items()}

leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
decayed = [leaf for leaf in leaves.values() if leaf.dim() > 1]
others = [leaf for leaf in leaves.values() if leaf.dim() == 1]
optimiser = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
    lr=0.01, betas=(0.9, 0.95), eps=1e-8, fused=True,
)
losses, norms = [], []
for step in range(10):
    optimiser.zero_grad()
    value = loss(leaves)
    value.backward()
    norms.append(torch.nn.utils.clip_grad_norm_(leaves.values(), 0.5))
    for group in optimiser.param_groups:
        group["lr"] = 0.01 * (step + 1) / 10
    optimiser.step()
    losses.append(value.detach())
training["outputs/losses"] = torch.stack(losses)
training["outputs/norms"] = torch.stack(norms)
training |= {f"outputs/trained/{name}": leaf for name, leaf in leaves.items()}
training |= {f"outputs/exp_avg/{name}": optimiser.state[leaf]["exp_avg"] for name, leaf in leaves.items()}
save(TESTS / "NNTests/Fixtures/training.safetensors", training)

muon = {}
matrices = {"tall": randn(8, 5), "wide": randn(4, 27), "square": randn(6, 6)}
muon |= {f"inputs/{name}": value.clone() for name, value in matrices.items()}
leaves = {name: torch.nn.Parameter(value.clone()) for name, value in matrices.items()}
optimiser = torch.optim.Muon(leaves.values(), weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
for step in range(5):
    for group in optimiser.param_groups:
        group["lr"] = 0.02 * (step + 1)
    for name, leaf in leaves.items():
        leaf.grad = muon[f"inputs/grad/{step}/{name}"] = randn(*leaf.shape)
    optimiser.step()
muon |= {f"outputs/{name}": leaf.detach() for name, leaf in leaves.items()}
muon |= {f"outputs/{name}.momentum_buffer": optimiser.state[leaf]["momentum_buffer"] for name, leaf in leaves.items()}
save(TESTS / "NNTests/Fixtures/muon.safetensors", muon)

# Files of both libraries. `ours.safetensors` is what Swift writes of the same tensors; it is checked here.
dtypes = {
    "uint8": torch.uint8, "int8": torch.int8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64,
    "float16": torch.float16, "float32": torch.float32, "float64": torch.float64, "bool": torch.bool,
    "bfloat16": torch.bfloat16,
}
reference = {f"inputs/{name}": torch.tensor([[1, 0, 1], [1, 0, 0]]).to(dtype) for name, dtype in dtypes.items()}
reference |= {"inputs/scalar": torch.tensor(2.5), "inputs/empty": torch.zeros(3, 0)}
folder = TESTS / "CheckpointsTests/Fixtures"
folder.mkdir(parents=True, exist_ok=True)
save_file(reference, folder / "reference.safetensors", metadata={"format": "pt"})
ours = folder / "ours.safetensors"
if ours.exists():
    read = load_file(ours)
    assert read.keys() == reference.keys()
    for name, tensor in reference.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name
    print("ours.safetensors is as it should be")
