"""The small LUMEN network in PyTorch: the reference that the Swift port is compared with.

Parameter names are the checkpoint's keys. Images are [B, 3, H, W] with values (x - 128) / 64, sides multiples of 16.
Sizes that are not given are the embedded model's.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

THINGS, COLOURS, SIZES, TEXTURES = 43, 10, 3, 3


def use_joints(count: int):
    """The last of the kinds are joints of a body and no things by themselves: 17, or none in older models."""
    global JOINTS, KINDS, ATTRIBUTES, GROUPS
    JOINTS, KINDS = count, THINGS + count
    ends = (KINDS, KINDS + COLOURS, KINDS + COLOURS + SIZES, KINDS + COLOURS + SIZES + TEXTURES)
    GROUPS, ATTRIBUTES = tuple(zip((0, *ends), ends)), ends[-1]


use_joints(17)
MATCH_GAIN = 8.0
MATCH = 128


def resized(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bicubic resize of a [1, n*n, d] position table to another grid of rows and columns."""
    side = math.isqrt(embedding.shape[1])
    if grid == (side, side):
        return embedding
    table = embedding.transpose(1, 2).reshape(1, -1, side, side)
    table = F.interpolate(table, size=grid, mode="bicubic", align_corners=False)
    return table.flatten(2).transpose(1, 2)


