"""Makes Tests/MediaTests/Fixtures/polygons.json and bmp32.json: polygons that reach far out of their picture, as pycocotools
fills them, and BMP pictures of four bytes a pixel, as Pillow sees them.

    pip install pillow==13.0.0 pycocotools==2.0.11 numpy==2.4.6
    python Tools/reference/outside_fixtures.py
"""

import base64
import io
import json
import pathlib
import struct

import numpy as np
from PIL import Image
from pycocotools import mask as coco

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "MediaTests" / "Fixtures"
rng = np.random.default_rng(11)


def polygons():
    height, width = 33, 47
    cases = []
    for number in range(120):
        reach = [20, 60, 400, 3000, 90000][number % 5]
        corners = int(rng.integers(3, 9))
        points = rng.uniform(-reach, reach, (corners, 2)) + [width / 2, height / 2]
        if number % 3 == 0:
            points = points.round(int(rng.integers(0, 2)))
        polygon = points.ravel().clip(-100000, 100000).tolist()
        rle = coco.frPyObjects([polygon], height, width)[0]
        cases.append({"polygon": polygon, "string": rle["counts"].decode()})
    return {"width": width, "height": height, "cases": cases}


def bmp(header, compression, fourth, masks=()):
    """5 x 3 pixels; `fourth` is what their fourth bytes hold."""
    width, height = 5, 3
    rows = b"".join(
        bytes([40 * x + 10, 60 * y + 20, 200 - 30 * x, fourth[(x + y) % len(fourth)]])
        for y in range(height) for x in range(width))
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, compression, len(rows), 2835, 2835, 0, 0)
    extra = struct.pack(f"<{len(masks)}I", *masks)
    if header > 40:
        extra = (extra + bytes(header))[: header - 40]
    start = 14 + len(info) + len(extra)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + info + extra + rows


def pictures():
    red, green, blue, alpha = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    cases = []
    for fourth in ([0], [7], [0, 200, 255], [255]):
        for name, header, compression, masks in (
            ("plain", 40, 0, ()), ("masks", 40, 3, (red, green, blue)),
            ("V4 plain", 108, 0, ()), ("V4 masks", 108, 3, (red, green, blue, 0)),
            ("V4 alpha", 108, 3, (red, green, blue, alpha)), ("V5 alpha", 124, 3, (red, green, blue, alpha)),
        ):
            # Tools disagree about alpha that is 0 everywhere.
            if "alpha" in name and fourth == [0]:
                continue
            data = bmp(header, compression, fourth, masks)
            image = Image.open(io.BytesIO(data))
            mode = image.mode
            if mode == "RGBA":
                image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
            cases.append({
                "name": f"{name} {fourth}", "file": base64.b64encode(data).decode(),
                "rgb": base64.b64encode(image.convert("RGB").tobytes()).decode(),
            })
    return cases


def main():
    (FOLDER / "polygons.json").write_text(json.dumps({"cases": polygons()}))
    (FOLDER / "bmp32.json").write_text(json.dumps({"cases": pictures()}))


if __name__ == "__main__":
    main()
