#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's decoder), Pillow 13.0.0, OpenCV 5.0.0.93.
#
# A BMP of 32 bits a pixel without masks (BI_RGB) has an unused fourth byte. Pillow and OpenCV pass it over. FFmpeg takes
# it as alpha as soon as one pixel of the picture has another value there than 0: the format of the frame depends on
# the pixels, and one stray byte makes all other pixels transparent.
#
# Seen, for fourth bytes 0 0 0 0 and 0 0 0 1:
#   [0, 0, 0, 0] FFmpeg bgr0 alpha [255, 255, 255, 255], Pillow RGB, OpenCV 3 channels
#   [0, 0, 0, 1] FFmpeg bgra alpha [0, 0, 0, 1], Pillow RGB, OpenCV 3 channels
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 pillow==13.0.0 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct

import av
import cv2
import numpy as np
from PIL import Image


def bmp(fourth):
    rows = b"".join(bytes([10, 20, 200, byte]) for byte in fourth)
    count = len(fourth)
    return (
        struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, count, 1, 1, 32, 0, len(rows), 0, 0, 0, 0) + rows)


seen = []
for fourth in ([0, 0, 0, 0], [0, 0, 0, 1]):
    data = bmp(fourth)
    frame = next(av.open(io.BytesIO(data)).decode(video=0))
    alpha = frame.to_ndarray(format="rgba")[0, :, 3].tolist()
    mode = Image.open(io.BytesIO(data)).mode
    channels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape[2]
    print(fourth, f"FFmpeg {frame.format.name} alpha {alpha}, Pillow {mode}, OpenCV {channels} channels")
    seen.append((frame.format.name, alpha, mode, channels))
assert seen == [("bgr0", [255] * 4, "RGB", 3), ("bgra", [0, 0, 0, 1], "RGB", 3)], seen
PYTHON
