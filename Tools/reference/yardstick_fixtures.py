"""Random predictions and truth of every metric with the reference tools' figures: Tests/EvaluationTests/Fixtures/yardsticks.json.

The reference tools: pycocotools 2.0.11, xtcocotools 1.14.3 (CrowdPose's measure), motmetrics 1.4.0 and pycocoevalcap 1.2 of PyPI
(the last wants Java), and from their repositories `voc_eval.py` (rbgirshick/py-faster-rcnn 781a917), `vqaEval.py` (GT-Vision-Lab/VQA a013f00) and
`davis2017` (davisvideochallenge/davis2017-evaluation ac7c43f), which the arguments name. DSB2018's precision, referring
accuracy and the errors of counts have no tool; they are written out here from their definitions.

Run: python Tools/reference/yardstick_fixtures.py --voc voc_eval.py --vqa vqaEval.py --davis davis2017-evaluation
Besides: numpy, scipy, pandas, opencv-python-headless, scikit-image, pillow.
"""

import argparse
import base64
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import evaluation_fixtures

np.asfarray = lambda values: np.asarray(values, dtype=float)
QUIET = io.StringIO()


def python3(path):
    """A reference of Python 2 as a module."""
    text = pathlib.Path(path).read_text().replace("import cPickle", "import pickle as cPickle")
    text = re.sub(r"print 'Reading annotation[^\n]*\n[^\n]*", "pass", text)
    text = re.sub(r"^(\s*)print (.*)$", r"\1print(\2)", text, flags=re.M)
    text = text.replace("open(cachefile, 'w')", "open(cachefile, 'wb')").replace("open(cachefile, 'r')", "open(cachefile, 'rb')")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(pathlib.Path(path).stem, None))
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def coco_cases():
    names = {
        "bbox": ["AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR1", "AR10", "AR100", "ARsmall", "ARmedium", "ARlarge"],
        "keypoints": ["AP", "AP50", "AP75", "APmedium", "APlarge", "AR", "AR50", "AR75", "ARmedium", "ARlarge"],
    }
    names["segm"] = names["bbox"]
    for kind, seed in (("bbox", 11), ("segm", 12), ("keypoints", 13), ("keypoints", 14)):
        entry = evaluation_fixtures.case(seed, kind)
        files = {"p.json": json.dumps(entry["results"]), "t.json": json.dumps(entry["truth"])}
        coco = COCO()
        coco.dataset = entry["truth"]
        parts = {}
        with contextlib.redirect_stdout(QUIET):
            coco.createIndex()
            for category in sorted({annotation["category_id"] for annotation in entry["truth"]["annotations"]}):
                scored = COCOeval(coco, coco.loadRes(json.loads(json.dumps(entry["results"]))), kind)
                scored.params.catIds = [category]
                if entry["sigmas"]:
                    scored.params.kpt_oks_sigmas = np.array(entry["sigmas"])
                scored.evaluate()
                scored.accumulate()
                scored.summarize()
                parts[f"thing {category}"] = dict(zip(names[kind], scored.stats.tolist()))
        yield {
            "name": f"coco {kind} {seed}", "files": files,
            "predictions": "p.json", "truth": "t.json", "type": kind, "sigmas": entry["sigmas"],
            "figures": dict(zip(names[kind], entry["stats"])), "parts": parts,
        }


