# Generated from book/filterbank.md by tools/export.py. Edit the chapter, not this file.
"""A grid of filters.

A grid of soft points that reads a patch of a picture and writes one back.

The chapter book/filterbank.md builds this module and explains each line.
"""

from numbers import Integral

import torch
from torch import Tensor

__all__ = ["Filterbank"]


# -- The module --
def read_patch(images: Tensor, F_y: Tensor, F_x: Tensor, gamma: Tensor):
    """gamma F_Y x F_X^T: images (B, C, H, W) to patches (B, C, N, N).

    F_y (B, N, H), F_x (B, N, W), gamma (B,); Gregor et al. (2015), eq. 27.
    """
    B, C, H, W = images.shape
    across = torch.bmm(images.reshape(B, C * H, W), F_x.mT)  # (B, C H, N)
    strong = (gamma[:, None, None] * F_y)[:, None]
    return torch.matmul(strong, across.unflatten(1, (C, H)))


def write_patch(patch: Tensor, F_y: Tensor, F_x: Tensor, gamma: Tensor):
    """F_Y^T w F_X / gamma: patches (B, C, N, N) to images (B, C, H, W).

    F_y (B, N, H), F_x (B, N, W), gamma (B,); Gregor et al. (2015), eq. 29.
    """
    thin = (F_y / gamma[:, None, None]).mT[:, None]
    down = torch.matmul(thin, patch)  # (B, C, H, N)
    across = torch.bmm(down.flatten(1, 2), F_x)  # (B, C H, W)
    return across.unflatten(1, down.shape[1:3])


# -- The module --
def filter_rows(mu: Tensor, scale: Tensor, length: int) -> Tensor:
    """Filters at mu (..., N) over pixels 1 to length: (..., N, length).

    scale is -1 / (2 sigma^2), shape (..., 1, 1).
    """
    a = torch.arange(1, length + 1, dtype=mu.dtype, device=mu.device)
    c = mu.detach().round().clamp(1, length)  # nearest: its score is 0
    off = a - c[..., None]  # a - c
    score = off * (off + (2 * (c - mu))[..., None])
    return torch.softmax((score * scale).clamp(min=-30), -1)  # see the cost


def together(name: str, value, size: tuple, raw) -> tuple[Tensor, Tensor]:
    """value (B, C, *size) and raw (B, 5) in one type, or a sentence."""
    for words, x in ((name, value), ("raw", raw)):
        if not isinstance(x, Tensor):
            got = type(x).__name__
            raise TypeError(f"Filterbank: {words} is a {got}, not a tensor")
    shape, rows = tuple(value.shape), len(raw) if raw.ndim else 0
    if len(shape) != 4 or shape[2:] != size or shape[0] != rows:
        raise ValueError(
            f"Filterbank: {name} has shape {shape}, expected ({rows}, C, {size[0]}, {size[1]}), one for each row of raw"
        )
    kind = torch.promote_types(value.dtype, raw.dtype)
    kind = torch.promote_types(kind, torch.float32)  # half is worked on wide
    return value.to(kind), raw.to(kind) if raw.is_floating_point() else raw


