#!/usr/bin/env bash
# A Llama's config.json with `rope_parameters`, the form of transformers 5, and the older `rope_scaling` as well. A good guess is
# that the newer one counts, or that the older one adds its scaling. The older one takes the place of the whole: the base in
# `rope_parameters` is dropped for the default, without a word.
#
# Version: transformers 5.24.0 (PyPI).
# Seen: {'rope_type': 'linear', 'factor': 4.0, 'rope_theta': 10000.0}, where rope_parameters says 1000000.0.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q transformers==5.24.0
"$place/venv/bin/python" - <<'PYTHON'
import logging
import transformers

heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger("transformers").addHandler(handler)
config = transformers.LlamaConfig.from_dict({
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
    "rope_scaling": {"rope_type": "linear", "factor": 4.0}})
heard = [text for text in heard if "rope_theta" in text]
print(transformers.__version__, config.rope_parameters, "said:", heard)
assert config.rope_parameters == {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
assert not heard, heard
PYTHON
