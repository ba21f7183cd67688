"""Random COCO data sets and pycocotools' figures for them: Tests/EvaluationTests/Fixtures/coco_evaluation.json.

Boxes, masks (polygons, both kinds of runs) and keypoints, with crowds, people without a labelled joint, equal scores,
empty pictures, categories without truth and without predictions, and more detections than count.

pycocotools 2.0.11. Run: python Tools/reference/evaluation_fixtures.py
"""

import contextlib
import io
import json
import pathlib
import random

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

WIDTH, HEIGHT, IMAGES, CATEGORIES = 180, 150, 9, 4
NARROW = [0.05 + 0.01 * joint for joint in range(5)]


def rounded(values):
    return [round(float(value), 2) for value in values]


def random_box(draw, side):
    width, height = draw.uniform(6, side), draw.uniform(6, side)
    return [draw.uniform(0, WIDTH - width), draw.uniform(0, HEIGHT - height), width, height]


def jittered(draw, box):
    x, y, width, height = box
    spread = 0.08 * min(width, height)
    return [
        max(0, x + draw.gauss(0, spread)), max(0, y + draw.gauss(0, spread)),
        width * draw.uniform(0.85, 1.15), height * draw.uniform(0.85, 1.15),
    ]


def polygon(box):
    x, y, width, height = box
    return rounded([x, y + height / 3, x + width / 2, y, x + width, y + height / 2, x + width / 3, y + height])


def runs(box):
    run = masks.merge(masks.frPyObjects([polygon(box)], HEIGHT, WIDTH))
    return {"size": run["size"], "counts": run["counts"].decode()}


def plain_runs(box):
    bitmap = masks.decode(masks.merge(masks.frPyObjects([polygon(box)], HEIGHT, WIDTH)))
    flat = bitmap.flatten(order="F")
    counts, current, length = [], 0, 0
    for value in flat:
        if value != current:
            counts.append(length)
            current, length = value, 0
        length += 1
    return {"size": [HEIGHT, WIDTH], "counts": [int(count) for count in counts + [length]]}


def joints(draw, box, count, labelled):
    x, y, width, height = box
    values = []
    for _ in range(count):
        flag = draw.choice([0, 1, 2, 2]) if labelled else 0
        values += rounded([x + draw.uniform(0, width), y + draw.uniform(0, height)]) + [flag] if flag else [0, 0, 0]
    return values


def case(seed, kind):
    draw = random.Random(seed)
    sigmas = None if seed % 2 else NARROW
    joint_count = 17 if sigmas is None else len(NARROW)
    annotations, results = [], []

    def found(image, category, box, truth=None):
        # Rounded, so that equal scores occur.
        result = {"image_id": image, "category_id": category, "score": round(draw.random(), 1)}
        if kind == "bbox":
            result["bbox"] = rounded(box)
        elif kind == "segm":
            result["segmentation"] = runs(box)
        else:
            places = truth or joints(draw, box, joint_count, True)
            spread = 0.04 * min(box[2], box[3])
            result["keypoints"] = [
                round(value + draw.gauss(0, spread), 2) if place % 3 < 2 else 1 for place, value in enumerate(places)
            ]
        results.append(result)

    for image in range(IMAGES - 1):
        for number in range(draw.randrange(0, 9)):
            category = draw.randrange(1, CATEGORIES)
            box = random_box(draw, draw.choice([28, 80, 140]))
            is_crowd = draw.random() < 0.15
            annotation = {
                "id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": rounded(box),
                "area": round(box[2] * box[3] * draw.uniform(0.5, 1), 2), "iscrowd": int(is_crowd),
            }
            if kind == "segm":
                annotation["segmentation"] = (
                    plain_runs(box) if is_crowd else [polygon(box)] if draw.random() < 0.6 else runs(box)
                )
            truth = None
            if kind == "keypoints":
                truth = joints(draw, box, joint_count, draw.random() < 0.8)
                annotation["keypoints"] = truth
                annotation["num_keypoints"] = sum(flag > 0 for flag in truth[2::3])
            annotations.append(annotation)
            for _ in range(draw.randrange(0, 5 if is_crowd else 3)):
                found(image, category, jittered(draw, box), truth)
        # In one picture more poor guesses than count.
        for _ in range(draw.randrange(0, 4) if image != 5 else 110 if kind == "bbox" else 26):
            found(image, 1 if image == 5 else draw.randrange(1, CATEGORIES + 1), random_box(draw, 80))

    coco = COCO()
    coco.dataset = {
        "images": [{"id": image, "width": WIDTH, "height": HEIGHT, "file_name": ""} for image in range(IMAGES)],
        "categories": [{"id": category, "name": f"thing {category}"} for category in range(1, CATEGORIES + 2)],
        "annotations": annotations,
    }
    written = json.loads(json.dumps({"truth": coco.dataset, "results": results}))
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        scored = COCOeval(coco, coco.loadRes(results), kind)
        if kind == "keypoints" and sigmas:
            scored.params.kpt_oks_sigmas = np.array(sigmas)
        scored.evaluate()
        scored.accumulate()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            scored.summarize()
    return written | {
        "type": kind, "sigmas": sigmas if kind == "keypoints" else None, "stats": scored.stats.tolist(),
        "lines": [line for line in printed.getvalue().split("\n") if line],
    }


if __name__ == "__main__":
    target = pathlib.Path(__file__).parents[2] / "Tests/EvaluationTests/Fixtures/coco_evaluation.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    cases = [case(seed, kind) for kind in ("bbox", "segm", "keypoints") for seed in range(3)]
    target.write_text(json.dumps(cases, separators=(",", ":")))
