"""Makes Tests/MediaTests/Fixtures: pictures in many formats with the pixels Pillow reads from them,
resizes by Pillow, masks by pycocotools, and a short video.

    pip install pillow==13.0.0 pycocotools==2.0.11 av==18.1.0 numpy==2.4.6
    python Tools/reference/media_fixtures.py
"""

import base64
import io
import json
import pathlib
import struct
import zlib

import av
import numpy as np
import PIL
from PIL import Image, ImageOps
from pycocotools import mask as coco

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "MediaTests" / "Fixtures"
rng = np.random.default_rng(7)


def picture(width=29, height=23):
    """Gradients, a disc and edges: smooth enough to stay small, with something at every border."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / (width - 1)
    green = 255 * y / (height - 1)
    blue = 127 + 127 * np.sin(x / 3) * np.cos(y / 4)
    pixels = np.stack([red, green, blue], -1)
    pixels[(x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < 40] = (250, 30, 60)
    pixels[:4, :9] = (20, 40, 220)
    return Image.fromarray(pixels.round().astype(np.uint8))


def seen(data):
    """What a person sees: upright, over white."""
    image = Image.open(io.BytesIO(data))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) * 255 // 65535).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def encoded(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def text(data):
    return base64.b64encode(data).decode()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(width, height, colour, samples):
    """Pillow writes no 16-bit colour, so this does."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def without_adobe_marker(jpeg):
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + struct.unpack(">H", jpeg[start + 2 : start + 4])[0] :]


def pictures():
    base = picture()
    files = {}
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        files[f"jpeg-{name}.jpg"] = encoded(base, "JPEG", quality=90, subsampling=sampling)
    files["jpeg-progressive.jpg"] = encoded(base, "JPEG", quality=85, progressive=True)
    files["jpeg-restart.jpg"] = encoded(base, "JPEG", quality=85, restart_marker_blocks=2)
    files["jpeg-one-pixel.jpg"] = encoded(base.crop((5, 5, 6, 6)), "JPEG")
    files["jpeg-two-wide.jpg"] = encoded(base.crop((5, 5, 7, 20)), "JPEG")
    files["jpeg-grey.jpg"] = encoded(base.convert("L"), "JPEG", quality=90)
    files["jpeg-cmyk.jpg"] = encoded(base.convert("CMYK"), "JPEG", quality=95)
    files["jpeg-cmyk-plain.jpg"] = without_adobe_marker(files["jpeg-cmyk.jpg"])
    files["jpeg-rgb.jpg"] = encoded(base, "JPEG", quality=95, keep_rgb=True)
    files["jpeg-comment.jpg"] = encoded(base, "JPEG", quality=90, comment=b"CS=ITU601")
    files["jpeg-trailing.jpg"] = files["jpeg-420.jpg"] + b"\xff\xd8 and more"
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"exif-{orientation}.jpg"] = encoded(base, "JPEG", quality=92, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    files["exif-6.png"] = encoded(base, "PNG", exif=exif)
    files["exif-8.webp"] = encoded(base, "WEBP", lossless=True, exif=exif)

    alpha = Image.fromarray(np.linspace(0, 255, 29 * 23).reshape(23, 29).round().astype(np.uint8))
    rgba = base.copy()
    rgba.putalpha(alpha)
    grey_alpha = Image.merge("LA", [base.convert("L"), alpha])
    palette = base.quantize(16)
    files["png-rgb.png"] = encoded(base, "PNG")
    files["png-rgba.png"] = encoded(rgba, "PNG")
    files["png-grey.png"] = encoded(base.convert("L"), "PNG")
    files["png-grey-alpha.png"] = encoded(grey_alpha, "PNG")
    files["png-one-bit.png"] = encoded(base.convert("1"), "PNG")
    files["png-palette.png"] = encoded(palette, "PNG")
    files["png-palette-alpha.png"] = encoded(palette, "PNG", transparency=bytes(range(0, 256, 16)))
    files["png-key.png"] = encoded(base, "PNG", transparency=(20, 40, 220))
    deep = np.asarray(base).astype(np.uint16) * 256 + rng.integers(0, 256, (23, 29, 3), dtype=np.uint16)
    files["png-grey16.png"] = png16(29, 23, 0, deep[:, :, 0])
    files["png-rgb16.png"] = png16(29, 23, 2, deep)
    files["webp-lossy.webp"] = encoded(base, "WEBP", quality=90)
    files["webp-lossless.webp"] = encoded(base, "WEBP", lossless=True)
    files["webp-alpha.webp"] = encoded(rgba, "WEBP", quality=90)
    files["webp-lossless-alpha.webp"] = encoded(rgba, "WEBP", lossless=True, exact=True)
    files["bmp-rgb.bmp"] = encoded(base, "BMP")
    files["bmp-palette.bmp"] = encoded(palette, "BMP")
    files["bmp-grey.bmp"] = encoded(base.convert("L"), "BMP")
    files["gif.gif"] = encoded(palette, "GIF")
    files["gif-animated.gif"] = encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)])
    files["gif-transparent.gif"] = encoded(palette, "GIF", transparency=3)

    entries = []
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
        image = seen(data)
        entries.append({"file": name, "width": image.width, "height": image.height, "rgb": text(image.tobytes())})
    return entries


