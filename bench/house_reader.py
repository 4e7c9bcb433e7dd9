"""Let a recogniser that knows nothing of this book read what DRAW paints: do its samples read as numbers?

    python -m pip install --no-deps -r bench/requirements.txt    once; the recogniser's models are inside the wheel
    SOFTATTN_DATA=... python -m bench.house_reader               500 samples, 500 real crops, 500 of the one-shot VAE
    python -m bench.house_reader --embedded                      the small free one and painted numbers; needs no data
    options: --samples 500 --state FILE.pt --vae FILE.pt --seed 1 --save FOLDER --threads 1

Real crops are numbers of SVHN's train, windows of 54 x 54 in the middle of 64 x 64: the same squeezed squares that the
samples are. The recogniser is PP-OCRv4 as rapidocr-onnxruntime packs it; it reads lines, so each square is stretched to
`--aspect` times its height. It says a text and how sure it is. DRAW also repaints crops that training has not seen,
the held-out ones. The bar is the confidence that 90 % of the real crops reach; a picture counts as read where the text
is 1 to 4 digits and nothing else, at that confidence or above.
"""

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import softattn
from bench._result import Result, parser
from bench.legibility import NotHere
from softattn.draw import DRAW
from softattn.hub import results
from softattn.svhn import embedded_house_numbers, windows
from softattn.vae import VAE

SIDE, HEIGHT = 54, 96


def reader(threads: int, aspect: float):
    """A function from pictures (N, 3, H, W) to texts and confidences."""
    try:
        import cv2  # pyright: ignore[reportMissingImports]
        from rapidocr_onnxruntime import RapidOCR  # pyright: ignore[reportMissingImports]
    except ImportError as err:
        raise NotHere(f"{err}; python -m pip install --no-deps -r bench/requirements.txt") from err
    read = RapidOCR(intra_op_num_threads=threads, inter_op_num_threads=1).text_rec

    def texts(pictures: Tensor) -> list[tuple[str, float]]:
        said = []
        for picture in pictures:
            rows = (255 * picture).byte().permute(1, 2, 0).numpy()[..., ::-1]  # blue first
            rows = cv2.resize(rows, (round(HEIGHT * aspect), HEIGHT), interpolation=cv2.INTER_CUBIC)
            text, sure = read([np.ascontiguousarray(rows)])[0][0][:2]
            said.append((str(text), float(sure)))
        return said

    return texts


