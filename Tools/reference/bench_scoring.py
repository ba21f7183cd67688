"""COCO's figures of two files by pycocotools or faster-coco-eval, with the seconds they take: `vitrail-bench scoring` runs it.

Run: python Tools/reference/bench_scoring.py pycocotools|faster-coco-eval bbox|segm truth.json results.json
"""

import contextlib
import importlib.metadata
import io
import json
import sys
import time

tool, kind, truth, results = sys.argv[1:]
if tool == "pycocotools":
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
else:
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval

with contextlib.redirect_stdout(io.StringIO()):
    start = time.perf_counter()
    there = COCO(truth)
    found = there.loadRes(results)
    read = time.perf_counter() - start
    start = time.perf_counter()
    scored = COCOeval(there, found, kind)
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    score = time.perf_counter() - start
print(json.dumps({
    "version": f"{tool} {importlib.metadata.version(tool)}", "read": 1000 * read, "score": 1000 * score,
    "figures": [float(value) for value in scored.stats[:12]],
}))
