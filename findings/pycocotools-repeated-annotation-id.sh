#!/usr/bin/env bash
# pycocotools 2.0.11: of two annotations with one id the later one is scored twice, and the earlier one never.
#
# The id of an annotation says nothing that scoring needs: the picture, the class and the box are all there. But `loadAnns` goes
# through a dictionary by id, so that files that were joined without new ids have other truth than they say: here perfect
# boxes in two pictures have AP 0.2525, without a word. A good guess is 1, or an error. Seen: AP 0.2525 with the ids 1 and 1, 1.0
# with 1 and 2.
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


def ap(ids):
    box = {"category_id": 1, "bbox": [0, 0, 10, 10]}
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1, "name": "star"}],
        "annotations": [box | {"id": id, "image_id": image, "area": 100, "iscrowd": 0} for image, id in zip((1, 2), ids)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([box | {"image_id": image, "score": 0.9} for image in (1, 2)])
        scored = COCOeval(truth, found, "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return round(float(scored.stats[0]), 4)


repeated, own = ap([1, 1]), ap([1, 2])
print(f"one id for two: AP {repeated}; an id of its own for each: AP {own}")
assert (repeated, own) == (0.2525, 1.0), (repeated, own)
PYTHON