# -- The module --
class Filterbank:
    """An N x N grid of Gaussian filters that reads patches and writes them.

    Its parameters, `raw` (B, 5), come from a network: g~_x, g~_y,
    log sigma^2, log delta~, log gamma. The last three are logarithms: whoever
    makes them bounds them (from -5 to 5 in this book). In float32,
    log sigma^2 below -80 or logarithms above 80 overflow.

    Args:
        height, width: of the images, in pixels.
        n: filters along each side, from 2 to the image's shorter side.

    Raises:
        ValueError: if the sizes are not whole or do not fit. In the methods:
            if shapes do not fit, or raw is not floating point.

    Source: Gregor et al. (2015), section 3.2; slides 27 to 30.
    """

    def __init__(self, height: int, width: int, n: int) -> None:
        whole = all(isinstance(s, Integral) for s in (height, width, n))
        most = max(height, width) if whole else 0
        if not whole or not 2 <= n <= min(height, width) or most > 65_536:
            raise ValueError(
                f"Filterbank: n={n} on {height} x {width} pixels; expected "
                "whole numbers and 2 <= n <= the shorter side; up to 65,536"
            )
        self.height, self.width, self.n = int(height), int(width), int(n)

    def params(self, raw: Tensor) -> tuple[Tensor, ...]:
        """Scale what the network says, raw (B, 5); eq. 21 to 24.

        Returns g_x, g_y, delta, sigma2, gamma, each (B,), in pixels from 1.

        Raises:
            ValueError: if raw is anything else.
        """
        shape = tuple(getattr(raw, "shape", ()))
        fits = isinstance(raw, Tensor) and raw.is_floating_point()
        if not fits or len(shape) != 2 or shape[1] != 5:
            got = f"{getattr(raw, 'dtype', type(raw).__name__)} {shape}"
            raise ValueError(
                f"Filterbank: raw is {got}, expected floating point (B, 5): "
                "g~_x, g~_y, log sigma^2, log delta~, log gamma"
            )
        wide = torch.promote_types(raw.dtype, torch.float32)  # not in half
        g_x, g_y, log_sigma2, log_delta, log_gamma = raw.to(wide).unbind(1)
        g_x = (g_x + 1) * ((self.width + 1) / 2)
        g_y = (g_y + 1) * ((self.height + 1) / 2)
        unit = (max(self.height, self.width) - 1) / (self.n - 1)
        delta, sigma2 = log_delta.exp() * unit, log_sigma2.exp()
        return g_x, g_y, delta, sigma2, log_gamma.exp()

    def box(self, raw: Tensor) -> Tensor:
        """From the first to the last centre of raw (B, 5), for drawing.

        Returns centre x, y, width, height (B, 4), in pixels counted from 0.
        """
        g_x, g_y, delta, _, _ = self.params(raw)
        side = delta * (self.n - 1)
        return torch.stack([g_x - 1, g_y - 1, side, side], 1)

    def filters(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F_y (B, N, height), F_x (B, N, width), gamma (B,) for raw (B, 5).

        Every row sums to 1, wherever the grid lies: a filter outside the
        image reads the nearest edge pixel. Source: eq. 19, 20, 25, 26.
        """
        g_x, g_y, delta, _, gamma = self.params(raw)
        i = torch.arange(1, self.n + 1, dtype=g_x.dtype, device=raw.device)
        reach = delta[:, None] * (i - self.n / 2 - 0.5)  # (B, N)
        scale = -0.5 * torch.exp(-raw[:, 2].to(g_x))[:, None, None]
        F_y = filter_rows(g_y[:, None] + reach, scale, self.height)
        F_x = filter_rows(g_x[:, None] + reach, scale, self.width)
        return F_y, F_x, gamma

    def read(self, images: Tensor, raw: Tensor) -> Tensor:
        """Patches (B, C, N, N) of images (B, C, height, width); eq. 27."""
        size = (self.height, self.width)
        images, raw = together("images", images, size, raw)
        return read_patch(images, *self.filters(raw))

    def write(self, patch: Tensor, raw: Tensor) -> Tensor:
        """Images (B, C, height, width) of patch (B, C, N, N); eq. 29."""
        patch, raw = together("patch", patch, (self.n, self.n), raw)
        return write_patch(patch, *self.filters(raw))

    def __repr__(self) -> str:
        return f"Filterbank({self.height}, {self.width}, n={self.n})"


# -- The module --
BOUND = 5.0  # of log sigma^2, log delta~ and log gamma, on both sides


def bounded(raw: Tensor) -> Tensor:
    """Hold the three logarithms of raw (..., 5) within BOUND, smoothly."""
    logs = BOUND * torch.tanh(raw[..., 2:] / BOUND)
    return torch.cat([raw[..., :2], logs], -1)
