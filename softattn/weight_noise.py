# Generated from book/weight_noise.md by tools/export.py. Edit the chapter, not this file.
"""Weight noise: not by heart.

Noise on each weight, as large as the data leave it open.

The chapter book/weight_noise.md builds this module and explains each line.
"""

from torch import Tensor

__all__ = []


# -- How firmly data hold a weight --
def open_spread(squares: Tensor, weight: Tensor, points: float) -> Tensor:
    """How far data leave each weight of a matrix open: a standard deviation.

    Args:
        squares: mean squared slope of one point's surprise in each weight, F.
        weight: the weights, of the same shape.
        points: N, points that hold them.

    Returns:
        1 / sqrt(N F + 1 / s^2), s^2 the mean square of the weights.
    """
    prior = weight.detach().square().mean().reciprocal()
    return (points * squares + prior).rsqrt()
