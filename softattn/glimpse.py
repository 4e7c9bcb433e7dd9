# Generated from book/glimpse.md by tools/export.py. Edit the chapter, not this file.
"""Glimpses: reading a cluttered canvas.

A network that reads a cluttered canvas in a few looks through a small grid.

The chapter book/glimpse.md builds this module and explains each line.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softattn.filterbank import BOUND, Filterbank, bounded
from softattn.fused_lstm import no_autocast
from softattn.hub import shaped, whole
from softattn.lstm import LSTMCell

__all__ = ["GlimpseClassifier", "GlimpseOutput", "glimpse_nats"]


# -- The module --
class GlimpseOutput(NamedTuple):
    """What a reader saw on a batch of images, look by look.

    Args:
        logits: of the classes after the last look, shape (B, K).
        logits_by_glimpse: after each look, shape (T, B, K).
        boxes: where each looked: centre x, centre y, width, height in
            pixels from 0, without gradient, shape (T, B, 4).
        patches: what each read, shape (T, B, C, N, N).
    """

    logits: Tensor
    logits_by_glimpse: Tensor
    boxes: Tensor
    patches: Tensor


# -- The module --
def glimpse_sizes(image_shape: Any, **sizes: Any) -> list[int]:
    """C, H, W and the other sizes as whole numbers, or a sentence."""
    name = "GlimpseClassifier"
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(f"{name}: image_shape is {image_shape!r:.60}, expected (C, H, W)")
    sizes = dict(zip(("C", "H", "W"), image_shape, strict=True)) | sizes
    found = [whole(name, key, size, 1) for key, size in sizes.items()]
    C, _, _, _, N, hidden, K = found
    if hidden * max(C * N * N, 8 * hidden, K) > 2**31:
        raise ValueError(f"{name}: {sizes} make more than 2^31 weights; expected fewer")
    return found


@torch.no_grad()
def start_wide(aim: nn.Linear, features: nn.Linear, bank: Filterbank) -> None:
    """Let the first look see all of the image, and let what it sees count."""
    stride = (max(bank.height, bank.width) - 1) / (bank.n - 1)
    soft = min(2 * math.log(stride / 2) / BOUND, 0.95)  # sigma = stride / 2
    start = [0.0, 0.0, BOUND * math.atanh(soft), 0.0, 1.5]  # a blur is dim
    aim.bias.copy_(torch.tensor(start))
    nn.init.kaiming_normal_(features.weight, nonlinearity="relu")


# -- The module --
class GlimpseClassifier(nn.Module):
    """Say what an image shows after T looks through a small grid.

    An LSTM aims a grid of N x N Gaussian filters, reads, and aims again. Its
    first state is learned, so the first look is the same for all images.

    Args:
        image_shape: channels, rows, columns.
        glimpses: T. No weight belongs to a look: change `model.glimpses`.
        grid: N, filters along each side.
        hidden: cells of the LSTM.
        classes: K.

    Raises:
        TypeError, ValueError: if a size is none, or the grid does not fit.

    Source: Gregor et al. (2015), section 4.1; slide 31.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 100, 100),
        glimpses: int = 8,
        grid: int = 12,
        hidden: int = 256,
        classes: int = 10,
    ):
        super().__init__()
        C, H, W, self.glimpses, N, hidden, classes = glimpse_sizes(
            image_shape,
            glimpses=glimpses,
            grid=grid,
            hidden=hidden,
            classes=classes,
        )
        self.image_shape, self.classes = (C, H, W), classes
        self.bank = Filterbank(H, W, N)
        self.features = nn.Linear(C * N * N, hidden)
        self.cell = LSTMCell(hidden, hidden, peephole=False)
        self.aim = nn.Linear(hidden, 5)
        self.head = nn.Linear(hidden, classes)
        self.start = nn.Parameter(torch.zeros(2, hidden))  # h_0, c_0
        start_wide(self.aim, self.features, self.bank)

    def first(self, n: int) -> tuple[Tensor, Tensor]:
        """Give the learned first state (h, c) to n images: each (n, H)."""
        h, c = self.start.unbind(0)
        return h.expand(n, -1), c.expand(n, -1)

    def where(self, h: Tensor) -> Tensor:
        """Aim the next look by h (B, H): raw (B, 5) for the filterbank."""
        with no_autocast(h.device.type):  # nothing here is rounded
            return bounded(self.aim(h.to(self.aim.weight.dtype)))

    def look(self, x: Tensor, raw: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read images x (B, C, H, W) through grids at raw (B, 5), and take
        what is seen into the state: the patch (B, C, N, N), the new state."""
        with no_autocast(x.device.type):
            patch = self.bank.read(x, raw)
        seen = patch.flatten(1).to(self.features.weight.dtype)
        return patch, self.cell(torch.relu(self.features(seen)), state)

    def forward(self, x: Tensor) -> GlimpseOutput:
        """Look T times at each image.

        Args:
            x: floats from 0 to 1, shape (B, C, H, W).

        Returns:
            What was seen, where, and what each look made of it.

        Raises:
            TypeError, ValueError: if a type or a shape does not fit.
        """
        shaped("GlimpseClassifier", "x", x, "B", *self.image_shape)
        T = whole("GlimpseClassifier", "glimpses", self.glimpses, 1)
        state, looks = self.first(len(x)), []
        for _ in range(T):
            raw = self.where(state[0])
            patch, state = self.look(x, raw, state)
            box = self.bank.box(raw.detach())
            looks.append((self.head(state[0]), box, patch))
        logits, boxes, patches = map(torch.stack, zip(*looks, strict=True))
        return GlimpseOutput(logits[-1], logits, boxes, patches)


# -- The module --
def glimpse_nats(logits_by_glimpse: Tensor, labels: Tensor) -> Tensor:
    """Surprise at the labels after each look, the later the heavier.

    Args:
        logits_by_glimpse: shape (T, B, K).
        labels: shape (B,), int64, from 0 to K - 1.

    Returns:
        Nats of each image, shape (B,): look t weighs t / (1 + ... + T).

    Raises:
        TypeError, ValueError: if a type or a shape does not fit.

    Source: Shannon (1948); the weights are ours.
    """
    told, name = logits_by_glimpse, "logits_by_glimpse"
    shaped("glimpse_nats", name, told, "T", "B", "K")
    T, B, K = told.shape
    shaped("glimpse_nats", "labels", labels, B, dtype=torch.int64)
    if not labels.is_meta and ((labels < 0) | (labels >= K)).any():
        raise ValueError(f"glimpse_nats: labels from {labels.amin()} to {labels.amax()}, expected 0 to {K - 1}")
    wide = torch.promote_types(told.dtype, torch.float32)
    flat = told.to(wide).flatten(0, 1)  # (T B, K)
    nats = F.cross_entropy(flat, labels.repeat(T), reduction="none")
    late = torch.arange(1, T + 1, dtype=wide, device=nats.device)  # (T,)
    return (late / late.sum()) @ nats.view(T, B)


# -- The real thing --
CALM = 5.0  # the longest gradient of one canvas at the aim, times the batch


def calm(module: nn.Module, grads: Any) -> tuple[Tensor]:
    """Shorten each canvas's gradient (B, 5) where it enters the aim."""
    (grad,) = grads
    length = grad.norm(dim=1, keepdim=True) * len(grad)
    return (grad * (CALM / length.clamp(min=CALM)),)


def whole_reader(kind: str, size: int = 100, classes: int = 10) -> nn.Module:
    """Read the whole canvas: "fully connected", or first "convolutional"."""
    if kind == "convolutional":  # 8 filters of 10 x 10, every 5 pixels
        wide = 8 * ((size - 10) // 5 + 1) ** 2
        first = [nn.Conv2d(1, 8, 10, stride=5), nn.ReLU(), nn.Flatten()]
    else:
        first, wide = [nn.Flatten(), nn.Linear(size**2, 256), nn.ReLU()], 256
    second = [nn.Linear(wide, 256), nn.ReLU(), nn.Linear(256, classes)]
    return nn.Sequential(*first, *second)


# -- Hard against soft, again --
SPREAD = 0.1  # of a drawn place, in halves of the canvas


def hard_nats(
    model: GlimpseClassifier,
    x: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    usual: float,
) -> tuple[Tensor, Tensor]:
    """glimpse_nats with the places drawn, `usual` nats as their baseline.

    Returns a scalar whose gradient is REINFORCE's by the places and
    backpropagation's by all else; and the nats of each canvas, (B,).
    """
    state, logits, log_p = model.first(len(x)), [], x.new_zeros(len(x))
    for _ in range(model.glimpses):
        raw = model.where(state[0])
        noise = torch.randn(len(x), 2, generator=generator).to(raw)
        place = (raw[:, :2] + SPREAD * noise).detach()  # new
        aimed = model.where(state[0].detach())[:, :2]  # new
        off = (place - aimed).square().sum(1)
        log_p = log_p - off / (2 * SPREAD**2)  # new
        _, state = model.look(x, torch.cat([place, raw[:, 2:]], 1), state)
        logits.append(model.head(state[0]))
    nats = glimpse_nats(torch.stack(logits), labels)
    credit = (nats - usual).detach()  # new
    return (nats + credit * log_p).mean(), nats.detach()
