"""Several processes: two give what one gives on the same batches; one that dies stops all; shares are refused aloud."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import shared_run
import torch

from recipes import _processes, _run, handwriting, synthesis, vae
from recipes._processes import Alone, alone, processes

ROOT = Path(__file__).resolve().parent.parent
NOISY = dict(kind="predictor", shares=2, adaptive=0.5, noise=0.01, dropout=0.1, jitter=0.1)
JOBS = {
    "plain": dict(kind="predictor", updates=20),
    "noisy": dict(updates=20, **NOISY),
    "narrow": dict(kind="predictor", updates=8, shares=4, products="bfloat16"),
    "window": dict(kind="synthesizer", updates=6, shares=4, hint=0.5, height=0.1, adaptive=0.5),
    "coins": dict(kind="auto_encoder", updates=12, shares=4, adaptive=0.5, dropout=0.1),
    "two to one": dict(updates=9, **NOISY),
    "one to two": dict(updates=20, **NOISY),
}


@pytest.fixture(autouse=True)
def _as_it_was():
    """The small runs change sizes of modules and the global random numbers."""
    sizes = [(m, n, getattr(m, n)) for m in (handwriting, synthesis) for n in ("ROWS", "CHUNK")]
    sizes += [(vae.ImageRun, n, getattr(vae.ImageRun, n)) for n in ("BATCH", "KL_STEPS")]
    with torch.random.fork_rng():
        yield
    for owner, name, value in sizes:
        setattr(owner, name, value)


def launch(folder, jobs, number=2):
    """Start so many processes; the launcher."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(number)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "tests/shared_run.py", str(folder), str(folder / "jobs.json")],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two processes saw of each job, and the folder of the states."""
    folder = tmp_path_factory.mktemp("two")
    with torch.random.fork_rng():
        shared_run.work("", state=folder / "one to two.pt", updates=11, **NOISY)
    jobs = [dict(name=name, state=str(folder / f"{name}.pt"), **job) for name, job in JOBS.items()]
    launcher = launch(folder, jobs)
    told, _ = launcher.communicate(timeout=580)
    assert launcher.returncode == 0, told[-3000:]
    each = {name: [json.loads((folder / f"{name}-{i}.json").read_text()) for i in (0, 1)] for name in JOBS}
    return each, folder


def one(name, folder, **other):
    """The same job in this one process."""
    return shared_run.work(name, state=folder / f"{name}-one.pt", **{**JOBS[name], **other})


def near(values):
    """Within 1e-5; or within two steps of float32, which are wider than that from some 80 nats on."""
    return pytest.approx(values, abs=1e-5, rel=2**-22)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "noisy", "narrow", "window", "coins"])
