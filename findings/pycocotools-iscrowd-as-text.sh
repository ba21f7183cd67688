#!/usr/bin/env bash
# pycocotools 2.0.11: truth whose `iscrowd` is the text "0", as some exports write it, scores -1 with perfect boxes.
#
# `COCOeval` ignores an annotation when `gt['iscrowd']` is true, and in Python the text "0" is. A few lines on it takes
# `int(o['iscrowd'])`, which is 0: so every thing is ignored, none is a crowd, and nothing is said. A good guess is an error,
# or 0. Seen: AP -1.0 with "0", 1.0 with 0.
#
# Exits 0 while that is so, and non-zero when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycocotools==2.0.11 numpy==2.2.6
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def ap(is_crowd):
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 1}], "categories": [{"id": 1, "name": "star"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": is_crowd}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.9}])
        scored = COCOeval(truth, found, "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return round(float(scored.stats[0]), 4)


as_text, as_number = ap("0"), ap(0)
print(f'iscrowd "0": AP {as_text}; iscrowd 0: AP {as_number}')
assert (as_text, as_number) == (-1.0, 1.0)
PYTHON
