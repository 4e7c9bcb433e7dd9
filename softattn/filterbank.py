# Generated from book/filterbank.md by tools/export.py. Edit the chapter, not this file.
"""A grid of filters.

A grid of Gaussian filters that reads a patch of an image and writes one back.

The chapter book/filterbank.md builds this module and explains each line.
"""

import torch
from torch import Tensor

__all__ = ["Filterbank", "read_patch", "write_patch"]


# -- The module --
def read_patch(images: Tensor, F_y: Tensor, F_x: Tensor, gamma: Tensor) -> Tensor:
    """Read a patch: gamma F_Y x F_X^T, for all channels in one product.

    Args:
        images: shape (B, C, H, W).
        F_y: filters down, shape (B, N, H).
        F_x: filters across, shape (B, N, W).
        gamma: strength, shape (B,).

    Returns:
        Patches, shape (B, C, N, N).

    Source: Gregor et al. (2015), eq. 27; slide 30.
    """
    B, C, H, W = images.shape
    across = torch.bmm(images.reshape(B, C * H, W), F_x.mT)  # (B, C H, N)
    return torch.matmul((gamma[:, None, None] * F_y)[:, None], across.unflatten(1, (C, H)))


def write_patch(patch: Tensor, F_y: Tensor, F_x: Tensor, gamma: Tensor) -> Tensor:
    """Write a patch: F_Y^T w F_X / gamma, for all channels in one product.

    Args:
        patch: shape (B, C, N, N).
        F_y: filters down, shape (B, N, H).
        F_x: filters across, shape (B, N, W).
        gamma: strength, shape (B,).

    Returns:
        Images, shape (B, C, H, W).

    Source: Gregor et al. (2015), eq. 29; slide 30.
    """
    B, C = patch.shape[:2]
    down = torch.matmul((F_y / gamma[:, None, None]).mT[:, None], patch)  # (B, C, H, N)
    return torch.bmm(down.flatten(1, 2), F_x).unflatten(1, (C, F_y.shape[2]))


