"""Two questions of the chapter `prediction`: what the shortcuts cost, and how fast a network should learn while tested.

python -m bench.prediction [--quick]

The rates of dynamic evaluation are compared on the prose held out of the library, never on the book.
"""

import math
import sys

import torch
from torch.utils.benchmark import Timer

from bench._result import Result, parser
from softattn import load
from softattn.prediction import dynamic_surprise, one_hot, shift, text_surprise
from softattn.text import encode, library_prose


def main() -> int:
    options = parser(__doc__).parse_args()
    result = Result("prediction", 1, None, speed=False)
    torch.set_num_threads(1)
    from recipes.prediction import split  # the recipe's split of the library

    model = load("prediction")
    x = one_hot(shift(torch.randint(96, (200, 32))), 96)
    below = torch.randn(200, 32, 320)
    stack = Timer("with torch.no_grad(): model(x)", globals=dict(model=model, x=x, torch=torch))
    cat = Timer("torch.cat([x, below], -1); torch.cat([below, below], -1)", globals=dict(x=x, below=below, torch=torch))
    whole, copies = (timer.blocked_autorange(min_run_time=1).median for timer in (stack, cat))
    result.figure("copies_share", copies / whole, "share", "copies that put parts side by side, of a forward pass")
    print(f"share of the copies that put parts side by side in a forward pass: {copies / whole:.1%}")

    codes = encode(split(library_prose())[1])[: 2000 if options.quick else 8000]
    print(f"library, held out, {len(codes)} characters")
    frozen = text_surprise(model, codes).mean().item() / math.log(2)
    result.figure("frozen_bits", frozen, "bits per character", f"library, held out, {len(codes)} characters, frozen")
    print(f"  frozen                    {frozen:.3f} bits per character")
    for segment, rate in [(25, 0.1)] if options.quick else [(25, 0.03), (25, 0.1), (25, 0.3), (50, 0.1), (50, 0.3)]:
        found = dynamic_surprise(model, codes, segment, rate).mean().item() / math.log(2)
        what = f"library, held out, {len(codes)} characters, learning while tested: segment {segment}, rate {rate:g}"
        result.figure(f"dynamic_{segment}_{rate:g}_bits", found, "bits per character", what)
        print(f"  segment {segment:3d}, rate {rate:5.2f}  {found:.3f}")
    result.finish(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
