"""Corpora in shards: what is written is what is read, each share opens its own, a run goes on, memory stays flat."""

import json

import pytest
import torch

from recipes import _run, handwriting, shards, synthesis


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(handwriting, "ROWS", 4)
    monkeypatch.setattr(handwriting, "CHUNK", 40)
    monkeypatch.setattr(handwriting.StrokeRun, "chunk", lambda self, k: slice(40 * k, 40 * k + 40))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    shards.make(folder, 0.25, lines=6)
    return folder


def run_of(folder, *more):
    args = shards.parse(["train", str(folder), "--float32", "--hidden", "6", "--state", str(folder), *more])
    index = shards.read_index(folder)
    config = dict(hidden_size=6, num_layers=1, mixtures=2, mean=index["mean"], std=index["std"])
    run = shards.ShardRun(config, args, folder, synthesis.embedded_lines(1, 999))
    run.plan(1.0, None)
    return run


def test_what_is_written_is_read_again_and_the_index_knows_it(folder):
    index = shards.read_index(folder)
    everything = []
    for number, points in enumerate(index["points"]):
        ours = synthesis.embedded_lines(6, shards.MAKES + number)
        theirs = list(shards.read_shard(shards.shard(folder, number)))
        assert [line.text for line in ours] == [line.text for line in theirs]
        assert all(torch.equal(a.offsets, b.offsets) for a, b in zip(ours, theirs, strict=True))
        assert sum(len(line) - 1 for line in ours) == points
        everything += ours
    steps = torch.cat([line.offsets[1:, :2] for line in everything]).double()
    assert index["lines"] == len(everything) > 18
    assert torch.allclose(steps.mean(0), torch.tensor(index["mean"]).double())
    assert torch.allclose(steps.std(0, correction=0), torch.tensor(index["std"]).double())


def test_making_goes_on_where_it_stopped(folder, monkeypatch):
    before = json.loads((folder / "index.json").read_text())
    monkeypatch.setattr(shards, "embedded_lines", lambda *given: pytest.fail("made twice"))
    assert shards.make(folder, 0.25, lines=6) == before


def test_each_share_opens_its_own_shards_and_a_pass_opens_all(folder):
    count = len(shards.read_index(folder)["points"])
    run, seen = run_of(folder, "--shares", "2"), []
    for epoch in range(count // 2):
        run.facts["epoch"] = epoch
        seen += run.group()
    assert len(set(seen)) == len(seen) == count // 2 * 2
    run.facts["epoch"], run.turns = 0, range(1, 2)  # as the second of two processes
    assert run.prepare() >= 1
    assert run.opened == [run.group()[1]] and list(run.streams) == [1]
    run.turn = 1
    x, y, begins = run.points(0)
    assert x.shape == y.shape == (40, 2, 3) and begins.shape == (40, 2)


def test_a_run_over_shards_goes_on_to_the_bit(folder, tmp_path):
    def until(run, path, updates):
        return _run.train(run, path, over=lambda: run.facts["updates"] >= updates)

    whole = run_of(folder, "--shares", "2")
    until(whole, tmp_path / "whole.pt", 48)
    assert whole.facts["epoch"] >= 1 and len(whole.opened) >= 4
    for updates in (5, 44, 48):
        piece = run_of(folder, "--shares", "2")
        piece.take_up(tmp_path / "piece.pt")
        until(piece, tmp_path / "piece.pt", updates)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), piece.model.parameters(), strict=True))


def test_what_is_wrong_is_told(folder, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="index.json is not there: write a corpus"):
        shards.read_index(tmp_path)
    run = run_of(folder)
    run.cut(64)
    with pytest.raises(SystemExit, match="64 shares and .* shards: make more shards"):
        run.group()
    run = run_of(folder)
    monkeypatch.setattr(handwriting, "CHUNK", 10_000)
    with pytest.raises(SystemExit, match="a shard does not fill 4 rows of 10000 points"):
        run.prepare()


def test_reading_tells_lines_and_memory(folder, capsys):
    rows = shards.read(folder)
    size = shards.read_index(folder)["bytes"] / 1e6
    assert rows[-1][0] == pytest.approx(size, abs=0.1) and all(held > 10 for *_, held in rows)
    shards.main(["read", str(folder)])
    assert "MB held" in capsys.readouterr().out
