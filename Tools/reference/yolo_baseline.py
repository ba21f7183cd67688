"""What Ultralytics' YOLO11n reaches from scratch with the same pictures, minutes and threads as a fine-tuning.

    vitrail train Training/finetune-raccoon.json --data DATA --output runs/raccoon
    python yolo_baseline.py runs/raccoon --minutes 60 --threads 2 --size 320 --output yolo-raccoon

Reads the run's train.json and validation.json (COCO, with the pictures' paths), trains from random weights for that
long, and scores the best of its own checkpoints on the validation's pictures with pycocotools, as Vitrail's run was. A
truth of other pictures in COCO's form, --test FILE, is scored too. The detections are left as COCO results, which
`vitrail evaluate --predictions` reads. Needs ultralytics and pycocotools.
"""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("run", type=Path)
parser.add_argument("--minutes", type=float, default=60)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--size", type=int, default=416)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--test", type=Path)
parser.add_argument("--output", type=Path, required=True)
options = parser.parse_args()
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(options.threads)

import torch  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402
from ultralytics import YOLO  # noqa: E402

torch.set_num_threads(options.threads)


def write_set(name):
    """A COCO file as folders of links to pictures and of YOLO's label files."""
    coco = json.loads((options.run / f"{name}.json").read_text())
    classes = {category["id"]: number for number, category in enumerate(coco["categories"])}
    boxes = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        if not annotation["iscrowd"]:
            boxes[annotation["image_id"]].append((classes[annotation["category_id"]], annotation["bbox"]))
    images, labels = (options.output / "data" / part / name for part in ("images", "labels"))
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for image in coco["images"]:
        width, height = image["width"], image["height"]
        stem = f"{image['id']:06d}"
        link = images / (stem + Path(image["file_name"]).suffix)
        link.unlink(missing_ok=True)
        link.symlink_to(image["file_name"])
        lines = [
            f"{label} {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}"
            for label, (x, y, w, h) in boxes[image["id"]]
        ]
        (labels / f"{stem}.txt").write_text("\n".join(lines))
    return [category["name"] for category in coco["categories"]]


def score(model, truth, name):
    coco = COCO(str(truth))
    results = []
    ids = sorted(category["id"] for category in coco.dataset["categories"])
    for image in coco.dataset["images"]:
        found = model.predict(
            image["file_name"], imgsz=options.size, conf=0.001, iou=0.7, max_det=300, device="cpu", verbose=False
        )[0].boxes
        for (x0, y0, x1, y1), confidence, label in zip(
            found.xyxy.tolist(), found.conf.tolist(), found.cls.tolist()
        ):
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": ids[int(label)],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": confidence,
                }
            )
    (options.output / f"{name}-detections.json").write_text(json.dumps(results))
    print(f"{name}: {len(coco.dataset['images'])} pictures")
    if not results:
        print("nothing was found")
        return
    evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()


names = write_set("train")
assert write_set("validation") == names, "the two sets have other classes"
data = options.output / "data.yaml"
data.write_text(
    json.dumps(
        {
            "path": str((options.output / "data").resolve()),
            "train": "images/train",
            "val": "images/validation",
            "names": dict(enumerate(names)),
        }
    )
)
model = YOLO("yolo11n.yaml")
# Ultralytics sets one thread fewer than there are cores when it begins.
model.add_callback("on_train_batch_start", lambda trainer: torch.set_num_threads(options.threads))
model.train(
    data=str(data), time=options.minutes / 60, epochs=10000, imgsz=options.size, batch=options.batch, device="cpu",
    workers=0, pretrained=False, seed=options.seed, deterministic=True, plots=False, amp=False,
    project=str(options.output.resolve()), name="train", exist_ok=True,
)  # fmt: skip
best = YOLO(str(options.output / "train" / "weights" / "best.pt"))
score(best, options.run / "validation.json", "validation")
if options.test:
    score(best, options.test, "test")
