# Generated from book/mixture.md by tools/export.py. Edit the chapter, not this file.
"""Mixture densities.

A network that answers with a landscape of probability, one for each point of a pen.

The chapter book/mixture.md builds this module and explains each line.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["StrokeMixture"]


# -- The layer --
LIMIT_FLOAT32, LIMIT_FLOAT64 = 14.0, 100.0  # for sigma^ and rho^


def held(x: Tensor) -> Tensor:
    """Hold x within +-LIMIT; beyond, value and gradient are the edge's."""
    limit = LIMIT_FLOAT64 if x.dtype == torch.float64 else LIMIT_FLOAT32
    return x.detach().clamp(-limit, limit) + (x - x.detach())


def draw_noise(raw: Tensor, generator: torch.Generator | None) -> Tensor:
    """Two uniform and two normal numbers for each row of raw, (..., 4)."""
    if not isinstance(generator, torch.Generator | None):
        raise TypeError(
            f"StrokeMixture.sample: generator = {generator!r}; give "
            "torch.Generator().manual_seed(0) or another torch.Generator"
        )
    where = "cpu" if generator is None else generator.device
    size, g, dtype = (*raw.shape[:-1], 2), generator, raw.dtype
    uniform = torch.rand(size, generator=g, dtype=dtype, device=where)
    normal = torch.randn(size, generator=g, dtype=dtype, device=where)
    return torch.cat([uniform, normal], -1)


# -- The layer --
def readable(x: Tensor) -> bool:
    """Whether values may be looked at: not on meta, not in a transform."""
    inside = torch._C._are_functorch_transforms_active()
    inside = inside or torch.compiler.is_compiling()
    return not inside and x.device.type != "meta"


def floor_like(floor, raw: Tensor) -> Tensor:
    """The floor as (2,) beside raw, or a ValueError."""
    pair: Any = ()
    if isinstance(floor, Tensor) and not readable(floor):
        fine = floor.shape in ((), (2,))
    else:
        plain = floor.tolist() if hasattr(floor, "tolist") else floor
        pair = plain if isinstance(plain, list | tuple) else (plain, plain)
        number = [isinstance(f, Real) and type(f) is not bool for f in pair]
        fine = len(pair) == 2 and all(number)
        fine = fine and all(0 <= f <= 1e15 for f in pair)
    if not fine:
        raise ValueError(f"StrokeMixture: floor must be a number from 0 to 1e15 or a pair of them (x, y), got {floor}")
    if not isinstance(floor, Tensor):
        floor = torch.tensor(pair, dtype=raw.dtype)
    return floor.detach().to(raw).expand(2)


# -- The layer --
def fitted(raw: Tensor, points, words, size=0, most=False) -> Tensor:
    """points in raw's type if they fit raw, and (if size) are (..., size).

    most: they may not have more dimensions than raw.
    """
    if isinstance(points, Real) and not size:
        points = torch.tensor(float(points))
    if not isinstance(points, Tensor) or points.is_complex():
        got = getattr(points, "dtype", type(points).__name__)
        wanted = "a tensor" if size else "a tensor or a number"
        raise TypeError(f"StrokeMixture: {words} must be {wanted}, got {got}")
    lead = points.shape[:-1] if size else points.shape
    try:
        whole = raw.shape[:-1]
        if lead not in (whole, ()):  # the function is slow
            whole = torch.broadcast_shapes(whole, lead)
        last = not size or points.shape[len(lead) :] == (size,)
        if last and (not most or whole == raw.shape[:-1]):
            return points.to(raw)
    except RuntimeError:  # no common shape: below
        pass
    raise ValueError(
        f"StrokeMixture: {words} of shape {tuple(points.shape)} do not fit "
        f"raw outputs of shape {tuple(raw.shape)}: all dimensions but the "
        "last must be equal or 1" + (f", and the last {size}" if size else "; raw's last is left out")
    )


