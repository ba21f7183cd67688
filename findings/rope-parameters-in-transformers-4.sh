#!/usr/bin/env bash
# transformers 5 saves a Llama's rotary base inside `rope_parameters` and leaves `rope_theta` away. transformers 4 opens the
# folder with base 10000, whatever it says, without a word: the model answers, with other tokens.
#
# Versions: saved by transformers 5.24.0, opened by 4.57.6 (PyPI).
# Seen: rope_theta 10000.0, where the folder says 1000000.0; nothing is logged.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/writer"
"$place/writer/bin/pip" install -q transformers==5.24.0
python3 -m venv "$place/reader"
"$place/reader/bin/pip" install -q transformers==4.57.6
"$place/writer/bin/python" -c "
import transformers
transformers.LlamaConfig(rope_theta=1e6).save_pretrained('$place/model')"
grep -q '"rope_theta": 1000000.0' "$place/model/config.json"
"$place/reader/bin/python" - "$place/model" <<'PYTHON'
import logging
import sys
import transformers

heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger("transformers").addHandler(handler)
config = transformers.LlamaConfig.from_pretrained(sys.argv[1])
heard = [text for text in heard if "rope" in text.lower()]
print(transformers.__version__, config.rope_theta, config.rope_scaling, "said:", heard)
assert config.rope_theta == 10000.0, config.rope_theta
assert not heard, heard
PYTHON