# -- The module --
class Filterbank:
    """An N x N grid of Gaussian filters that reads patches of images and writes patches into them.

    Its parameters, `raw`, come from a network: (B, 5), in the order g~_x, g~_y, log sigma^2, log delta~, log gamma.
    The last three are logarithms: whoever makes them bounds them (from -5 to 5 in this book). In float32, log sigma^2
    below -80 or logarithms above 80 overflow.

    Args:
        height, width: of the images, in pixels.
        n: filters along each side; at least 2 and no more than the image has pixels.

    Raises:
        ValueError: if the sizes do not fit.

    Source: Gregor et al. (2015), section 3.2; slides 27 to 30.
    """

    def __init__(self, height: int, width: int, n: int):
        if n < 2:
            raise ValueError(f"Filterbank: n={n}; a stride needs two filters at least, expected n >= 2")
        if n > min(height, width):
            raise ValueError(
                f"Filterbank: a grid of {n} x {n} on {height} x {width} pixels; expected n <= {min(height, width)}"
            )
        self.height, self.width, self.n = height, width, n

    def params(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Scale what the network says.

        Args:
            raw: shape (B, 5).

        Returns:
            g_x, g_y, delta, sigma2, gamma, each (B,); lengths in pixels, the first pixel is 1.

        Raises:
            ValueError: if `raw` has another shape.

        Source: Gregor et al. (2015), eq. 21 to 24.
        """
        if raw.ndim != 2 or raw.shape[1] != 5:
            raise ValueError(
                f"Filterbank: raw has shape {tuple(raw.shape)}, expected (B, 5): "
                "g~_x, g~_y, log sigma^2, log delta~, log gamma"
            )
        g_x, g_y, log_sigma2, log_delta, log_gamma = raw.unbind(1)
        g_x = (g_x + 1) * ((self.width + 1) / 2)
        g_y = (g_y + 1) * ((self.height + 1) / 2)
        delta = log_delta.exp() * ((max(self.height, self.width) - 1) / (self.n - 1))
        return g_x, g_y, delta, log_sigma2.exp(), log_gamma.exp()

    def box(self, raw: Tensor) -> Tensor:
        """Where the grid lies, for drawing: from the first to the last centre.

        Args:
            raw: shape (B, 5).

        Returns:
            Centre x, centre y, width, height, shape (B, 4), in pixels counted from 0.
        """
        g_x, g_y, delta, _, _ = self.params(raw)
        side = delta * (self.n - 1)
        return torch.stack([g_x - 1, g_y - 1, side, side], 1)

    def filters(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two matrices of filters, and the strength.

        Every row sums to 1, wherever the grid lies: a filter outside the image reads the nearest edge pixel.

        Args:
            raw: shape (B, 5).

        Returns:
            F_y (B, N, height), F_x (B, N, width), gamma (B,).

        Source: Gregor et al. (2015), eq. 19, 20, 25, 26.
        """
        g_x, g_y, delta, _, gamma = self.params(raw)
        i = torch.arange(1, self.n + 1, dtype=raw.dtype, device=raw.device)
        reach = delta[:, None] * (i - self.n / 2 - 0.5)  # (B, N)
        scale = (-0.5 * torch.exp(-raw[:, 2]))[:, None, None]  # -1 / (2 sigma^2), (B, 1, 1)
        if self.height == self.width:  # both axes at once
            F = self._rows(torch.stack([g_y, g_x], 1)[:, :, None] + reach[:, None], scale[:, None], self.width)
            return F[:, 0], F[:, 1], gamma
        return (
            self._rows(g_y[:, None] + reach, scale, self.height),
            self._rows(g_x[:, None] + reach, scale, self.width),
            gamma,
        )

    @staticmethod
    def _rows(mu: Tensor, scale: Tensor, length: int) -> Tensor:
        """Filters at mu (..., N) over pixels 1 to length, shape (..., N, length); scale is -1 / (2 sigma^2)."""
        a = torch.arange(1, length + 1, dtype=mu.dtype, device=mu.device)
        nearest = mu.detach().round().clamp(1, length)  # c: its score is 0, the largest
        off = a - nearest[..., None]  # a - c
        score = off * (off + (2 * (nearest - mu))[..., None])  # (a - mu)^2 - (c - mu)^2
        return torch.softmax((score * scale).clamp(min=-30), -1)  # e^-30 is the least: see the cost

    def read(self, images: Tensor, raw: Tensor) -> Tensor:
        """Read a patch from each image, all its channels through one grid.

        Args:
            images: shape (B, C, height, width).
            raw: shape (B, 5).

        Returns:
            Patches, shape (B, C, N, N).

        Raises:
            ValueError: if the shapes do not fit.
        """
        self._check("images", images, (self.height, self.width), raw)
        return read_patch(images, *self.filters(raw))

    def write(self, patch: Tensor, raw: Tensor) -> Tensor:
        """Write a patch into an empty image, all its channels through one grid.

        Args:
            patch: shape (B, C, N, N).
            raw: shape (B, 5).

        Returns:
            Images, shape (B, C, height, width).

        Raises:
            ValueError: if the shapes do not fit.
        """
        self._check("patch", patch, (self.n, self.n), raw)
        return write_patch(patch, *self.filters(raw))

    def _check(self, name: str, value: Tensor, size: tuple[int, int], raw: Tensor) -> None:
        """Raise ValueError unless value is (B, C, *size) with raw's B."""
        if value.ndim != 4 or tuple(value.shape[2:]) != size or len(value) != len(raw):
            raise ValueError(
                f"Filterbank: {name} has shape {tuple(value.shape)}, expected ({len(raw)}, C, {size[0]}, {size[1]}), "
                "one for each row of raw"
            )

    def __repr__(self) -> str:
        return f"Filterbank(height={self.height}, width={self.width}, n={self.n})"