def damaged():
    """Files that must be refused; the rest the tests cut from good ones themselves. The huge one holds a
    single row: nobody should come so far as to notice."""
    size = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
    huge += chunk(b"IDAT", zlib.compress(bytes(3751))) + chunk(b"IEND", b"")
    (FOLDER / "huge.png").write_bytes(huge)
    (FOLDER / "text.png").write_text("This is a text, whatever its name says.\n")


def resizes():
    base = picture(41, 31)
    entries = []
    for filter, resample in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
        for size in ((20, 15), (41, 13), (53, 31), (60, 44), (7, 3), (1, 1), (17, 48), (60, 20), (38, 20)):
            entries.append({
                "filter": filter, "width": size[0], "height": size[1],
                "rgb": text(base.resize(size, resample).tobytes()),
            })
    return {"width": 41, "height": 31, "rgb": text(base.tobytes()), "cases": entries}


def masks():
    height, width = 23, 31
    y, x = np.mgrid[0:height, 0:width]
    bitmaps = {
        "empty": np.zeros((height, width)), "full": np.ones((height, width)),
        "disc": (x - 15) ** 2 + (y - 11) ** 2 < 60,
        "ring": ((x - 12) ** 2 + (y - 9) ** 2 < 70) & ((x - 12) ** 2 + (y - 9) ** 2 > 20),
        "noise": rng.random((height, width)) < 0.4, "columns": x % 7 < 2,
        "corner": (x == width - 1) & (y == height - 1), "first": (x == 0) & (y == 0),
    }
    polygons = {
        "triangle": [[3.2, 4.1, 27.9, 6.5, 12.3, 20.7]],
        "outside": [[-8.0, -3.5, 40.25, 5.0, 14.0, 33.0]],
        "two": [[2, 2, 9, 2, 9, 9, 2, 9], [6.5, 6.5, 20.5, 7.5, 18.2, 19.9]],
        "repeated": [[4, 4, 4, 4, 20, 4, 20, 15, 4, 15]],
        "bow": [[2, 2, 25, 20, 25, 2, 2, 20]],
        "thin": [[5, 5, 25, 5.3, 5, 5.6]],
        "round": [[v for a in np.linspace(0, 6.2, 40) for v in (15 + 9 * np.cos(a), 11 + 9 * np.sin(a))]],
    }
    boxes = {"box": [3.4, 2.2, 10.7, 8.1], "edge": [20.0, 10.0, 30.0, 30.0]}
    coded, entries = [], []

    def add(name, rle, **source):
        coded.append(rle)
        entries.append({
            "name": name, "string": rle["counts"].decode(), "area": int(coco.area(rle)),
            "box": [float(v) for v in coco.toBbox(rle)],
            "bitmap": text(np.ascontiguousarray(coco.decode(rle)).tobytes()), **source,
        })

    for name, bits in bitmaps.items():
        add(name, coco.encode(np.asfortranarray(bits.astype(np.uint8))))
    for name, parts in polygons.items():
        add(name, coco.merge(coco.frPyObjects(parts, height, width)), polygons=[list(map(float, p)) for p in parts])
    for name, box in boxes.items():
        add(name, coco.frPyObjects(np.array([box]), height, width)[0], fromBox=box)
    # A large mask exercises long runs, whose characters carry five bits each.
    large = np.zeros((700, 900), np.uint8)
    large[13:650, 200:201] = 1
    large[:, 500:640] = 1
    rle = coco.encode(np.asfortranarray(large))
    plain = [0, 0, 500, 200]
    return {
        "width": width, "height": height, "masks": entries,
        "iou": coco.iou(coded, coded, [0] * len(coded)).tolist(),
        "crowdIoU": coco.iou(coded, coded, [1] * len(coded)).tolist(),
        "union": coco.merge(coded[2:5]).get("counts").decode(),
        "intersection": coco.merge(coded[2:5], intersect=True).get("counts").decode(),
        "large": {"string": rle["counts"].decode(), "area": int(coco.area(rle)), "box": coco.toBbox(rle).tolist()},
        "boxes": {
            "boxes": [[0, 0, 10, 10], [5, 5, 10, 10], [20, 0, 3, 4], plain],
            "iou": coco.iou(*[np.array([[0, 0, 10, 10], [5, 5, 10, 10], [20, 0, 3, 4], plain], float)] * 2, [0] * 4).tolist(),
            "crowdIoU": coco.iou(*[np.array([[0, 0, 10, 10], [5, 5, 10, 10], [20, 0, 3, 4], plain], float)] * 2, [1] * 4).tolist(),
        },
    }


def video():
    """Twelve flat frames at 10 a second, each darker in red and lighter in green than the one before."""
    with av.open(str(FOLDER / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            pixels = np.full((48, 64, 3), (220 - 18 * index, 20 + 18 * index, 90), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in (("pictures", pictures), ("resizes", resizes), ("masks", masks)):
        (FOLDER / f"{name}.json").write_text(json.dumps({"pillow": PIL.__version__, "cases": make()}))
    damaged()
    video()
    print(sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes in", FOLDER)


if __name__ == "__main__":
    main()
