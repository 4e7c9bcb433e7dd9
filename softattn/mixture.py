# Generated from book/mixture.md by tools/export.py. Edit the chapter, not this file.
"""Mixture densities.

A network that answers with a probability density, one mixture of Gaussians per pen point.

The chapter book/mixture.md builds this module and explains each line.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["LIMIT_FLOAT32", "LIMIT_FLOAT64", "StrokeMixture"]


# -- The responsibilities are the gradient --
LIMIT_FLOAT32, LIMIT_FLOAT64 = 14.0, 100.0  # sigma^ and rho^ are held within +- this; see `StrokeMixture`
_CHUNK = 3200  # points worked on at once: what a core's cache holds


class _Terms(NamedTuple):
    """What the gradient takes over from the density; all (M, N), or (2, M, N) where there is one for each axis."""

    pi: Tensor  # mixture weights
    gamma: Tensor  # responsibilities
    z: Tensor  # offsets in floored standard deviations
    root: Tensor  # 1 / floored standard deviation
    a: Tensor  # share of sigma^2 in the floored variance
    b: Tensor  # share of floor^2
    gap: Tensor  # 1 - tanh(rho^)^2
    rho: Tensor  # floored correlation
    inverse: Tensor  # 1 / (1 - rho^2)


# -- The responsibilities are the gradient --
def _log_bit(e_hat: Tensor, end: Tensor) -> Tensor:
    """Log probability of an end bit (0 or 1) whose logit is -e^, in nats; Graves eq. 18."""
    return end * F.logsigmoid(-e_hat) + (1 - end) * F.logsigmoid(e_hat)


def _densities(rows: Tensor, stroke: Tensor, floor: Tensor) -> tuple[Tensor, _Terms]:
    """Log densities of points under their mixtures.

    Args:
        rows: network outputs, one row each, shape (6M + 1, N); overwritten.
        stroke: points (dx, dy, end of stroke), shape (N, 3).
        floor: variances added to each axis, shape (2, 1, 1).

    Returns:
        Log density of the offset and log probability of the end bit, in nats, shape (2, N), and what led to them.

    Source: Graves (2013), eq. 18-26, with floor^2 added to the variances.
    """
    M, N = (len(rows) - 1) // 6, rows.shape[1]
    limit = LIMIT_FLOAT64 if rows.dtype == torch.float64 else LIMIT_FLOAT32
    e_hat, pi_hat, mu = rows[0], rows[1 : M + 1], rows[M + 1 : 3 * M + 1].view(2, M, N)
    sigma_hat = rows[3 * M + 1 : 5 * M + 1].view(2, M, N).clamp_(-limit, limit)
    rho_hat = rows[5 * M + 1 :].clamp_(-limit, limit)

    variance = torch.exp(2 * sigma_hat)  # sigma^2, eq. 21
    precision = (variance + floor).reciprocal_()
    a, b = variance.mul_(precision), precision * floor  # a + b = 1, without a subtraction
    shadow = torch.exp(-2 * rho_hat.abs())
    gap = 4 * shadow / (1 + shadow).square_()  # 1 - tanh^2, likewise
    rho = torch.tanh(rho_hat).mul_((a[0] * a[1]).sqrt_())  # eq. 22, as the floor leaves it
    inverse = torch.addcmul(b[1], gap, a[1]).mul_(a[0]).add_(b[0]).reciprocal_()

    root = precision.sqrt()
    z = (stroke[:, :2].t()[:, None] - mu).mul_(root)  # (2, M, N)
    slope = torch.addcmul(z[1], rho, z[0], value=-1)
    Z = torch.addcmul(z[0].square(), slope.square_(), inverse)  # eq. 25 over 1 - rho^2: a sum of squares
    score = (precision[0] * precision[1]).mul_(inverse).log_().sub_(Z).mul_(0.5).add_(pi_hat)
    top, top_pi = torch.logsumexp(score, 0), torch.logsumexp(pi_hat, 0)
    logs = torch.stack((top - top_pi - math.log(2 * math.pi), _log_bit(e_hat, stroke[:, 2])))  # eq. 26, sign turned
    return logs, _Terms(torch.exp(pi_hat - top_pi), score.sub_(top).exp_(), z, root, a, b, gap, rho, inverse)


# -- The responsibilities are the gradient --
def _gradient(terms: _Terms, out: Tensor) -> None:
    """Gradient of the log density of the offset by the raw outputs; the row of e^ is left to the caller.

    Args:
        terms: what `_densities` returned; overwritten.
        out: filled, shape (6M + 1, N).

    Source: Graves (2013), eq. 28-37, for floored variances, with the sign of the log density.
    """
    pi, gamma, z, root, a, b, gap, rho, inverse = terms
    M, N = pi.shape
    torch.sub(gamma, pi, out=out[1 : M + 1])  # eq. 30
    g = torch.addcmul(z, rho, z.flip(0), value=-1).mul_(inverse)  # (2, M, N)
    torch.mul(root.mul_(g), gamma, out=out[M + 1 : 3 * M + 1].view(2, M, N))  # eq. 33 and 34
    kappa = torch.addcmul(b.flip(0), gap, a.flip(0)).mul_(a).mul_(inverse)  # 1 where the floor is 0
    by_rho = (g[0] * g[1]).addcmul_(rho, inverse).mul_((a[0] * a[1]).sqrt_()).mul_(gap)
    torch.mul(by_rho, gamma, out=out[5 * M + 1 :])  # eq. 37
    across = b.mul_(inverse).mul_(rho).mul_(z.flip(0))
    by_sigma = across.addcmul_(kappa, z).mul_(g).sub_(kappa)
    torch.mul(by_sigma, gamma, out=out[3 * M + 1 : 5 * M + 1].view(2, M, N))  # eq. 35 and 36


class _ClosedForm(torch.autograd.Function):
    """Log densities (2, N) of points (N, 3) under raw (N, 6M + 1), the gradient worked out on the way."""

    @staticmethod
    def forward(ctx, raw, stroke, floor, grad_mode):
        logs, grad = raw.new_empty(2, len(raw)), None
        ctx.by_stroke = ctx.needs_input_grad[1]
        if grad_mode and any(ctx.needs_input_grad[:2]):
            grad = raw.new_empty(raw.shape[1], len(raw))
            ctx.save_for_backward(grad)
        for i in range(0, len(raw), _CHUNK):
            part = slice(i, i + _CHUNK)
            rows = raw[part].t().clone(memory_format=torch.contiguous_format)  # long rows are quick rows
            logs[:, part], terms = _densities(rows, stroke[part], floor)
            if grad is not None:
                torch.sub(torch.sigmoid(-rows[0]), stroke[part, 2], out=grad[0, part])  # eq. 27
                _gradient(terms, grad[:, part])
        return logs

    @staticmethod
    @once_differentiable
    def backward(ctx, by_logs):
        (grad,) = ctx.saved_tensors
        by_raw, by_stroke = grad * by_logs[0], None
        by_raw[0] = grad[0] * by_logs[1]
        if ctx.by_stroke:  # what pulls a centre pushes the point
            by_stroke = by_raw.new_zeros(by_raw.shape[1], 3)
            M = (len(by_raw) - 1) // 6
            by_stroke[:, :2] = -by_raw[M + 1 : 3 * M + 1].unflatten(0, (2, M)).sum(1).t()
        return by_raw.t(), by_stroke, None, None


# -- The layer --
class StrokeMixture:
    """Distributions of pen points: M bivariate Gaussians for the offset, a Bernoulli for the end bit.

    Args:
        raw: network outputs, shape (..., 6M + 1), in the order e^ (1), pi^ (M), mu_x (M), mu_y (M), sigma^_x (M),
            sigma^_y (M), rho^ (M). bfloat16 and float16 are worked on as float32.
        floor: standard deviation below which no component's may fall, in the unit of the offsets: a number, a pair
            (one per axis), or a tensor of shape () or (2,). Its square is added to the variances; 0 is the paper's
            density. No gradient flows into it.

    Every method works in log space. With a floor of 1e-3 or more, values and gradients are finite for offsets up to
    1,000 and raw outputs up to +-50 in float64, +-12 in float32. sigma^ and rho^ are held within +-LIMIT_FLOAT64 (100)
    or +-LIMIT_FLOAT32 (14): inside, nothing changes; outside, value and gradient are those of the edge, so that an
    output that ran away is still called back.

    Raises:
        ValueError: if the last dimension is not 6M + 1, `raw` is not floating point, or `floor` is negative or has a
            shape other than () or (2,).

    Source: Graves (2013), eq. 18-25, 61-62; slide 12.
    """

    def __init__(self, raw: Tensor, floor: float | tuple[float, float] | Tensor = 0.0):
        size = raw.shape[-1] if raw.ndim else 0
        if size < 7 or size % 6 != 1:
            raise ValueError(
                f"StrokeMixture: the last dimension of raw must be 6M + 1 (7, 13, ..., 121 for M = 20), got {size} "
                f"in shape {tuple(raw.shape)}; give the network's last layer 6 * M + 1 outputs"
            )
        if not raw.is_floating_point():
            raise ValueError(f"StrokeMixture: raw must be floating point, got {raw.dtype}; call .float() on it")
        self.raw = raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
        if not isinstance(floor, Tensor):
            pair = (floor, floor) if isinstance(floor, int | float) else tuple(floor)
            if len(pair) != 2 or not all(0 <= f < math.inf for f in pair):
                raise ValueError(f"StrokeMixture: floor must be a number >= 0 or two of them (x, y), got {floor}")
            floor = torch.tensor(pair, dtype=self.raw.dtype, device=raw.device)
        if floor.shape not in ((), (2,)):
            raise ValueError(f"StrokeMixture: a floor tensor must have shape () or (2,), got {tuple(floor.shape)}")
        self.floor = floor.detach().to(self.raw).expand(2)  # (2,)
        self.components = size // 6  # M
        M = self.components
        self._e, self._pi, mu, sigma, self._rho = self.raw.split([1, M, 2 * M, 2 * M, M], -1)
        self.mu = mu.unflatten(-1, (2, M)).transpose(-1, -2)  # (..., M, 2), eq. 20
        self._sigma = sigma.unflatten(-1, (2, M)).transpose(-1, -2)  # (..., M, 2)

    @property
    def end(self) -> Tensor:
        """Probability that the pen lifts after this point, shape (...); Graves eq. 18: sigmoid(-e^)."""
        return torch.sigmoid(-self._e[..., 0])

    @property
    def pi(self) -> Tensor:
        """Mixture weights, shape (..., M), sum 1; Graves eq. 19."""
        return torch.softmax(self._pi, -1)

    @property
    def sigma(self) -> Tensor:
        """Standard deviations as the network gives them, before the floor, shape (..., M, 2); Graves eq. 21."""
        return torch.exp(self._held(self._sigma))

    @property
    def rho(self) -> Tensor:
        """Correlations as the network gives them, before the floor, shape (..., M); Graves eq. 22."""
        return torch.tanh(self._held(self._rho))

    def _held(self, x: Tensor) -> Tensor:
        limit = LIMIT_FLOAT64 if x.dtype == torch.float64 else LIMIT_FLOAT32
        return x.clamp(-limit, limit)

    def _logs(self, stroke: Tensor) -> Tensor:
        """Log density of the offset and log probability of the end bit, shape (2, ...)."""
        raw = self.raw
        if stroke.ndim == 0 or stroke.shape[-1] != 3:
            raise ValueError(
                f"StrokeMixture: strokes are (dx, dy, end of stroke), shape (..., 3), got {tuple(stroke.shape)}"
            )
        try:
            shape = torch.broadcast_shapes(raw.shape[:-1], stroke.shape[:-1])
        except RuntimeError:
            raise ValueError(
                f"StrokeMixture: strokes of shape {tuple(stroke.shape)} do not fit raw outputs of shape "
                f"{tuple(raw.shape)}: all dimensions but the last must be equal or 1"
            ) from None
        raw = raw.expand(*shape, raw.shape[-1]).reshape(-1, raw.shape[-1])
        stroke = stroke.to(raw).expand(*shape, 3).reshape(-1, 3)
        logs = _ClosedForm.apply(raw, stroke, self.floor.square().view(2, 1, 1), torch.is_grad_enabled())
        return logs.view(2, *shape)

    def log_prob(self, stroke: Tensor) -> Tensor:
        """Log density of points, in nats: of the offset plus of the end bit.

        Args:
            stroke: (dx, dy, end of stroke), shape (..., 3); the end of stroke is 0 or 1.

        Returns:
            Nats, shape (...). May be positive: it is a density.

        Raises:
            ValueError: if `stroke` is not (..., 3) or does not fit the shape of the raw outputs.

        Source: Graves (2013), eq. 26, with the opposite sign.
        """
        return self._logs(stroke).sum(0)

    def log_prob_offset(self, xy: Tensor) -> Tensor:
        """Log density of offsets alone, in nats.

        Args:
            xy: (dx, dy), shape (..., 2).

        Returns:
            Nats, shape (...).

        Raises:
            ValueError: if `xy` is not (..., 2) or does not fit the shape of the raw outputs.
        """
        if xy.ndim == 0 or xy.shape[-1] != 2:
            raise ValueError(f"StrokeMixture: offsets are (dx, dy), shape (..., 2), got {tuple(xy.shape)}")
        return self._logs(F.pad(xy, (0, 1)))[0]

    def log_prob_end(self, end: Tensor) -> Tensor:
        """Log probability of end bits alone, in nats.

        Args:
            end: 0 or 1, shape (...).

        Returns:
            Nats, shape (...), never above 0.
        """
        e_hat, end = torch.broadcast_tensors(self._e[..., 0], end.to(self.raw))
        return _log_bit(e_hat, end)

    def density(self, xy: Tensor) -> Tensor:
        """Density of offsets, per unit of area: 1 / (unit of the offsets)^2.

        Args:
            xy: (dx, dy), shape (..., 2).

        Returns:
            Density, shape (...), >= 0; above 1 wherever a component is narrow.

        Raises:
            ValueError: if `xy` is not (..., 2) or does not fit the shape of the raw outputs.
        """
        return self.log_prob_offset(xy).exp()

    def mean(self) -> Tensor:
        """Mean of the distribution: of dx, dy and the end bit, shape (..., 3)."""
        offset = (self.pi[..., None] * self.mu).sum(-2)
        return torch.cat([offset, self.end[..., None]], -1)

    @torch.no_grad()
    def sample(
        self, bias: float | Tensor = 0.0, generator: torch.Generator | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Draw one point from each mixture.

        Args:
            bias: Graves' b: 0 is the distribution itself; larger values draw nearer to the centres of the likelier
                components. A number, or a tensor that fits the shape (...). The end bit is untouched.
            generator: where the randomness comes from. Numbers are drawn on its device (None: the CPU) and moved, so
                that every device draws the same points.
            noise: numbers drawn before, used instead of the generator: two uniform and two normal ones per point,
                shape (..., 4).

        Returns:
            (dx, dy, end of stroke), shape (..., 3).

        Source: Graves (2013), eq. 61-62.
        """
        raw, where = self.raw, "cpu" if generator is None else generator.device
        bias = torch.as_tensor(bias, dtype=raw.dtype, device=raw.device)[..., None]
        lead = raw.shape[:-1]
        if noise is None:
            uniform = torch.rand(*lead, 2, generator=generator, dtype=raw.dtype, device=where)
            noise = torch.cat([uniform, torch.randn(*lead, 2, generator=generator, dtype=raw.dtype, device=where)], -1)
        uniform, normal = noise.to(raw).split(2, -1)
        ladder = torch.softmax(self._pi * (1 + bias), -1).cumsum(-1)  # eq. 62
        chosen = (ladder / ladder[..., -1:] <= uniform[..., :1]).sum(-1, keepdim=True)  # (..., 1)
        pick = chosen[..., None].expand(*lead, 1, 2)
        mu, sigma_hat = self.mu.gather(-2, pick)[..., 0, :], self._sigma.gather(-2, pick)[..., 0, :]
        sigma = torch.exp(self._held(sigma_hat) - bias)  # eq. 61
        rho = torch.tanh(self._held(self._rho.gather(-1, chosen)))
        root = torch.sqrt(sigma.square() + self.floor.square())  # (..., 2)
        rho = rho * (sigma / root).prod(-1, keepdim=True)
        turned = rho * normal[..., :1] + torch.sqrt(1 - rho.square()) * normal[..., 1:]
        offset = mu + root * torch.cat([normal[..., :1], turned], -1)
        end = (uniform[..., 1:] < self.end[..., None]).to(raw)
        return torch.cat([offset, end], -1)
