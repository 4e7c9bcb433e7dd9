"""A program as somebody writes it who imports the package: type-checked by tests/test_types.py, never run."""

from pathlib import Path
from typing import Any, assert_type

import torch
from torch import nn

import softattn
from softattn import hub
from softattn.draw import DRAW, DRAWOutput
from softattn.filterbank import Filterbank
from softattn.handwriting import HandwritingPredictor
from softattn.lstm import PeepholeLSTM
from softattn.mixture import StrokeMixture
from softattn.page import Handwriting
from softattn.reading import HandwritingReader, Reading
from softattn.strokes import Strokes
from softattn.synthesis import HandwritingSynthesizer
from softattn.window import WindowLSTM


class Mine(nn.Module):
    """A network of the importer's own."""


def hands(path: Path) -> None:
    page = softattn.write("any text", bias=0.75, seed=7)
    assert_type(page, Handwriting)
    assert_type(softattn.write(["one", "two"]), list[Handwriting])
    assert_type(page.seed, int | None)
    assert_type(page.attention, torch.Tensor)
    assert_type(softattn.styles(), dict[str, Strokes])
    line: Strokes = softattn.styles()["round"]
    softattn.write("again", prime=line)
    page.save(path)
    assert_type(softattn.read(page), Reading)
    assert_type(softattn.read([page, line], beam=8, y_up=None), list[Reading])
    assert_type(Strokes.from_json(page.to_json()), Strokes)


def models(path: Path) -> None:
    synthesizer = softattn.load("synthesis")
    assert_type(synthesizer, HandwritingSynthesizer)
    assert_type(softattn.load("handwriting", "cpu"), HandwritingPredictor)
    assert_type(softattn.load("draw-mnist"), DRAW)
    reader = softattn.load("reading")
    assert_type(reader, HandwritingReader)
    assert_type(reader.nats([], []), torch.Tensor)
    assert_type(softattn.load(path), nn.Module)
    assert_type(softattn.load(path, cls=Mine), Mine)
    softattn.write("mine", model=synthesizer)
    softattn.write("mine", model="synthesis")
    card = {"class": "mine.Mine", "config": {}, "data": "none", "licence": "MIT"}
    assert_type(hub.save_weights(path, Mine().state_dict(), card), dict[str, Any])


def layers(x: torch.Tensor) -> None:
    h, (last, cell) = PeepholeLSTM(3, 16)(x)
    seen = WindowLSTM(3, 16, 5, 2)(x, torch.zeros(1, 4, 5))
    density = StrokeMixture(torch.zeros(2, 7)).log_prob(torch.zeros(2, 3))
    patch = Filterbank(28, 28, 5).read(torch.zeros(1, 1, 28, 28), torch.zeros(1, 5))
    out: DRAWOutput = DRAW()(torch.zeros(1, 1, 28, 28))
    assert_type(out.nll_bound, torch.Tensor)
    print(h, last, cell, seen.phi, density, patch)
