"""Compares `vitrail evaluate --predictions` with pycocotools and motmetrics on someone's files, figure by figure.

Run: python Tools/reference/check_scores.py --coco instances.json results.json --mot gt.txt found.txt
PyPI: pycocotools for --coco, motmetrics 1.4 for --mot; either may be given several times.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys

NAMES = "AP AP50 AP75 APsmall APmedium APlarge AR1 AR10 AR100 ARsmall ARmedium ARlarge".split()
POSE_NAMES = "AP AP50 AP75 APmedium APlarge AR AR50 AR75 ARmedium ARlarge".split()
# motmetrics' names of what MOTChallenge prints.
MOT_NAMES = {
    "IDF1": "idf1", "IDP": "idp", "IDR": "idr", "Rcll": "recall", "Prcn": "precision", "GT": "num_unique_objects",
    "MT": "mostly_tracked", "PT": "partially_tracked", "ML": "mostly_lost", "FP": "num_false_positives",
    "FN": "num_misses", "IDs": "num_switches", "FM": "num_fragmentations", "MOTA": "mota", "MOTP": "motp",
}


def ours(program, predictions, truth, *more):
    """The figures that the program prints."""
    call = [program, "evaluate", "--predictions", predictions, "--truth", truth, "--json", *more]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)["figures"]


def coco(truth, predictions, kind):
    """pycocotools' summary."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(truth)
        scoring = COCOeval(known, known.loadRes(predictions), kind)
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return dict(zip(POSE_NAMES if kind == "keypoints" else NAMES, map(float, scoring.stats)))


def mot(truth, predictions):
    """motmetrics' summary."""
    import motmetrics
    import numpy

    numpy.asfarray = lambda values: numpy.asarray(values, dtype=float)
    gt = motmetrics.io.loadtxt(truth, fmt="mot15-2D", min_confidence=1)
    found = motmetrics.io.loadtxt(predictions, fmt="mot15-2D")
    scored = motmetrics.utils.compare_to_groundtruth(gt, found, "iou", distth=0.5)
    row = motmetrics.metrics.create().compute(scored, metrics=motmetrics.metrics.motchallenge_metrics).iloc[0]
    return {ours: float(row[theirs]) for ours, theirs in MOT_NAMES.items()}


def main():
    """Prints the largest difference of each pair of files; fails above 1e-9."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coco", nargs=2, action="append", default=[], metavar=("TRUTH", "RESULTS"))
    parser.add_argument("--mot", nargs=2, action="append", default=[], metavar=("TRUTH", "FOUND"))
    parser.add_argument("--vitrail", default=".build/release/vitrail")
    arguments = parser.parse_args()
    checks = []
    for truth, results in arguments.coco:
        with open(results) as file:
            first = json.load(file)[0]
        kinds = [kind for kind, field in
                 [("bbox", "bbox"), ("segm", "segmentation"), ("keypoints", "keypoints")] if field in first]
        for kind in kinds:
            checks.append((kind, results, ours(arguments.vitrail, results, truth, "--type", kind), coco(truth, results, kind)))
    for truth, found in arguments.mot:
        checks.append(("mot", found, ours(arguments.vitrail, found, truth), mot(truth, found)))
    is_good = bool(checks)
    for kind, name, found, real in checks:
        worst = max(real, key=lambda figure: abs(real[figure] - found[figure]))
        difference = abs(real[worst] - found[worst])
        is_good = is_good and difference <= 1e-9
        print(f"{kind}, {name}: {len(real)} figures, largest difference {difference:.1e} ({worst})")
    sys.exit(0 if is_good else "a figure differs by more than 1e-9, or nothing was given")


if __name__ == "__main__":
    main()
