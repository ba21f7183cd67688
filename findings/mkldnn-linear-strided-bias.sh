#!/usr/bin/env bash
# torch.ops.mkldnn._linear_pointwise, the linear layer by oneDNN which torch.compile calls on a CPU, takes a bias that is a view
# with steps, such as a column. A good guess is that it reads the view's numbers, as torch.nn.functional.linear does. It reads
# the memory from the first number on as if the numbers lay side by side, and the sums are wrong without a word. Inputs and
# weights with steps are read rightly.
#
# Version: torch 2.13.0 (PyPI); 2.11.0 does the same. Linux, x86-64.
# Seen: what is added is the stack's numbers 0, 1, 2, … where the column's are 0, 2, 4, …
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q torch==2.13.0 numpy==2.3.4
"$place/venv/bin/python" - <<'PYTHON'
import torch

torch.manual_seed(0)
x, weight = torch.randn(64, 2500), torch.randn(2500, 160).t()
pairs = torch.randn(160, 2)
column = pairs[:, 0]


def linear(bias):
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], None)


plain = torch.nn.functional.linear(x, weight, column)
print(torch.__version__, "largest error, column:", float((linear(column) - plain).abs().max()))
print("added:", (linear(column) - linear(torch.zeros(160)))[0, :4].tolist(), "column:", column[:4].tolist())
assert torch.allclose(linear(column.contiguous()), plain, atol=1e-2)
assert not torch.allclose(linear(column), plain, atol=1e-1)
beside = torch.nn.functional.linear(x, weight, pairs.flatten()[:160])
assert torch.allclose(linear(column), beside, atol=1e-2)
PYTHON