def rows(maps: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h*w, C]."""
    return maps.flatten(2).transpose(1, 2)


# ---------------------------------------------------------------- image encoder


class ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.a = ConvNorm(channels, channels)
        self.b = ConvNorm(channels, channels)
        nn.init.zeros_(self.b.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.b(F.relu(self.a(x))))


class MLP(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = self.qkv(x).view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, count, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


@dataclass
class Features:
    tokens: Tensor  # [B, rows*columns, 256]
    grid: tuple[int, int]  # rows, columns
    fine: Tensor  # [B, 352, 2*rows, 2*columns]: fine map, dense head's features, the same times objectness
    attributes: Tensor  # [B, 76, 2*rows, 2*columns], float32 probabilities
    dense: Tensor  # [B, 80, 2*rows, 2*columns], float32 logits, log sizes and offsets


def in_windows(tokens: Tensor, grid: tuple[int, int], body) -> Tensor:
    """Runs `body` on windows of at most 16 x 16 of [B, rows*columns, c], the last ones filled up with zeros."""
    (height, width), c = grid, tokens.shape[-1]
    rows, columns = -(-height // 16), -(-width // 16)
    if rows * columns == 1:
        return body(tokens)
    h, w = -(-height // rows), -(-width // columns)
    x = F.pad(tokens.view(-1, height, width, c), (0, 0, 0, columns * w - width, 0, rows * h - height))
    x = body(x.view(-1, rows, h, columns, w, c).transpose(2, 3).reshape(-1, h * w, c))
    x = x.view(-1, rows, columns, h, w, c).transpose(2, 3).reshape(-1, rows * h, columns * w, c)
    return x[:, :height, :width].reshape(-1, height * width, c)


class HybridViT(nn.Module):
    def __init__(self, hidden=256, layers=4, heads=4, stem=(32, 64, 128), fine=96, head=128, grid=32,
                 global_indexes=(3,)):
        super().__init__()
        self.global_indexes = global_indexes
        self.stem = nn.ModuleList(
            [ConvNorm(3, stem[0], 2), ConvNorm(stem[0], stem[1], 2), ConvNorm(stem[1], stem[2], 2)]
        )
        self.stage4 = nn.Sequential(Residual(stem[1]), Residual(stem[1]))
        self.stage8 = nn.Sequential(Residual(stem[2]), Residual(stem[2]))
        self.embed = nn.Linear(stem[2], hidden)
        self.position_embedding = nn.Parameter(torch.randn(1, grid * grid, hidden) * 0.02)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, 4 * fine)
        self.skip = nn.Conv2d(stem[1], fine, 1)
        self.fuse = ConvNorm(fine, fine)
        self.head = nn.Conv2d(fine, head, 3, 1, 1)
        self.predict = nn.Conv2d(head, ATTRIBUTES + 4, 1)
        with torch.no_grad():
            self.predict.bias.zero_()
            self.predict.bias[:KINDS] = -4

    def forward(self, images: Tensor) -> Features:
        f4 = self.stage4(F.relu(self.stem[1](F.relu(self.stem[0](images)))))
        f8 = self.stage8(F.relu(self.stem[2](f4)))
        batch, grid = f8.shape[0], tuple(f8.shape[-2:])
        tokens = self.embed(rows(f8)) + resized(self.position_embedding, grid)
        for index, block in enumerate(self.blocks):
            tokens = block(tokens) if index in self.global_indexes else in_windows(tokens, grid, block)
        tokens = self.norm(tokens)
        up = F.pixel_shuffle(self.up(tokens).transpose(1, 2).reshape(batch, -1, *grid), 2)
        fine = F.relu(self.fuse(F.relu(up + self.skip(f4))))
        head = F.relu(self.head(fine))
        dense = self.predict(head).float()
        kinds = dense[:, :KINDS].sigmoid()
        attributes = torch.cat([kinds] + [dense[:, a:b].softmax(1) for a, b in GROUPS[1:]], 1)
        objectness = kinds[:, :THINGS].amax(1, keepdim=True).detach().to(head.dtype)
        return Features(tokens, grid, torch.cat([fine, head, head * objectness], 1), attributes, dense)


# ---------------------------------------------------------------- projector


def sinusoids(grid: int, width: int, std: float = 0.25) -> Tensor:
    """Sines and cosines of x and y, turned by a random orthogonal matrix so that no channel is special."""
    at = (torch.arange(grid) + 0.5) / grid
    y, x = torch.meshgrid(at, at, indexing="ij")
    frequencies = (torch.arange(width // 4) * 0.12 + 0.5) * math.pi
    angles = [v.reshape(-1, 1) * frequencies for v in (x, y)]
    table = torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1)
    table = table @ torch.linalg.qr(torch.randn(width, width))[0]
    table = table - table.mean(0)
    return (table / table.std() * std)[None]


class Projector(nn.Module):
    def __init__(self, width=256, hidden=256, fine_channels=352, unshuffle=2, scale=0.3, grid=16):
        super().__init__()
        self.unshuffle, self.scale = unshuffle, scale
        merged = width * unshuffle * unshuffle
        self.norm = nn.LayerNorm(merged)
        self.linear_1 = nn.Linear(merged, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)
        self.fine = nn.Conv2d(fine_channels, hidden, 2 * unshuffle, 2 * unshuffle)
        nn.init.zeros_(self.fine.weight)
        nn.init.zeros_(self.fine.bias)
        self.position_embedding = nn.Parameter(sinusoids(grid, hidden))
        # Only the loss that puts words on patches uses it.
        self.word_bias = nn.Parameter(torch.full((ATTRIBUTES - JOINTS,), -4.0))

    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """-> (input embeddings [B, 256, 256], image words [B, 256, 256])"""
        tokens, n = features.tokens, self.unshuffle
        batch, _, width = tokens.shape
        height, length = (side // n for side in features.grid)
        x = tokens.view(batch, height, n, length, n, width).transpose(2, 3).reshape(batch, height * length, -1)
        x = self.linear_1(self.norm(x)) + rows(self.fine(features.fine))
        x = self.linear_2(F.gelu(x))
        embeddings = self.scale * F.layer_norm(x, x.shape[-1:]) + resized(self.position_embedding, (height, length))
        return embeddings, x

    def word_logits(self, image_words: Tensor, word_embeddings: Tensor) -> Tensor:
        """[B, 256, 256] x [59, 256] -> [B, 256, 59], attributes without joints: which attribute words cover which patch."""
        direction = lambda x: x.float() / ((x.float() ** 2).sum(-1, keepdim=True) + 1e-6).sqrt()
        content = F.layer_norm(image_words, image_words.shape[-1:])
        return F.linear(direction(content), direction(word_embeddings)).float() * 20 + self.word_bias


# ---------------------------------------------------------------- language model


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def rotary(positions: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos, sin [n, width] in the Hugging Face layout (two equal halves)."""
    inverse = theta ** (-torch.arange(0, width, 2).float() / width)
    angles = positions.float()[:, None] * inverse
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = (t.to(x.dtype) for t in table)
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class LlamaAttention(nn.Module):
    """The last `image_heads` heads carry no rotary embedding, and text sees only the image in them."""

    def __init__(self, width: int, heads: int, image_heads: int):
        super().__init__()
        self.heads, self.image_heads = heads, image_heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width, bias=False))

    def split(self, x: Tensor, table: tuple[Tensor, Tensor]) -> list[Tensor]:
        """q, k, v [N, heads, L, e] of x [N, L, d]; the first heads of q and k rotated."""
        n, length, width = x.shape
        text = self.heads - self.image_heads
        out = []
        for projection in (self.q_proj, self.k_proj, self.v_proj):
            y = projection(x).view(n, length, self.heads, width // self.heads).transpose(1, 2)
            if projection is not self.v_proj:
                y = torch.cat([rotate(y[:, :text], table), y[:, text:]], 1)
            out.append(y)
        return out

    def prefix(self, x: Tensor, table) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.split(x, table)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.o_proj(out.transpose(1, 2).reshape(x.shape)), k, v

    def text(self, x: Tensor, table, keys: Tensor, values: Tensor, queries: int, causal: Tensor) -> Tensor:
        """x [B*Q, L, d]; keys, values [B, heads, P, e] of the image, shared by the Q texts of an image."""
        batch, (n, length, width) = keys.shape[0], x.shape
        text, e, count = self.heads - self.image_heads, width // self.heads, keys.shape[2]
        q, k, v = self.split(x, table)
        # [B*Q, heads, L, e] -> [B, heads, Q*L, e]: all texts of an image are rows of one matrix.
        fold = lambda y: y.view(batch, queries, -1, length, y.shape[-1]).transpose(1, 2).flatten(2, 3)
        unfold = lambda y: y.view(batch, -1, queries, length, y.shape[-1]).transpose(1, 2).flatten(0, 1)
        seen = F.scaled_dot_product_attention(fold(q[:, text:]), keys[:, text:], values[:, text:])
        qt = q[:, :text] * e**-0.5
        far = unfold(fold(qt) @ keys[:, :text].transpose(-1, -2))
        near = qt @ k[:, :text].transpose(-1, -2) + causal
        weights = torch.cat([far, near], -1).softmax(-1).to(v.dtype)
        read = unfold(fold(weights[..., :count]) @ values[:, :text]) + weights[..., count:] @ v[:, :text]
        out = torch.cat([read, unfold(seen)], 1)
        return self.o_proj(out.transpose(1, 2).reshape(n, length, width))


class LlamaMLP(nn.Module):
    def __init__(self, width: int, intermediate: int):
        super().__init__()
        self.gate_proj = nn.Linear(width, intermediate, bias=False)
        self.up_proj = nn.Linear(width, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(self, width: int, heads: int, image_heads: int, intermediate: int):
        super().__init__()
        self.self_attn = LlamaAttention(width, heads, image_heads)
        self.mlp = LlamaMLP(width, intermediate)
        self.input_layernorm = RMSNorm(width)
        self.post_attention_layernorm = RMSNorm(width)


class LlamaModel(nn.Module):
    def __init__(self, vocabulary: int, width: int, layers: int, heads: int, image_heads: int, intermediate: int):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed_tokens.weight, std=0.1)
        self.layers = nn.ModuleList(LlamaLayer(width, heads, image_heads, intermediate) for _ in range(layers))
        self.norm = RMSNorm(width)


class LanguageModel(nn.Module):
    """Llama with an image prefix that attends to itself without a mask; the output head is tied."""

    def __init__(self, vocabulary, hidden=256, layers=6, heads=4, image_heads=2, intermediate=704, theta=10000.0):
        super().__init__()
        self.head_width, self.theta = hidden // heads, theta
        self.model = LlamaModel(vocabulary, hidden, layers, heads, image_heads, intermediate)
        # In all layers but the last, image heads start as similarity maps: equal, orthonormal W_Q and W_K.
        with torch.no_grad():
            for layer in self.model.layers[:-1]:
                for head in range(heads - image_heads, heads):
                    span = slice(head * self.head_width, (head + 1) * self.head_width)
                    basis = torch.linalg.qr(torch.randn(hidden, self.head_width))[0].T * 1.4
                    layer.self_attn.q_proj.weight[span] = basis
                    layer.self_attn.k_proj.weight[span] = basis

    def prefix(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        table = rotary(torch.arange(x.shape[1]), self.head_width, self.theta)
        cache = []
        for layer in self.model.layers:
            out, keys, values = layer.self_attn.prefix(layer.input_layernorm(x), table)
            cache.append((keys, values))
            x = x + out
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return cache

    def text(self, cache: list[tuple[Tensor, Tensor]], ids: Tensor) -> Tensor:
        batch, queries, length = ids.shape
        start = cache[0][0].shape[2]
        table = rotary(torch.arange(start, start + length), self.head_width, self.theta)
        x = self.model.embed_tokens(ids.flatten(0, 1))
        causal = torch.full((length, length), -1e4).triu(1).to(cache[0][0].dtype)
        for layer, (keys, values) in zip(self.model.layers, cache):
            x = x + layer.self_attn.text(layer.input_layernorm(x), table, keys, values, queries, causal)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.model.norm(x).view(batch, queries, length, -1)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.embed_tokens.weight)

    def image_scores(self, states: Tensor, cache: list, depth: int, images: Tensor) -> Tensor:
        """[n, image heads, P]: how the image heads of layer `depth` look, before the softmax, from states [n, d] after
        `depth` layers."""
        layer, keys = self.model.layers[depth], cache[depth][0]
        text = layer.self_attn.heads - layer.self_attn.image_heads
        normed = states / self.model.norm.weight * layer.input_layernorm.weight
        queries = layer.self_attn.q_proj(normed)[:, text * self.head_width:].view(len(states), -1, self.head_width, 1)
        return (keys[images, text:] @ queries.to(keys.dtype)).squeeze(3) * self.head_width**-0.5

    def text_scores(self, states: Tensor, cache: list, depth: int, images: Tensor, tokens: Tensor) -> Tensor:
        """[n, P + L]: how the last text head of layer `depth` looks from one token of each text; states [n, L, d]."""
        attention, keys = self.model.layers[depth].self_attn, cache[depth][0]
        head, length = attention.heads - attention.image_heads - 1, states.shape[1]
        normed = states / self.model.norm.weight * self.model.layers[depth].input_layernorm.weight
        start = keys.shape[2]
        q, k, _ = attention.split(normed, rotary(torch.arange(start, start + length), self.head_width, self.theta))
        query = q[torch.arange(len(states)), head, tokens][:, :, None]
        far, near = keys[images, head] @ query.to(keys.dtype), k[:, head] @ query
        scores = torch.cat([far.float(), near.float()], 1).squeeze(2) * self.head_width**-0.5
        later = torch.arange(length) > tokens[:, None]
        return scores + F.pad(later.float() * -1e4, (start, 0))


# ---------------------------------------------------------------- aligner


class TokensToImage(nn.Module):
    """Few tokens attend to many image cells; the cells' projections are folded onto the tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, image: Tensor) -> Tensor:
        """tokens [G, T, d], image [G, N, d] -> [G, T, d]"""
        groups, count, width = tokens.shape
        h, e = self.heads, width // self.heads
        q = self.q_proj(tokens).view(groups, count, h, e) * e**-0.5
        keys = torch.einsum("gthe,hed->gthd", q, self.k_proj.weight.view(h, e, width).to(q.dtype))
        weights = (keys.reshape(groups, count * h, width) @ image.transpose(1, 2)).softmax(-1).to(image.dtype)
        read = (weights @ image).view(groups, count, h, width)
        values = torch.einsum("gthd,hed->gthe", read, self.v_proj.weight.view(h, e, width).to(read.dtype))
        return self.o_proj(values.reshape(groups, count, width) + self.v_proj.bias.to(values.dtype))


class ImageToTokens(nn.Module):
    """Many image cells attend to few tokens; the cells' projections are folded onto the tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        """image [G, N, d], tokens [G, Q, T, d] -> [G, Q, N, d]"""
        groups, queries, count, width = tokens.shape
        h, e, cells = self.heads, width // self.heads, image.shape[1]
        k = self.k_proj(tokens).view(groups, queries, count, h, e) * e**-0.5
        keys = torch.einsum("gqthe,hed->gqhtd", k, self.q_proj.weight.view(h, e, width).to(k.dtype))
        bias = torch.einsum("gqthe,he->gqht", k, self.q_proj.bias.view(h, e).to(k.dtype))
        scores = image @ keys.reshape(groups, -1, width).transpose(1, 2) + bias.reshape(groups, 1, -1)
        weights = scores.view(groups, cells, queries, h, count).softmax(-1).to(image.dtype)
        v = self.v_proj(tokens).view(groups, queries, count, h, e)
        values = torch.einsum("gqthe,dhe->gqhtd", v, self.o_proj.weight.view(width, h, e).to(v.dtype))
        weights = weights.permute(0, 2, 1, 3, 4).reshape(groups, queries, cells, h * count)
        return weights @ values.reshape(groups, queries, h * count, width) + self.o_proj.bias.to(values.dtype)


class TwoWayBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.token_norm = nn.LayerNorm(width)
        self.image_norm = nn.LayerNorm(width)  # shared by both directions
        self.tokens_to_image = TokensToImage(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = MLP(width, 2 * width, width)
        self.image_to_tokens = ImageToTokens(width, heads)
        self.image_mlp_norm = nn.LayerNorm(width)
        self.image_mlp = MLP(width, 2 * width, width)

    def forward(self, tokens: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, Q, T, d]; image [G, N, d], G = B in the first block and B*Q after it -> [B*Q, N, d]."""
        batch, queries, count, width = tokens.shape
        groups, cells, _ = image.shape
        t = tokens.flatten(0, 1)
        t = t + self.self_attention(self.self_norm(t))
        normed = self.image_norm(image)
        read = self.tokens_to_image(self.token_norm(t).view(groups, -1, width), normed)
        t = t + read.view(batch * queries, count, width)
        t = t + self.mlp(self.mlp_norm(t))
        change = self.image_to_tokens(normed, t.view(groups, -1, count, width))
        image = (image[:, None] + change).view(batch * queries, cells, width)
        image = image + self.image_mlp(self.image_mlp_norm(image))
        return t.view(batch, queries, count, width), image


@dataclass
class Maps:
    heat: Tensor  # [B, Q, f*f] logits
    log_size: Tensor  # [B, Q, f*f, 2]: log(width / 16), log(height / 16)
    offset: Tensor  # [B, Q, f*f, 2]: from the cell's centre to the target's, right and down, in cells
    attributes: Tensor  # [B, Q, 85]: what the phrase names (76 + 4 "not said"), x, y, whether one thing, anchor's x, y


class Aligner(nn.Module):
    def __init__(self, width=256, hidden=128, layers=2, heads=4, up=64, fine=352, fine_map=96, head=128, grid=32):
        super().__init__()
        self.fine_map, self.head = fine_map, head
        self.query = nn.Linear(width, hidden)
        self.output_tokens = nn.Parameter(torch.randn(5, hidden) * 0.5)
        self.tokens_proj = nn.Linear(width, hidden)
        self.position_embedding = nn.Parameter(torch.randn(1, grid * grid, hidden) * 0.02)
        self.fine_tokens = nn.Conv2d(fine, hidden, 2, 2)
        self.blocks = nn.ModuleList(TwoWayBlock(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, 4 * up)
        self.fine_up = nn.Linear(fine, up)
        self.up_norm = nn.LayerNorm(up)
        self.up_proj = nn.Linear(up, up)
        self.map_heads = nn.ModuleList(MLP(hidden, hidden, up) for _ in range(5))
        self.map_bias = nn.Parameter(torch.tensor([-4.0, 0.0, 0.0, 0.0, 0.0]))
        self.attributes = nn.Linear(width, ATTRIBUTES + 4 + 5)
        self.place_gain = nn.Parameter(torch.tensor([4.5]))
        self.match_norm = nn.LayerNorm(head)
        self.match_query = nn.Linear(width + ATTRIBUTES + 4, MATCH)
        self.match_key = nn.Linear(head + ATTRIBUTES + 1, MATCH)
        # What a question compares, for training alone: logits of left, right, above, below; the distance there.
        self.relation = nn.Linear(width, 5)
        for layer in (self.fine_tokens, self.fine_up, self.relation):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.start_match(width, head)

    @torch.no_grad()
    def start_match(self, width: int, head: int):
        """Start the match as gain x (number of the 4 groups that agree - 3): a group agrees by probability,
        or wholly where the phrase does not name it; a kind that is not named agrees as far as there is anything
        in the cell. So the heat of a named thing starts as the dense head's."""
        root = MATCH_GAIN**0.5
        # A free channel adds nothing until its query has learnt to ask for something.
        self.match_query.weight.zero_()
        for layer, offset in ((self.match_query, width), (self.match_key, head)):
            layer.weight.mul_(0.3)
            layer.weight[:, offset:] = 0
            layer.weight[:ATTRIBUTES + 2, :offset] = 0
            layer.bias.zero_()
            index = torch.arange(ATTRIBUTES)
            layer.weight[index, offset + index] = root
        self.match_query.weight[ATTRIBUTES + 1, width + ATTRIBUTES] = root
        self.match_key.weight[ATTRIBUTES + 1, head + ATTRIBUTES] = root
        for group, (a, b) in list(enumerate(GROUPS))[1:]:
            self.match_query.weight[a:b, width + ATTRIBUTES + group] = root
        # Cell ATTRIBUTES of both sides is the constant -3 x gain.
        self.match_query.bias[ATTRIBUTES] = (3 * MATCH_GAIN) ** 0.5
        self.match_key.bias[ATTRIBUTES] = -((3 * MATCH_GAIN) ** 0.5)
        # The maps begin as what the encoder's dense head and the match say.
        self.up_proj.weight.zero_()
        self.up_proj.bias.zero_()
        # Before anything is learnt a phrase names nothing.
        self.attributes.bias[ATTRIBUTES:ATTRIBUTES + 4] = 4

    def forward(self, loc: Tensor, features: Features) -> Maps:
        """loc [B, Q, 256]: the last hidden state at [LOC]."""
        batch, queries, _ = loc.shape
        height, length = features.grid
        fine = rows(features.fine)
        tokens = torch.cat(
            [self.query(loc)[:, :, None], self.output_tokens.to(loc.dtype).expand(batch, queries, -1, -1)], 2
        )
        image = self.tokens_proj(features.tokens) + rows(self.fine_tokens(features.fine))
        image = image + resized(self.position_embedding, features.grid)
        for block in self.blocks:
            tokens, image = block(tokens, image)
        outputs = self.norm(tokens)[:, :, 1:]
        up = self.up(image).view(batch, queries, height, length, 2, 2, -1).transpose(3, 4)
        up = up.reshape(batch, queries, 4 * height * length, -1) + self.fine_up(fine)[:, None]
        up = self.up_proj(F.gelu(self.up_norm(up)))
        kernels = torch.stack([head(outputs[:, :, i]) for i, head in enumerate(self.map_heads)], 2)
        maps = (up @ kernels.transpose(-1, -2)).float() / 8 + self.map_bias
        named = self.attributes(loc).float()
        heat = maps[..., 0] + self.match(loc, named, features) - self.off_place(named, features)
        boxes = maps[..., 1:] + rows(features.dense[:, ATTRIBUTES:])[:, None]
        return Maps(heat, boxes[..., :2], boxes[..., 2:], named)

    def off_place(self, named: Tensor, features: Features) -> Tensor:
        """[B, Q, f*f]: squared distance from the place that a phrase for one thing means, at most 8."""
        height, length = features.fine.shape[2:]
        x, y, one = named.detach()[..., ATTRIBUTES + 4:ATTRIBUTES + 7].unbind(-1)
        centres = lambda count: (torch.arange(count, device=named.device) + 0.5) / count
        down = (centres(height) - y[..., None]) ** 2
        across = (centres(length) - x[..., None]) ** 2
        distance = (down[..., :, None] + across[..., None, :]).flatten(2)
        return (distance * self.place_gain.exp()).clamp(max=8) * one.sigmoid()[..., None]

    def match(self, loc: Tensor, named: Tensor, features: Features) -> Tensor:
        """[B, Q, f*f]; in float32, because large terms cancel in the sum. Both sides' probabilities are
        detached: they have losses of their own, and at this gain the heat loss would drown those."""
        with torch.autocast(loc.device.type, enabled=False):
            groups = [
                torch.cat([named[..., a:b], named[..., ATTRIBUTES + i:ATTRIBUTES + i + 1]], -1).detach().softmax(-1)
                for i, (a, b) in enumerate(GROUPS)
            ]
            said = torch.cat([g[..., :-1] for g in groups] + [g[..., -1:] for g in groups], -1)
            head = rows(features.fine[:, self.fine_map:self.fine_map + self.head]).float()
            query = self.match_query(torch.cat([loc.float(), said], -1))
            seen = rows(features.attributes).detach()
            anything = seen[..., :THINGS].amax(-1, keepdim=True)
            key = self.match_key(torch.cat([self.match_norm(head), seen, anything], -1))
            return query @ key.transpose(1, 2)


# ---------------------------------------------------------------- the whole


class Lumen(nn.Module):
    def __init__(self, vocabulary: int, layers: int = 6, global_indexes: tuple[int, ...] = (3,)):
        super().__init__()
        self.image_encoder = HybridViT(global_indexes=global_indexes)
        self.projector = Projector()
        self.language_model = LanguageModel(vocabulary, layers=layers)
        self.aligner = Aligner()

    def encode(self, images: Tensor) -> Features:
        return self.image_encoder(images)

    def prefix(self, features: Features) -> list[tuple[Tensor, Tensor]]:
        return self.language_model.prefix(self.projector(features)[0])

    def text(self, cache: list[tuple[Tensor, Tensor]], ids: Tensor) -> Tensor:
        return self.language_model.text(cache, ids)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.language_model.logits(hidden)

    def align(self, loc: Tensor, features: Features) -> Maps:
        return self.aligner(loc, features)