# -- The layer --
class StrokeComponents:
    """What 6M + 1 raw outputs say: a coin, M shares, M bivariate Gaussians.

    Args and errors are those of StrokeMixture, which adds the pieces up.
    """

    def __init__(
        self,
        raw: Tensor,
        floor: float | Sequence[float] | Tensor = 0.0,
    ) -> None:
        if not isinstance(raw, Tensor) or not raw.is_floating_point():
            got = getattr(raw, "dtype", type(raw).__name__)
            raise ValueError(f"StrokeMixture: raw must be a floating point tensor, got {got}; call .float() on it")
        size = raw.shape[-1] if raw.ndim else 0
        if size < 7 or size % 6 != 1:
            raise ValueError(
                "StrokeMixture: the last dimension of raw must be 6M + 1 (7, "
                f"13, ..., 121 for M = 20), got {size} in shape "
                f"{tuple(raw.shape)}; give the network's last layer "
                "6 * M + 1 outputs"
            )
        half = raw.dtype in (torch.float16, torch.bfloat16)
        self.raw = raw.float() if half else raw
        self.floor = floor_like(floor, self.raw)  # (2,)
        M = self.components = size // 6
        parts = self.raw.split([1, M, 2 * M, 2 * M, M], -1)
        self._e, self._pi, mu, sigma, self._rho = parts
        self.mu = mu.unflatten(-1, (2, M)).mT  # (..., M, 2), eq. 20
        self._sigma = sigma.unflatten(-1, (2, M)).mT  # (..., M, 2)

    @property
    def end(self) -> Tensor:
        """Probability that the pen lifts after this point (...); eq. 18."""
        return torch.sigmoid(-self._e[..., 0])

    @property
    def pi(self) -> Tensor:
        """Mixture weights, shape (..., M), sum 1; Graves eq. 19."""
        return torch.softmax(self._pi, -1)

    @property
    def sigma(self) -> Tensor:
        """Standard deviations before the floor (..., M, 2); Graves eq. 21."""
        return torch.exp(held(self._sigma))

    @property
    def rho(self) -> Tensor:
        """Correlations before the floor (..., M); Graves eq. 22."""
        return torch.tanh(held(self._rho))

    def mean(self) -> Tensor:
        """Mean of dx, dy and the end bit, shape (..., 3)."""
        offset = (self.pi[..., None] * self.mu).sum(-2)
        return torch.cat([offset, self.end[..., None]], -1)

    def log_gaussians(self, xy: Tensor) -> Tensor:
        """Log density of offsets (..., 2) by component, in nats: (..., M).

        Source: Graves eq. 24 and 25, floor^2 added to the variances.
        """
        f_x, f_y = self.floor
        (mu_x, mu_y), (s_x, s_y) = self.mu.unbind(-1), self.sigma.unbind(-1)
        d_x, d_y = (s_x**2 + f_x**2).sqrt(), (s_y**2 + f_y**2).sqrt()
        z_x, z_y = (xy[..., :1] - mu_x) / d_x, (xy[..., 1:] - mu_y) / d_y
        own_x, own_y = s_x / d_x, s_y / d_y
        rho, rho_hat = self.rho * own_x * own_y, held(self._rho)
        gap = 4 * torch.sigmoid(2 * rho_hat) * torch.sigmoid(-2 * rho_hat)
        lent_x, lent_y = (f_x / d_x) ** 2, (f_y / d_y) ** 2
        rest = lent_x + own_x**2 * (lent_y + own_y**2 * gap)  # 1 - rho^2
        Z = z_x**2 + (z_y - rho * z_x) ** 2 / rest  # eq. 25 over 1 - rho^2
        log_scale = math.log(2 * math.pi) + d_x.log() + d_y.log()
        return -log_scale - 0.5 * (rest.log() + Z)  # eq. 24


# -- The layer --
def draw_points(mixture: StrokeComponents, bias: Tensor, noise: Tensor) -> Tensor:
    """Turn noise (..., 4), two uniform and two normal numbers, into points.

    bias is Graves' b, shape () or (...). Returns (..., 3); NaN where the
    raw outputs or the bias leave nothing to draw from.

    Source: Graves (2013), eq. 61-62.
    """
    uniform, normal = noise.split(2, -1)
    bias = bias[..., None]
    ladder = torch.softmax(mixture._pi * (1 + bias), -1).cumsum(-1)  # eq. 62
    top = ladder[..., -1:]
    chosen = (ladder / top <= uniform[..., :1]).sum(-1, keepdim=True)
    pick = chosen[..., None].expand(*chosen.shape, 2)
    mu = mixture.mu.gather(-2, pick)[..., 0, :]
    sigma_hat = mixture._sigma.gather(-2, pick)[..., 0, :]
    sigma = torch.exp(held(sigma_hat) - bias)  # eq. 61
    rho = torch.tanh(held(mixture._rho.gather(-1, chosen)))
    root = torch.sqrt(sigma.square() + mixture.floor.square())  # (..., 2)
    rho = rho * (sigma / root).prod(-1, keepdim=True)
    first, second = normal.split(1, -1)
    turned = rho * first + torch.sqrt(1 - rho.square()) * second
    offset = mu + root * torch.cat([first, turned], -1)
    lifts = mixture.end[..., None]
    end = (uniform[..., 1:] < lifts).to(offset)
    known = 0 * (top + lifts)  # 0, or NaN
    return torch.cat([offset, end], -1) + known