def from_state(path: Path, kind: type) -> Any:
    """The averaged weights of a training state of recipes/housenumbers.py."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    model = kind(**saved["config"])
    model.load_state_dict(saved["average"])
    if isinstance(model, DRAW) and saved["facts"]["curve"]:
        model.steps = saved["facts"]["curve"][-1][1]
    print(f"{path.name}: a training state after {saved['facts']['seconds'] / 60:.0f} min of processor time")
    return model.eval()


def real_crops(args: argparse.Namespace, held_out: bool = False) -> tuple[Tensor, list[str]]:
    """Crops, of those to train on or of those held out, and what they say."""
    if args.embedded:
        heap = embedded_house_numbers(args.samples, "test" if held_out else "train")
        return windows(heap.pixels, SIDE).float() / 255, list(heap.numbers)
    if not os.environ.get("SOFTATTN_DATA"):
        raise NotHere("SOFTATTN_DATA is not set; it compares with the house numbers of SVHN")
    from recipes.housenumbers import read_crops

    pixels, part, said = read_crops()
    chosen = torch.arange(len(part))[part == int(held_out)][: args.samples]
    return windows(pixels[chosen], SIDE).float() / 255, [said[i] for i in chosen.tolist()]


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def main() -> None:
    options = parser(__doc__, raw=True)
    options.add_argument("--samples", type=int, default=500)
    options.add_argument("--embedded", action="store_true", help="the weights that are free, and painted numbers")
    options.add_argument("--state", type=Path, help="a training state instead of the weights that ship")
    options.add_argument("--vae", type=Path, help="a training state of the one-shot control")
    options.add_argument("--aspect", type=float, default=1.5, help="width of what is read, in its height")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--save", type=Path, help="folder for the pictures and for what was read")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    args.samples = 20 if args.quick else args.samples
    torch.set_num_threads(args.threads)
    try:
        read = reader(args.threads, args.aspect)
        real, said = real_crops(args)
        groups = {"real": real}
        name = "draw-house-free" if args.embedded else "draw-svhn"
        model: Any = from_state(args.state, DRAW) if args.state else softattn.load(name)
        groups["repainted"] = repainted(model, real_crops(args, held_out=True)[0], args.seed)
        groups["DRAW"] = model.generate(args.samples, torch.Generator().manual_seed(args.seed))
        if args.vae:
            shot = from_state(args.vae, VAE)
            groups["one shot"] = shot.generate(args.samples, torch.Generator().manual_seed(args.seed))
    except NotHere as err:
        print(f"not run: {err}")
        return
    name = "house_reader" + "_embedded" * args.embedded
    result = Result(name, args.threads, None, by="house_reader", speed=False)
    texts = {key: read(pictures) for key, pictures in groups.items()}
    bar = float(np.quantile([sure for _, sure in texts["real"]], 0.1))
    right = np.mean([text == want for (text, _), want in zip(texts["real"], said, strict=True)])
    print(f"{args.samples} of each; 90 % of the real crops are read at a confidence of {bar:.3f} or above")
    result.figure("bar", bar, "share", "confidence that 90 % of the real crops reach")
    result.figure("right", float(right), "share", "of the real crops are read as what they say")
    print(f"of the real crops {right:.1%} are read as what they say")
    for key, rows in texts.items():
        good = [is_number(text) and sure >= bar for text, sure in rows]
        share, label = float(np.mean(good)), key.replace(" ", "_").lower()
        result.figure(
            f"read_{label}", share, "share", f"of {len(rows)} pictures, {key}, read as 1 to 4 digits at the bar"
        )
        numbers = float(np.mean([is_number(text) for text, _ in rows]))
        result.figure(f"digits_{label}", numbers, "share", f"of {len(rows)} pictures, {key}, read as 1 to 4 digits")
        print(f"{key:10s} read as 1 to 4 digits: {share:.1%} at the bar, {numbers:.1%} at any confidence")
    if not args.vae:
        keep_one_shot(result, name)
    if args.save:
        save(args.save, groups, texts)
    result.finish(args)


def keep_one_shot(result: Result, name: str) -> None:
    """Without a state of the control, its figures stay those that were stored, and say when they were measured."""
    with suppress(ValueError):  # none is stored
        before = results(name)
        for key, row in before["figures"].items():
            if key.endswith("_one_shot"):
                when = "" if "measured" in row["what"] else f"; measured {before['date']}, {before['processor']}"
                result.figure(key, row["value"], row["unit"], row["what"] + when)


@torch.no_grad()
def repainted(model: DRAW, crops: Tensor, seed: int) -> Tensor:
    """What the model makes of crops that its encoder sees: how much of a miss is the prior's, not the painter's."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.sigmoid(model(part, generator).logits) for part in crops.split(100)])


def save(folder: Path, groups: dict[str, Tensor], texts: dict[str, list[tuple[str, float]]]) -> None:
    """Write each picture, and what was read as a table."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "read.tsv").open("w") as table:
        for key, pictures in groups.items():
            for i, (picture, (text, sure)) in enumerate(zip(pictures, texts[key], strict=True)):
                print(key, i, text, f"{sure:.3f}", sep="\t", file=table)
                rows = (255 * picture).byte().permute(1, 2, 0).numpy()
                Image.fromarray(rows).save(folder / f"{key.replace(' ', '-')}-{i:03d}.png")


if __name__ == "__main__":
    main()
