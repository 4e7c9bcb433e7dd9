"""The fused LSTM against the plain loop of cells."""

import pytest
import torch
from torch import nn

from softattn.lstm import PeepholeLSTM


@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("with_reset", [True, False])
def test_plain_and_fused_agree(device, peephole, with_reset):
    net = PeepholeLSTM(4, 6, peephole=peephole).to(device, torch.float64)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    x, h, c = (torch.randn(*s).to(device, torch.float64).requires_grad_() for s in ((11, 3, 4), (3, 6), (3, 6)))
    reset = (torch.rand(11, 3) < 0.3).to(device) if with_reset else None
    runs = []
    for fused in (False, True):
        hs, (h_last, c_last) = net(x, (h, c), reset, fused=fused)
        loss = hs.square().sum() + h_last.sum() + c_last.square().sum()
        runs.append((hs, h_last, c_last, *torch.autograd.grad(loss, (x, h, c, *net.parameters()))))
    for plain, fast in zip(*runs, strict=True):
        assert (plain - fast).abs().max() <= 1e-10 * plain.abs().max()
