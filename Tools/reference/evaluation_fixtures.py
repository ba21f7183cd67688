"""Random boxes and pycocotools' figures for them: Tests/EvaluationTests/Fixtures/average_precision.json.

pycocotools 2.0.11. Run: python Tools/reference/evaluation_fixtures.py
"""

import contextlib
import io
import json
import pathlib
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def case(seed: int) -> dict:
    draw = random.Random(seed)
    truth, predictions = [], []
    for image in range(12):
        for _ in range(draw.randrange(0, 9)):
            category = draw.randrange(3)
            box = [draw.uniform(0, 90), draw.uniform(0, 90), draw.uniform(4, 40), draw.uniform(4, 40)]
            truth.append({"image": image, "category": category, "box": box})
            for _ in range(draw.randrange(0, 3)):
                near = [v + draw.gauss(0, 2.5) for v in box[:2]] + [v * draw.uniform(0.7, 1.3) for v in box[2:]]
                # Rounded, so that equal scores occur.
                predictions.append(
                    {"image": image, "category": category, "box": near, "score": round(draw.random(), 1)}
                )
        # A crowd of poor guesses, more than the 100 that count.
        for _ in range(110 if image == 5 else 3):
            box = [draw.uniform(0, 90), draw.uniform(0, 90), draw.uniform(4, 40), draw.uniform(4, 40)]
            predictions.append(
                {"image": image, "category": draw.randrange(3), "box": box, "score": round(draw.random() / 2, 2)}
            )
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(12)],
        "categories": [{"id": i} for i in range(3)],
        "annotations": [
            {
                "id": n + 1, "image_id": t["image"], "category_id": t["category"], "bbox": t["box"],
                "area": t["box"][2] * t["box"][3], "iscrowd": 0,
            }
            for n, t in enumerate(truth)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        results = coco.loadRes(
            [
                {"image_id": p["image"], "category_id": p["category"], "bbox": p["box"], "score": p["score"]}
                for p in predictions
            ]
        )
        scored = COCOeval(coco, results, "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return {"truth": truth, "predictions": predictions, "stats": scored.stats[:3].tolist()}


if __name__ == "__main__":
    target = pathlib.Path(__file__).parents[2] / "Tests/EvaluationTests/Fixtures/average_precision.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([case(seed) for seed in range(4)], separators=(",", ":")))
