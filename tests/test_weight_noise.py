"""Weight noise: the posterior of a slope through points."""

import torch

from softattn.weight_noise import open_spread


def test_the_spread_is_the_posterior_of_a_slope():
    """y = w x + unit noise, prior N(0, w^2): the posterior's variance is 1 / (sum x^2 + 1 / w^2)."""
    x, w = torch.linspace(0.1, 1.5, 12, dtype=torch.float64), torch.tensor([[0.7]], dtype=torch.float64)
    spread = open_spread(x.square().mean().view(1, 1), w, len(x))
    torch.testing.assert_close(spread, (x.square().sum() + 1 / 0.7**2).rsqrt().view(1, 1), rtol=1e-10, atol=0)
    assert (open_spread(torch.zeros(2, 2), torch.full((2, 2), 3.0), 1e6) == 3.0).all(), "where data say nothing"
