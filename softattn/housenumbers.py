# Generated from book/housenumbers.md by tools/export.py. Edit the chapter, not this file.
"""House numbers: DRAW in colour.

DRAW in colour, and two ways to price a grey value.

The chapter book/housenumbers.md builds this module and explains each line.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from softattn.images import told

__all__ = ["bits_per_dimension", "logistic_nats", "pixel_entropy"]


# -- A coin for each grey value --
def pixel_entropy(x: Tensor) -> Tensor:
    """Tell what grey values cost even the best model of coins.

    Args:
        x: floats from 0 to 1, shape (B, ...).

    Returns:
        Nats, shape (B,), summed over each image: the floor of
        bernoulli_nats(logits, x) over all logits.

    Raises:
        ValueError: if x is no batch of floats.

    Source: this chapter, equation housenumbers-floor.
    """
    fine = isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1
    if not fine:
        raise ValueError(f"pixel_entropy: x is {told(x)}, expected floats from 0 to 1, shape (B, ...)")
    both = torch.special.entr(x) + torch.special.entr(1 - x)
    return both.flatten(1).sum(1)


# -- A price in bits --
def logistic_nats(mean: Tensor, log_scale: Tensor, x: Tensor) -> Tensor:
    """Score bytes under discretised logistics: -log P(x), summed.

    Args:
        mean: middles from 0 to 1, floats, shape (B, C, H, W).
        log_scale: logarithm of the width s; any shape that fits on `mean`,
            (C, 1, 1) for a width of each channel.
        x: bytes divided by 255, shape of `mean`.

    Returns:
        Nats, shape (B,).

    Raises:
        ValueError: if the shapes do not fit, or something is no float.

    Source: Salimans et al. (2017), eq. 2.
    """
    _three("logistic_nats", mean, log_scale, x)
    above = torch.exp(-log_scale) * (x - mean + 1 / 510)
    below = torch.exp(-log_scale) * (x - mean - 1 / 510)
    step = torch.exp(-log_scale) / 255  # above - below
    low, high = x < 0.5 / 255, x > 1 - 0.5 / 255  # the ends
    log_p = torch.where(high, 0.0, logsigmoid(above))
    log_p = log_p + torch.where(low, 0.0, logsigmoid(-below))
    inside = torch.log(-torch.expm1(-step)).expand_as(x)
    log_p = log_p + torch.where(low | high, 0.0, inside)
    return -log_p.flatten(1).sum(1)


# -- A price in bits --
def bits_per_dimension(nats: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Turn nats an image into bits for each number of it.

    Args:
        nats: any shape. shape: of one image, (C, H, W).

    Returns:
        Bits per number, shape of `nats`.

    Raises: ValueError if the shape is none.
    """
    fine = isinstance(shape, (tuple, list)) and len(shape) > 0
    if not fine or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"bits_per_dimension: shape is {told(shape)}, expected that of one image, (C, H, W)")
    if not isinstance(nats, Tensor):
        raise ValueError(f"bits_per_dimension: nats are {told(nats)}, expected a tensor")
    return nats / (math.log(2) * math.prod(shape))


# -- A price in bits --
def _three(name: str, mean: Tensor, log_scale: Tensor, x: Tensor) -> None:
    """Raise ValueError unless all three are floats that fit together."""
    for what, a in (("mean", mean), ("log_scale", log_scale), ("x", x)):
        if not isinstance(a, Tensor) or not a.is_floating_point():
            raise ValueError(f"{name}: {what} is {told(a)}, expected floats")
    try:
        fits = torch.broadcast_shapes(log_scale.shape, mean.shape)
    except RuntimeError:
        fits = None
    if mean.ndim < 2 or x.shape != mean.shape or fits != mean.shape:
        raise ValueError(
            f"{name}: mean is {told(mean)}, log_scale {told(log_scale)}, x "
            f"{told(x)}; expected one shape (B, C, H, W) for mean and x, and "
            "a log_scale that fits on it"
        )


# -- A price in bits --
def fitted_log_scale(mean: Tensor, x: Tensor) -> Tensor:
    """The widths, one a channel, under which x is likeliest: (C, 1, 1)."""
    mean, x = mean.detach(), x.detach()
    log_scale = mean.new_full((mean.shape[1], 1, 1), -2.5).requires_grad_()
    descent = torch.optim.LBFGS([log_scale], max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        descent.zero_grad()
        loss = logistic_nats(mean, log_scale, x).sum() / x.numel()
        loss.backward()
        return loss

    with torch.enable_grad():
        descent.step(closure)
    return log_scale.detach()


# -- One digit, then the other? --
def one_then_other(places: Tensor, weight: Tensor, middles: Tensor) -> Tensor:
    """How much of a drawing is one digit first, then the other.

    A step belongs to the digit whose middle is nearer; the drawing is cut
    in two where the split is purest, whichever digit comes first.

    Args:
        places: of each step, x and y, shape (T, B, 2).
        weight: what a step counts, shape (T, B).
        middles: of both digits, x and y, shape (B, 2, 2).

    Returns:
        Shares from 0.5 to 1, shape (B,); 1: first one, then the other.
    """
    far = (places[:, :, None] - middles).norm(dim=-1)  # (T, B, 2)
    second = (far[..., 1] < far[..., 0]).to(weight.dtype)
    none = torch.zeros_like(weight[:1])
    on = [torch.cat([none, (weight * part).cumsum(0)]) for part in (1 - second, second)]
    total = weight.sum(0)
    pure = on[0] + on[1][-1] - on[1]  # cut after 0, 1, ..., T steps
    return torch.maximum(pure, total - pure).amax(0) / total
