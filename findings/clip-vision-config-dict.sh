#!/usr/bin/env bash
# A CLIP's config.json may have `vision_config_dict` beside `vision_config`. A good guess is that its fields take the place of
# those of the same name. They take the place of all: a field that `vision_config_dict` does not name becomes
# CLIPVisionConfig's default, although `vision_config` gives it, and nothing is said.
#
# Versions: transformers 4.57.6 and 5.24.0 (PyPI).
# Seen: intermediate_size 3072, the default, where vision_config says 256; hidden_size 96 of vision_config_dict.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for package in transformers==4.57.6 transformers==5.24.0; do
    python3 -m venv "$place/$package"
    "$place/$package/bin/pip" install -q "$package"
    "$place/$package/bin/python" - <<'PYTHON'
import logging
import transformers

heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger("transformers").addHandler(handler)
config = transformers.CLIPConfig(
    text_config={}, vision_config={"hidden_size": 96, "intermediate_size": 256}, vision_config_dict={"hidden_size": 96})
seen = config.vision_config.hidden_size, config.vision_config.intermediate_size
heard = [text for text in heard if "vision" in text]
print(transformers.__version__, seen, "said:", heard)
assert seen == (96, 3072), seen
assert not heard, heard
PYTHON
done