def crowdpose_case(seed):
    from xtcocotools.coco import COCO as CrowdCOCO
    from xtcocotools.cocoeval import COCOeval as CrowdEval
    draw = random.Random(seed)
    sigmas = np.array([0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]) / 10
    images, annotations, results = [], [], []
    for image in range(1, 19):
        images.append({"id": image, "file_name": f"{image}.jpg", "width": 180, "height": 150, "crowdIndex": round(draw.random(), 2)})
        for _ in range(draw.randrange(1, 4)):
            box = evaluation_fixtures.random_box(draw, 140)
            joints = evaluation_fixtures.joints(draw, box, 14, draw.random() < 0.9)
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": 0,
                                "bbox": evaluation_fixtures.rounded(box), "keypoints": joints,
                                "num_keypoints": sum(flag > 0 for flag in joints[2::3])})
            for _ in range(draw.randrange(0, 3)):
                spread = 0.05 * min(box[2], box[3])
                results.append({"image_id": image, "category_id": 1, "score": round(draw.random(), 1), "keypoints": [
                    round(value + draw.gauss(0, spread), 2) if place % 3 < 2 else 1 for place, value in enumerate(joints)]})
    truth = {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": annotations}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(QUIET):
        files = {"p.json": json.dumps(results), "t.json": json.dumps(truth)}
        write(folder, files)
        coco = CrowdCOCO(f"{folder}/t.json")
        scored = CrowdEval(coco, coco.loadRes(f"{folder}/p.json"), "keypoints_crowd", sigmas, use_area=False)
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
        figures = dict(zip(["AP", "AP50", "AP75", "AR", "AR50", "AR75"], scored.stats.tolist()))
        # The tool rounds the rest to four places.
        for name, least, most in (("easy", 0, 0.2), ("medium", 0.2, 0.8), ("hard", 0.8, 2)):
            scored.params.imgIds = [image["id"] for image in images if least <= image["crowdIndex"] < most]
            scored.evaluate()
            scored.accumulate()
            figures[f"AP{name}"] = float(np.mean(scored.eval["precision"][:, :, :, 0, :]))
    return {"name": f"crowdpose {seed}", "files": files, "predictions": "p.json", "truth": "t.json", "figures": figures, "parts": {}}


def voc_case(voc_eval, seed):
    draw = random.Random(seed)
    classes, files, names = ["cat", "dog", "tv"], {}, [f"{number:06d}" for number in range(12)]
    found = {name: [] for name in classes}

    def corners():
        x, y = draw.randrange(1, 150), draw.randrange(1, 100)
        return [x, y, x + draw.randrange(10, 50), y + draw.randrange(10, 50)]

    for name in names:
        objects = ""
        for _ in range(draw.randrange(0, 6)):
            kind, box, difficult = draw.choice(classes), corners(), int(draw.random() < 0.2)
            tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
            objects += (f"<object><name>{kind}</name><pose>Left</pose><truncated>0</truncated><difficult>{difficult}</difficult>"
                        f"<bndbox>{tags}</bndbox></object>")
            for _ in range(draw.randrange(0, 3)):
                found[kind].append((name, draw.random(), [round(value + draw.gauss(0, 3), 1) for value in box]))
        for _ in range(draw.randrange(0, 3)):
            found[draw.choice(classes)].append((name, draw.random(), corners()))
        files[f"Annotations/{name}.xml"] = (
            f"<annotation><folder>VOC</folder><filename>{name}.jpg</filename>"
            f"<size><width>220</width><height>160</height><depth>3</depth></size>{objects}</annotation>")
    for kind, rows in found.items():
        files[f"results/comp4_det_test_{kind}.txt"] = "".join(
            f"{name} {score:.6f} {' '.join(str(float(value)) for value in box)}\n" for name, score, box in rows)
    parts = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(QUIET):
        write(folder, files)
        (pathlib.Path(folder) / "set.txt").write_text("\n".join(names))
        for kind in classes:
            parts[kind] = {
                figure: float(voc_eval(f"{folder}/results/comp4_det_test_{{}}.txt", f"{folder}/Annotations/{{}}.xml",
                                       f"{folder}/set.txt", kind, f"{folder}/cache", use_07_metric=old)[2])
                for figure, old in (("AP07", True), ("AP", False))}
    mean = {f"m{figure}": float(np.mean([part[figure] for part in parts.values()])) for figure in ("AP07", "AP")}
    return {"name": f"voc {seed}", "files": files, "predictions": "results", "truth": "Annotations", "figures": mean, "parts": parts}


def write(folder, files):
    for name, text in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def dsb_case(seed):
    draw = random.Random(seed)
    truth, found = ["ImageId,EncodedPixels,Height,Width,Usage"], ["ImageId,EncodedPixels"]

    def runs(mask):
        flat = np.concatenate([[0], mask.flatten(order="F"), [0]])
        changes = np.where(flat[1:] != flat[:-1])[0] + 1
        return " ".join(f"{start} {end - start}" for start, end in zip(changes[::2], changes[1::2]))

    def blobs(count):
        label = np.zeros((40, 50), int)
        for number in range(1, count + 1):
            y, x, r = draw.uniform(4, 36), draw.uniform(4, 46), draw.uniform(3, 7)
            yy, xx = np.mgrid[:40, :50]
            label[(yy - y) ** 2 + (xx - x) ** 2 < r * r] = number
        return label

    pictures = []
    for number in range(6):
        label = blobs(draw.randrange(1, 7))
        guess = np.roll(label, (draw.randrange(-1, 2), draw.randrange(-1, 2)), (0, 1))
        extra = blobs(2)
        guess = np.where((guess == 0) & (extra > 0), extra + 10, guess)
        if draw.random() < 0.5:
            guess[guess == 1] = 0
        there = [label == value for value in np.unique(label) if value]
        here = [guess == value for value in np.unique(guess) if value]
        truth += [f"n{number},{runs(mask.astype(int))},40,50,Ignored" for mask in there]
        found += [f"n{number},{runs(mask.astype(int))}" for mask in here] or [f"n{number},"]
        iou = np.array([[(a & b).sum() / (a | b).sum() for b in here] for a in there]).reshape(len(there), len(here))
        row = []
        for threshold in np.linspace(0.5, 0.95, 10):
            hits = int((iou > threshold).sum())
            row.append(hits / (hits + (len(here) - hits) + (len(there) - hits)))
        pictures.append(row)
    steps = np.mean(pictures, axis=0)
    figures = {"mAP": float(np.mean(steps))} | {f"AP{50 + 5 * step}": float(value) for step, value in enumerate(steps)}
    return {"name": f"dsb {seed}", "files": {"p.csv": "\n".join(found), "t.csv": "\n".join(truth)}, "predictions": "p.csv",
            "truth": "t.csv", "figures": figures, "parts": {}}


def referring_case(seed):
    draw = random.Random(seed)
    truth, found, hits, ious, shared, whole = [], [], [], [], 0, 0
    for number in range(20):
        box = evaluation_fixtures.random_box(draw, 80)
        guess = evaluation_fixtures.jittered(draw, box) if draw.random() < 0.7 else evaluation_fixtures.random_box(draw, 80)
        there, here = evaluation_fixtures.runs(box), evaluation_fixtures.runs(guess)
        truth.append({"ref_id": number, "bbox": box, "segmentation": there})
        a = masks.decode(there)
        if draw.random() < 0.1:
            hits.append(False)
            b = np.zeros_like(a)
        else:
            found.append({"ref_id": number, "bbox": guess, "segmentation": here})
            hits.append(masks.iou([guess], [box], [0])[0][0] >= 0.5)
            b = masks.decode(here)
        inter, union = int((a & b).sum()), int((a | b).sum())
        ious.append(inter / union)
        shared, whole = shared + inter, whole + union
    figures = {"accuracy@0.5": float(np.mean(hits)), "cIoU": shared / whole, "gIoU": float(np.mean(ious)),
               "P@0.5": float(np.mean(np.array(ious) > 0.5))}
    return {"name": "referring", "files": {"p.json": json.dumps(found), "t.json": json.dumps(truth)}, "predictions": "p.json",
            "truth": "t.json", "figures": figures, "parts": {}}


def counting_case(seed):
    draw = random.Random(seed)
    truth = {f"{number}.jpg": {"points": [[1.5, 2.5]] * draw.randrange(1, 30)} for number in range(15)}
    found = {name: len(entry["points"]) + draw.choice([-3, -1, 0, 0, 1.5, 4]) for name, entry in truth.items()}
    error = np.array([found[name] - len(truth[name]["points"]) for name in truth])
    figures = {"MAE": float(np.abs(error).mean()), "RMSE": float(np.sqrt((error ** 2).mean())), "exact": float((error == 0).mean())}
    return {"name": "counting", "metric": "counting", "files": {"p.json": json.dumps(found), "t.json": json.dumps(truth)},
            "predictions": "p.json", "truth": "t.json", "figures": figures, "parts": {}}


def vqa_case(VQAEval, seed):
    draw = random.Random(seed)
    words = ["yes", "no", "2", "two", "none", "a red dog", "red dog", "the dog's", "dont know", "don't know", "1,000", "1000",
             "3.5", "yes.", "yes!", "it's 5 p.m.", "5 pm", "black/white", "black white", "black and white", "t-shirt", "T-Shirt",
             "tshirt", "U.S.A.", "on, off", "on (left)", "left\n", " left", "\"stop\"", "stop", "whats up", "a", "an umbrella",
             "ten", "10", "couldnt've", "Id've", "no , yes", "x_y", "a.b.c", "café", "....", "7:30", "$5", "50%", "one two"]
    annotations, answers = [], []
    for number in range(45):
        few = draw.sample(words, draw.choice([1, 2, 3, 6]))
        given = [draw.choice(few) for _ in range(10)]
        annotations.append({
            "question_id": number, "question_type": draw.choice(["what", "how many", "is the"]),
            "answer_type": draw.choice(["yes/no", "number", "other"]), "multiple_choice_answer": given[0],
            "answers": [{"answer": answer, "answer_id": place + 1} for place, answer in enumerate(given)]})
        answers.append({"question_id": number, "answer": draw.choice(few if draw.random() < 0.8 else words)})

    class Holder:
        def __init__(self, qa):
            self.qa = qa

        def getQuesIds(self):
            return list(self.qa)

    files = {"p.json": json.dumps(answers), "t.json": json.dumps({"annotations": annotations})}
    exact = float(np.mean([a["answer"] == t["multiple_choice_answer"] for a, t in zip(answers, annotations)]))
    scored = VQAEval(Holder({entry["question_id"]: entry for entry in annotations}),
                     Holder({entry["question_id"]: entry for entry in answers}), n=12)
    with contextlib.redirect_stdout(QUIET):
        scored.evaluate()
    parts = {name: {"accuracy": value / 100} for table in ("perQuestionType", "perAnswerType")
             for name, value in scored.accuracy[table].items()}
    return {"name": "vqa", "files": files, "predictions": "p.json", "truth": "t.json",
            "figures": {"accuracy": scored.accuracy["overall"] / 100, "exact": exact}, "parts": parts}


CAPTIONS = """A man rides a brown horse along the beach.
A man is riding a horse on the sandy beach near the ocean.
Two dogs playing with a red frisbee in the grass, one is jumping!
A couple of dogs are running after a frisbee
The man's two-story house has a white-painted door; it isn't open.
A woman (in a black dress) holds an umbrella.
A train travelling down tracks next to a station.
Several trains parked at the train station with people waiting.
A bowl of "fresh" fruit: apples, bananas and oranges.
A cat sleeping on top of a laptop computer's keyboard
There are 3 people skiing down the snow-covered hill at 5:30 p.m.
People can't cross the busy street, because cars are driving by
A kitchen with a stove, a refrigerator and wooden cabinets.
The children are playing soccer in the park with their dogs' toys
A large clock tower towering over the buildings of a city
A zebra and a giraffe standing together in a field
a close up of a plate of food with broccoli & rice
A person cannot see the sign/board behind the tree
A surfer rode a big wave... and fell
an airplane flying high in the sky over mountains""".split("\n")


def meteor(pairs):
    """The Java program's figures with exact and stem matches alone, of the set and of each pair."""
    import pycocoevalcap.meteor
    folder = os.path.dirname(pycocoevalcap.meteor.__path__[0] + "/")
    run = subprocess.Popen(
        ["java", "-jar", "-Xmx2G", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-lower", "-m", "exact stem", "-w", "1.0 0.6"],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = "EVAL"
    for found, truth in pairs:
        run.stdin.write(" ||| ".join(["SCORE", *truth, found]) + "\n")
        run.stdin.flush()
        line += " ||| " + run.stdout.readline().strip()
    run.stdin.write(line + "\n")
    run.stdin.flush()
    values = [float(run.stdout.readline()) for _ in range(len(pairs) + 1)]
    run.kill()
    return values[-1], values[:-1]


def caption_case(seed):
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
    draw = random.Random(seed)
    truth, found = [], []

    def mixed(caption):
        words = caption.split()
        for _ in range(draw.randrange(0, 4)):
            place = draw.randrange(len(words))
            words[place:place + 1] = draw.choice([[], [draw.choice(draw.choice(CAPTIONS).split())], words[place:place + 1][::-1]])
            words = words or ["dog"]
        if draw.random() < 0.3:
            cut = draw.randrange(len(words))
            words = words[cut:] + words[:cut]
        return " ".join(words)

    for image in range(24):
        base = draw.choice(CAPTIONS)
        for _ in range(draw.randrange(1, 5)):
            truth.append({"image_id": image, "caption": mixed(base) if draw.random() < 0.7 else draw.choice(CAPTIONS)})
        found.append({"image_id": image, "caption": mixed(base)})
    gts = {image: [entry for entry in truth if entry["image_id"] == image] for image in range(24)}
    res = {entry["image_id"]: [entry] for entry in found}
    gts, res = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
    with contextlib.redirect_stdout(QUIET):
        bleu = Bleu(4).compute_score(gts, res)[0]
        value, values = meteor([(res[image][0], gts[image]) for image in gts])
        figures = {f"BLEU-{size + 1}": score for size, score in enumerate(bleu)} | {
            "METEOR-style": value, "ROUGE-L": float(Rouge().compute_score(gts, res)[0]), "CIDEr-D": float(Cider().compute_score(gts, res)[0])}
    return {"name": f"captions {seed}", "files": {"p.json": json.dumps(found), "t.json": json.dumps({"annotations": truth})},
            "predictions": "p.json", "truth": "t.json", "figures": figures, "parts": {},
            "tokens": [[entry["caption"], line] for image in gts for entry, line in zip(
                [entry for entry in truth if entry["image_id"] == image] + [found[image]], gts[image] + res[image])],
            "meteors": [{"found": res[image][0], "truth": gts[image], "value": value} for image, value in zip(gts, values)]}


def davis_case(davis, seed):
    sys.path.insert(0, davis)
    from davis2017.metrics import db_eval_boundary, db_eval_iou
    from davis2017.utils import db_statistics
    draw = random.Random(seed)
    files, figures, parts = {}, {}, {}
    rows = []
    for video, (height, width, frames) in (("cat", (48, 64, 7)), ("dog", (90, 70, 5))):
        yy, xx = np.mgrid[:height, :width]
        sets = {"truth": [], "found": []}
        for frame in range(frames):
            for name, spread in (("truth", 0), ("found", 2.5)):
                label = np.zeros((height, width), np.uint8)
                for thing in (1, 2):
                    y, x = height * thing / 3 + frame + draw.gauss(0, spread), width * thing / 3 - frame + draw.gauss(0, spread)
                    label[((yy - y) / 11) ** 2 + ((xx - x) / (8 + 2 * thing)) ** 2 < 1] = thing
                if name == "truth" and frame == 2:
                    label[:4, :4] = 255
                if name == "truth" and frame == 3:
                    label[label == 2] = 0
                if name == "found" and frame == 2:
                    label[label == 1] = 0
                sets[name].append(label)
                data = io.BytesIO()
                image = Image.fromarray(label, mode="P")
                image.putpalette([value for index in range(256) for value in (index, 255 - index, index // 2)])
                image.save(data, "PNG", optimize=True)
                files[f"{name}/{video}/{frame:05d}.png"] = base64.b64encode(data.getvalue()).decode()
        for thing in (1, 2):
            there = np.stack(sets["truth"])[1:-1] == thing
            here = np.stack(sets["found"])[1:-1] == thing
            j = db_statistics(db_eval_iou(there, here, None))
            f = db_statistics(db_eval_boundary(there, here, None))
            rows.append([*j, *f])
            parts[f"{video}_{thing}"] = {"J-Mean": float(j[0]), "F-Mean": float(f[0])}
    mean = np.mean(rows, axis=0)
    names = ["J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay"]
    figures = dict(zip(names, mean.tolist())) | {"J&F-Mean": float((mean[0] + mean[3]) / 2)}
    return {"name": "davis", "base64": True, "files": files, "predictions": "found", "truth": "truth", "figures": figures, "parts": parts}


def mot_case(seed):
    import motmetrics
    draw = random.Random(seed)
    truth, found = [], []
    tracks = {track: [draw.uniform(0, 100), draw.uniform(0, 60)] for track in range(1, 7)}
    names = {track: track + 10 for track in tracks}
    for frame in range(1, 41):
        if draw.random() < 0.15:
            a, b = draw.sample(sorted(tracks), 2)
            names[a], names[b] = names[b], names[a]
        if draw.random() < 0.1:
            names[draw.choice(sorted(tracks))] = 100 + frame
        for track, place in tracks.items():
            place[0] += draw.gauss(0, 2)
            place[1] += draw.gauss(0, 2)
            if draw.random() < 0.1:
                continue
            size = [30, 40]
            truth.append([frame, track, round(place[0], 2), round(place[1], 2), *size, int(draw.random() > 0.05), -1, -1, -1])
            if draw.random() < 0.75:
                guess = [round(place[0] + draw.gauss(0, 4), 2), round(place[1] + draw.gauss(0, 4), 2)]
                found.append([frame, names[track], *guess, round(30 * draw.uniform(0.8, 1.2), 2), 40, 1, -1, -1, -1])
        if draw.random() < 0.3:
            found.append([frame, 500 + frame, round(draw.uniform(0, 100), 2), round(draw.uniform(0, 60), 2), 30, 40, 1, -1, -1, -1])
    files = {f"{name}.txt": "".join(",".join(map(str, row)) + "\n" for row in rows) for name, rows in (("gt", truth), ("test", found))}
    with tempfile.TemporaryDirectory() as folder:
        write(folder, files)
        return {"name": f"mot {seed}", "files": files, "predictions": "test.txt", "truth": "gt.txt",
                "figures": mot_figures(f"{folder}/gt.txt", f"{folder}/test.txt"), "parts": {}}


def mot_figures(truth, found):
    import motmetrics
    gt = motmetrics.io.loadtxt(truth, fmt="mot15-2D", min_confidence=1)
    ts = motmetrics.io.loadtxt(found, fmt="mot15-2D")
    scored = motmetrics.utils.compare_to_groundtruth(gt, ts, "iou", distth=0.5)
    row = motmetrics.metrics.create().compute(scored, metrics=motmetrics.metrics.motchallenge_metrics).iloc[0]
    names = {"idf1": "IDF1", "idp": "IDP", "idr": "IDR", "recall": "Rcll", "precision": "Prcn", "num_unique_objects": "GT",
             "mostly_tracked": "MT", "partially_tracked": "PT", "mostly_lost": "ML", "num_false_positives": "FP", "num_misses": "FN",
             "num_switches": "IDs", "num_fragmentations": "FM", "mota": "MOTA", "motp": "MOTP"}
    return {ours: float(row[theirs]) for theirs, ours in names.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("voc", "vqa", "davis"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    cases = [
        *coco_cases(), crowdpose_case(15), *(voc_case(python3(arguments.voc).voc_eval, seed) for seed in (1, 2)), *(dsb_case(seed) for seed in (1, 2)),
        referring_case(3), counting_case(4), vqa_case(python3(arguments.vqa).VQAEval, 5), *(caption_case(seed) for seed in (6, 7)),
        davis_case(arguments.davis, 8), *(mot_case(seed) for seed in (9, 10)),
    ]
    target = pathlib.Path(__file__).parents[2] / "Tests/EvaluationTests/Fixtures/yardsticks.json"
    target.write_text(json.dumps(cases, separators=(",", ":")))
    print(target, target.stat().st_size)
