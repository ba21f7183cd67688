#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's PNG decoder), Pillow 13.0.0.
#
# The option max_pixels of FFmpeg's decoders is compared with the size of the buffer, whose sides are rounded up to the
# decoder's blocks, and not with the picture's width times height: a valid PNG of 65 x 100 pixels is refused under a
# limit of 6,500, and of 12,000, as "invalid argument". Who sets the option to their own limit refuses valid pictures.
#
# Seen: refused under 6500, 9000 and 12000; read under 20000.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

import av
from PIL import Image

stream = io.BytesIO()
Image.new("RGB", (65, 100)).save(stream, "PNG")
seen = {}
for limit in (6500, 9000, 12000, 20000):
    container = av.open(io.BytesIO(stream.getvalue()))
    container.streams.video[0].codec_context.options = {"max_pixels": str(limit)}
    try:
        frame = next(container.decode(video=0))
        seen[limit] = f"{frame.width} x {frame.height}"
    except av.error.ArgumentError as error:
        seen[limit] = "refused: " + error.strerror
    print(limit, seen[limit])
refused = "refused: Invalid argument"
assert seen == {6500: refused, 9000: refused, 12000: refused, 20000: "65 x 100"}, seen
PYTHON