# -- The layer --
class StrokeMixture(StrokeComponents):
    """Distributions of pen points: M Gaussians for the offset, a coin.

    Args:
        raw: network outputs (..., 6M + 1), in the order e^ (1), pi^ (M),
            mu_x (M), mu_y (M), sigma^_x (M), sigma^_y (M), rho^ (M).
            bfloat16 and float16 are worked on as float32.
        floor: standard deviation below which no component's may fall, in
            the unit of the offsets: a number, a pair (x, y), or a tensor of
            shape () or (2,). Its square is added to the variances; 0 is the
            paper's density. No gradient flows into it.

    All in log space. With a floor of 1e-3 or more, values and gradients are
    finite for offsets up to 1,000 and raw up to +-50 (float32: +-12). sigma^
    and rho^ are held within +-100 (float32: +-14); beyond, value and
    gradient are the edge's: what ran away is still called back.

    Raises:
        ValueError: if raw is not (..., 6M + 1) or not floating point, or
            the floor is no number or pair from 0 to 1e15.

    Source: Graves (2013), eq. 18-26, 61-62; slide 12.
    """

    def log_prob(self, stroke: Tensor) -> Tensor:
        """Log density of points, in nats: of the offset plus of the end bit.

        stroke (dx, dy, end of stroke: 0 or 1), shape (..., 3); returns
        (...), above 0 where narrow: it is a density. ValueError if stroke
        does not fit raw. Source: Graves eq. 26, with the opposite sign.
        """
        stroke = fitted(self.raw, stroke, "strokes (dx, dy, end)", 3)
        offset = self.log_prob_offset(stroke[..., :2])
        return offset + self.log_prob_end(stroke[..., 2])

    def log_prob_offset(self, xy: Tensor) -> Tensor:
        """Log density of offsets xy (..., 2) alone, in nats, shape (...)."""
        xy = fitted(self.raw, xy, "offsets (dx, dy)", 2)
        scores = torch.log_softmax(self._pi, -1) + self.log_gaussians(xy)
        return torch.logsumexp(scores, -1)  # eq. 23

    def log_prob_end(self, end: Tensor) -> Tensor:
        """Log probability of end bits (...), 0 or 1, in nats, at most 0."""
        end, e = fitted(self.raw, end, "end bits"), self._e[..., 0]
        return end * F.logsigmoid(-e) + (1 - end) * F.logsigmoid(e)

    def density(self, xy: Tensor) -> Tensor:
        """Density of offsets xy (..., 2) per unit of area, (...), >= 0."""
        return self.log_prob_offset(xy).exp()

    @torch.no_grad()
    def sample(
        self,
        bias: float | Tensor = 0.0,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Draw one point from each mixture: (dx, dy, end), shape (..., 3).

        Args:
            bias: Graves' b: 0 is the distribution itself; larger values draw
                nearer to the centres of the likelier components. A number,
                or a tensor of shape () or (...). It leaves the end bit alone.
            generator: draws on its own device (None: the CPU's), then moves.
            noise: two uniform and two normal numbers a point (..., 4), drawn
                before; instead of the generator.

        Raises:
            ValueError: if noise or bias do not fit, or hold NaN or infinite
                numbers, or raw does: nothing can be drawn from those.
        """
        if noise is None:
            noise = draw_noise(self.raw, generator)
        noise = fitted(self.raw, noise, "noise", 4, most=True)
        bias = fitted(self.raw, bias, "bias", most=True)
        point = draw_points(self, bias, noise)
        if readable(point) and not point.isfinite().all():
            raise ValueError(
                "StrokeMixture.sample: raw, bias or noise hold NaN or infinite"
                " numbers; nothing can be drawn from those, check the network"
            )
        return point
