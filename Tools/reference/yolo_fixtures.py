"""Folders of YOLO labels with what Ultralytics reads in them: Tests/DatasetsTests/Fixtures/yolo.json.

Several folders in a split with equal file names, folders within them, lists relative to their own folder, polygons, lines
that are there twice; and names of classes as YAML can write them, with what PyYAML reads.

ultralytics 8.4.190 with PyYAML 6.0.4, pillow. Run: python Tools/reference/yolo_fixtures.py
"""

import json
import os
import pathlib
import tempfile

import yaml
from PIL import Image
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

DATA = """path: .
train: [a/images, "b/images"]
val: lists/val.txt
test: c/pictures
names: {0: cat, 1: dog, 2: "owl, #1"}
"""
LABELS = {
    "a/labels/1.txt": "0 0.5 0.5 0.5 0.25\n",
    "b/labels/1.txt": "1 0.25 0.5 0.5 0.5\n1 0.25 0.5 0.5 0.5\n0 0.25 0.5 0.5 0.5\n",
    "b/labels/sub/1.txt": "1 0.1 0.2 0.3 0.2 0.3 0.4 0.1 0.4\n",
    "lists/x/labels/1.txt": "1 0.5 0.5 1 1\n",
    "c/pictures/1.txt": "0.0 0.5 0.5 0.25 0.5\n",
    "c/pictures/deep/er/1.txt": "2 0.5 0.5 0.125 0.5\n",
}
PICTURES = ["a/images/1.png", "a/images/2.png", "b/images/1.png", "b/images/sub/1.png", "lists/x/images/1.png",
            "c/pictures/1.png", "c/pictures/deep/er/1.png"]
NAMES = [
    "names: [a, 'it''s, #1', \"tab\\tend\", \"\\u00e9t\\u00E9\", x # y\n  , 'b]c']\n",
    "names:\n- plain, with comma\n- a#b\n- \"q\\\"uote\" # a comment\n-   'c: d'\n- [not, a, name]\n",
    "names:\n  0: one\n  2: \"two # 2\"\n  10: 'three'' s'\n",
    "base: &base {0: ant, 1: bee}\nnames: *base\n",
    "base: &base\n  0: ant\n  1: bee\nnames:\n  <<: *base\n  1: wasp\n  2: fly\n",
    "first: &first \"a, b\"\nnames: [*first, c]\n",
    "names:\n  - >-\n    folded\n    name\n  - |-\n    kept\n",
]


def write(root):
    for name in PICTURES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 40)).save(path)
    for name, text in LABELS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "lists/val.txt").write_text("./x/images/1.png\n")
    (root / "data.yaml").write_text(DATA)


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(os.path.realpath(folder))
    write(root)
    os.chdir(root)
    data = check_det_dataset("data.yaml", autodownload=False)
    splits = {}
    for split in ("train", "val", "test"):
        read = YOLODataset(img_path=data[split], data=data, task="detect", imgsz=64, augment=False)
        splits[split] = {
            str(pathlib.Path(label["im_file"]).relative_to(root)): [
                [int(kind), *map(float, box)] for kind, box in zip(label["cls"][:, 0], label["bboxes"])
            ]
            for label in read.labels
        }
names = []
for text in NAMES:
    read = yaml.safe_load(text)["names"]
    read = dict(enumerate(read)) if isinstance(read, list) else read
    names.append({"yaml": text, "names": {str(number): name for number, name in read.items() if isinstance(name, str)},
                  "isGood": all(isinstance(name, str) for name in read.values())})
target = pathlib.Path(__file__).parents[2] / "Tests/DatasetsTests/Fixtures/yolo.json"
target.write_text(json.dumps({
    "files": LABELS | {"lists/val.txt": "./x/images/1.png\n", "data.yaml": DATA}, "pictures": PICTURES, "splits": splits,
    "names": names}, indent=1) + "\n")
print(target, target.stat().st_size)