def test_two_processes_give_the_losses_of_one_with_the_same_batches(seen, tmp_path, name):
    two, ours = seen[0][name][0], one(name, tmp_path)
    assert len(ours["losses"]) == JOBS[name]["updates"]
    assert two["losses"] == near(ours["losses"])
    assert ours["losses"][-1] != ours["losses"][0]
    for a, b in zip(two["weights"], ours["weights"], strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    same = ("updates", "points", "epoch", "place")
    assert [two["facts"][k] for k in same] == [ours["facts"][k] for k in same]
    if name == "plain":  # one process, whole batches: nothing is cut at all
        assert (two["facts"]["shares"], ours["facts"]["shares"]) == (2, 1)


@pytest.mark.slow
def test_fit_on_two_processes_is_fit_on_one_with_the_same_batches(seen):
    ours = shared_run.fitted(20)
    both = [json.loads((seen[1] / f"fit-{i}.json").read_text()) for i in (0, 1)]
    assert len(ours["losses"]) == 20 and ours["losses"][-1] < 0.5 * ours["losses"][0]
    assert both[0]["losses"] != both[1]["losses"]  # each shows the loss of its own rows
    mean = [(a + b) / 2 for a, b in zip(*(each["losses"] for each in both), strict=True)]
    assert mean == pytest.approx(ours["losses"], abs=1e-5)
    assert both[0]["weights"] == both[1]["weights"]
    for a, b in zip(both[0]["weights"], ours["weights"], strict=True):
        assert a == pytest.approx(b, abs=1e-5)


@pytest.mark.slow
def test_weights_averages_and_noise_are_the_same_on_each_process(seen):
    for name, (first, second) in seen[0].items():
        assert first["bits"] == second["bits"] and first["facts"]["points"] == second["facts"]["points"], name
        assert first["noises"] == second["noises"] and first["losses"] == second["losses"], name
    noises = [tuple(n) for n in seen[0]["noisy"][0]["noises"]]
    assert len(set(noises)) == len(noises) == 20  # another noise for each update


@pytest.mark.slow
def test_another_number_of_processes_goes_on_with_the_run(seen, tmp_path):
    whole = one("noisy", tmp_path)
    later = seen[0]["one to two"][0]
    assert later["losses"] == pytest.approx(whole["losses"][11:], abs=1e-5)
    first = seen[0]["two to one"][0]
    ours = shared_run.work("", state=seen[1] / "two to one.pt", updates=20, **NOISY)
    assert first["losses"] + ours["losses"] == pytest.approx(whole["losses"], abs=1e-5)
    assert ours["facts"]["points"] == later["facts"]["points"] == whole["facts"]["points"]
    for a, b, c in zip(ours["weights"], later["weights"], whole["weights"], strict=True):
        assert a == pytest.approx(c, abs=1e-5) and b == pytest.approx(c, abs=1e-5)


@pytest.mark.slow
def test_one_that_is_killed_stops_the_others_with_a_sentence_and_the_run_goes_on(tmp_path):
    state = tmp_path / "killed.pt"
    job = dict(name="killed", state=str(state), pause=0.02, save_seconds=0.1, updates=100_000, **NOISY)
    begun = time.monotonic()
    launcher = launch(tmp_path, [job])
    try:
        while not state.exists() and time.monotonic() < begun + 400 and launcher.poll() is None:
            time.sleep(0.05)
        start = time.monotonic() - begun
        time.sleep(0.5)
        killed = time.monotonic()
        os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGKILL)
        told, _ = launcher.communicate(timeout=400)
        stop = time.monotonic() - killed
    finally:
        launcher.kill()
    # A minute is what is promised, the launcher's own end included: 9 s on a busy processor. One that takes most of a
    # minute to start three interpreters with torch and to make an update is busy with something else, and there the
    # start is the yardstick: 94 s were seen after a start of 111.
    print(f"from the start to the first state {start:.1f} s, from the kill to the end of all {stop:.1f} s")
    assert stop < max(60, 2 * start), f"{stop:.0f} s after the kill; the start took {start:.0f} s"
    assert launcher.returncode != 0
    assert "process 0 of 2 stops, because another one has stopped" in told and "call again" in told
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid-0").read_text()), 0)
    done = torch.load(state, weights_only=True)["facts"]["updates"]
    until = done + 10
    ours = shared_run.work("", state=state, updates=until, **NOISY)
    whole = shared_run.work("", state=tmp_path / "whole.pt", updates=until, save_seconds=1e9, **NOISY)
    assert len(ours["losses"]) == 10 and ours["losses"] == pytest.approx(whole["losses"][-10:], abs=1e-4)
    for a, b in zip(ours["weights"], whole["weights"], strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_shares_in_one_process_are_the_whole_batch(tmp_path):
    """Gradient accumulation: a quarter of the batch at a time, and the same losses."""
    whole = shared_run.work("", "predictor", 6, tmp_path / "a.pt")
    cut = shared_run.work("", "predictor", 6, tmp_path / "b.pt", shares=4)
    assert cut["losses"] == pytest.approx(whole["losses"], abs=1e-5)
    assert cut["facts"]["points"] == whole["facts"]["points"]


def test_a_share_has_noise_of_its_own(tmp_path):
    """Dropout and the codes of two shares differ: they are not one draw used twice."""
    run = shared_run.auto_encoder(shared_run.options(shares=2, dropout=0.5))
    run.prepare()
    drawn, step = [], run.step

    def watched(k):
        drawn.append((torch.rand(3).tolist(), torch.rand(3, generator=run.generator).tolist()))
        return step(k)

    run.step = watched
    run.advance(0), run.advance(1)
    numbers = [tuple(n) for pair in drawn for n in pair]
    assert len(drawn) == 4 and len(set(numbers)) == 8


def test_one_process_touches_neither_accelerate_nor_a_group():
    told = (
        "import sys, torch, recipes.handwriting, recipes.vae; from recipes._processes import processes; "
        "assert type(processes()).__name__ == 'Alone' and processes().main; "
        "assert 'accelerate' not in sys.modules and not torch.distributed.is_initialized()"
    )
    env = {k: v for k, v in os.environ.items() if k != "WORLD_SIZE"}
    subprocess.run([sys.executable, "-c", told], cwd=ROOT, env=env, check=True)


class Third(Alone):
    """The third of three, whose sums are made up."""

    number, index = 3, 2

    def total(self, tensor):
        return 3 * tensor + self.more

    more = 0.0


def test_what_cannot_be_shared_is_refused(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="4 rows of a batch are not 3 equal shares"):
        shared_run.work("", "predictor", 1, tmp_path / "a.pt", shares=3)
    shared_run.work("", "predictor", 1, tmp_path / "b.pt", shares=2)
    with pytest.raises(SystemExit, match="of a run of 2 shares, not 4"):
        shared_run.work("", "predictor", 1, tmp_path / "b.pt", shares=4)
    run = shared_run.predictor(shared_run.options())
    run.processes = Third()
    with pytest.raises(SystemExit, match="cut into 4, which 3 processes cannot divide"):
        run.cut(4)
    run.CUTS = False
    with pytest.raises(SystemExit, match="PredictorRun does not cut its batches"):
        run.cut(3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="recipes.prediction does not share its work"):
        alone("recipes.prediction")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    processes.cache_clear()
    with pytest.raises(SystemExit, match="several processes need `accelerate`"):
        processes("cpu")
    processes.cache_clear()


def test_processes_that_begin_differently_are_told():
    third = Third()
    third.must_agree("updates", 7)
    third.more = 1.0
    with pytest.raises(SystemExit, match="process 2 of 3 begins with updates 7, another one with something else"):
        third.must_agree("updates", 7)


def test_gradients_are_summed_in_one_message():
    third, sent = Third(), []
    third.total = lambda tensor: sent.append(tensor.clone()) or 3 * tensor
    a, b, c = (torch.nn.Parameter(torch.ones(n)) for n in (2, 3, 4))
    c.requires_grad = False
    a.grad = torch.tensor([1.0, 2.0])
    third.add_gradients([a, b, c])
    assert a.grad.tolist() == [3.0, 6.0] and b.grad.tolist() == [0.0] * 3 and c.grad is None
    assert [t.tolist() for t in sent] == [[1.0, 2.0, 0.0, 0.0, 0.0]]
    Alone().add_gradients([b])
    assert b.grad.tolist() == [0.0] * 3


def test_states_move_between_devices_whole():
    carried = {0: [(torch.ones(2), None)], 1: (torch.zeros(1), 3)}
    moved = _run.on(carried, "cpu")
    assert torch.equal(moved[0][0][0], torch.ones(2)) and moved[0][0][1] is None and moved[1][1] == 3
    assert _run.on(carried, "meta")[1][0].device.type == "meta"


def test_the_first_process_decides_and_a_silent_one_is_waited_for():
    assert Alone().agree(True) is True and Alone().agree(False) is False and Alone().collect({1: 2}) == {1: 2}
    assert 60 <= _processes.PATIENCE < math.inf
