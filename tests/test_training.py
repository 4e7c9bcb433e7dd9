"""The training loop: against a hand-written one, and through crashes."""

import errno
import itertools
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from softattn import training
from softattn.training import cosine, fit, load_checkpoint, save_checkpoint, use_fused, warmup_stable_decay


def numbers(generator):
    return torch.rand(16, 3, generator=generator)


def miss(model, x):
    return (model(x)[:, 0] - x.sum(1)).square().mean()


def adding(width=8, dropout=0.2, lr=0.01, kind=torch.optim.AdamW, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(3, width, bias=False), nn.BatchNorm1d(width), nn.Dropout(dropout), nn.Linear(width, 1)
    )
    return model, kind(model.parameters(), lr=lr)


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # seconds on a busy disk; its place is tested below


# -- the loop against one written out by hand --------------------------------------------------------------------------


def test_fit_is_the_loop_written_out():
    model, optimizer = adding()
    generator, factors, losses = torch.Generator().manual_seed(5), cosine(40, 7), []
    for step in range(40):
        optimizer.param_groups[0]["lr"] = 0.01 * factors(step)
        value = miss(model, numbers(generator))
        optimizer.zero_grad()
        value.backward()
        gradients = [weight.grad for weight in model.parameters()]
        length = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
        for gradient in gradients:
            gradient.mul_(min(1.0, 0.5 / length))
        optimizer.step()
        losses.append(value.item())
    twin, optimizer = adding()
    history = fit(
        twin,
        numbers,
        miss,
        optimizer,
        steps=40,
        clip=0.5,
        schedule=cosine(40, 7),
        generator=torch.Generator().manual_seed(5),
        progress=False,
    )
    assert len(history) == 40
    torch.testing.assert_close(torch.tensor(history), torch.tensor(losses), rtol=1e-4, atol=1e-6)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_one_step_follows_the_schedule_and_puts_the_rate_back():
    weight = nn.Parameter(torch.zeros(1))
    model = nn.ParameterList([weight])
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    seen = []

    def schedule(step):
        seen.append(step)
        return 0.25

    fit(
        model, lambda g: None, lambda m, _: m[0].sum(), optimizer, steps=3, clip=None, schedule=schedule, progress=False
    )
    assert weight.item() == pytest.approx(-3 * 2.0 * 0.25)
    assert seen == [0, 1, 2]
    assert optimizer.param_groups[0]["lr"] == 2.0


@pytest.mark.parametrize("clip, moved", [(None, 100.0), (5.0, 5.0), (1000.0, 100.0)])
def test_clip_shortens_only_what_is_longer(clip, moved):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    model = nn.ParameterList([weight])
    fit(model, lambda g: None, lambda m, _: 100 * m[0].sum(), optimizer, steps=1, clip=clip, progress=False)
    assert -weight.item() == pytest.approx(moved, rel=1e-5)


def test_gradients_do_not_pile_up():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    fit(nn.ParameterList([weight]), lambda g: None, lambda m, _: m[0].sum(), optimizer, steps=10, progress=False)
    assert weight.item() == pytest.approx(-10, rel=1e-4)


def test_the_default_generator_is_seeded_and_the_model_trains():
    runs = []
    for _ in range(2):
        model, optimizer = adding()
        model.eval()
        runs.append(fit(model, numbers, miss, optimizer, steps=3, progress=False))
        assert not model.training  # learned in training mode, and came back as it was
    assert runs[0] == runs[1]


def test_no_steps_is_a_training_too():
    model, optimizer = adding()
    before = state(model)
    assert fit(model, numbers, miss, optimizer, steps=0, progress=False) == []
    assert same(before, state(model))


def test_progress_shows_the_loss_and_can_be_silent(capsys, monkeypatch):
    # make switches bars off by TQDM_DISABLE, which tqdm reads when it is imported
    monkeypatch.setattr(training, "tqdm", partial(training.tqdm, disable=False))
    model, optimizer = adding()
    history = fit(model, numbers, miss, optimizer, steps=2, progress=True)
    shown = capsys.readouterr().err
    assert f"loss={history[-1]:.4g}" in shown and "2/2" in shown
    fit(model, numbers, miss, optimizer, steps=2, progress=False)
    assert capsys.readouterr().err == ""


def test_on_the_device(device):
    model, _ = adding()
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, lambda g: numbers(g).to(device), miss, optimizer, steps=5, progress=False)
    assert all(map(math.isfinite, history))
    assert next(model.parameters()).device.type == device.type


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_names_the_step_and_changes_nothing(bad, tmp_path):
    model, optimizer = adding(dropout=0.0)
    count, kept = itertools.count(), {}

    def loss(model, x):
        step = next(count)
        if step == 7:
            kept.update({name: weight.detach().clone() for name, weight in model.named_parameters()})
        return miss(model, x) * (bad if step == 7 else 1)

    with pytest.raises(FloatingPointError, match=r"loss is -?(nan|inf) at step 7"):
        fit(model, numbers, loss, optimizer, steps=20, checkpoint=tmp_path / "c", save_every=5, progress=False)
    assert all(torch.equal(kept[name], weight) for name, weight in model.named_parameters())
    assert len(torch.load(tmp_path / "c", weights_only=True)["history"]) == 5


def test_a_gradient_that_is_not_finite_names_the_step_and_changes_nothing():
    weight = nn.Parameter(torch.zeros(1))
    model, optimizer = nn.ParameterList([weight]), torch.optim.SGD([weight], lr=1.0)
    with pytest.raises(FloatingPointError, match="gradient's norm is (nan|inf) at step 0"):
        fit(model, lambda g: None, lambda m, _: m[0].sqrt().sum(), optimizer, steps=1, progress=False)
    assert weight.item() == 0


def test_a_loss_of_many_numbers_is_refused():
    model, optimizer = adding()
    with pytest.raises(ValueError, match=r"shape \(16, 1\), not one number"):
        fit(model, numbers, lambda m, x: m(x), optimizer, steps=1, progress=False)


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"save_every": 0}, {"clip": 0.0}, {"clip": -1.0}, {"clip": math.nan}])
def test_arguments_out_of_range(wrong):
    model, optimizer = adding()
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"fit: {name} is {value}, expected"):
        fit(model, numbers, miss, optimizer, **{"steps": 1, "progress": False, **wrong})


@pytest.mark.parametrize("name", ["model", "batches", "loss", "optimizer", "steps", "clip", "schedule", "generator"])
@pytest.mark.parametrize("value", ["abc", [1], True, object()])
def test_arguments_of_another_type(name, value):
    model, optimizer = adding()
    arguments = {"model": model, "batches": numbers, "loss": miss, "optimizer": optimizer, "steps": 1}
    with pytest.raises(TypeError, match=f"fit: {name} is .*expected"):
        fit(**{**arguments, "progress": False, name: value})


@pytest.mark.parametrize("value", [3, ["a"], b"a"])
def test_a_checkpoint_is_a_path(value):
    model, optimizer = adding()
    with pytest.raises(TypeError, match="fit: checkpoint is .*expected a path"):
        fit(model, numbers, miss, optimizer, steps=1, checkpoint=value, progress=False)


@pytest.mark.parametrize("factor", [math.nan, math.inf, -1.0, "fast", None, True])
def test_a_schedule_that_gives_no_factor_is_refused_before_the_step(factor):
    model, optimizer = adding()
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with pytest.raises((ValueError, TypeError), match=r"fit: schedule\(0\) is .*expected a (finite )?number"):
        fit(model, numbers, miss, optimizer, steps=1, schedule=lambda step: factor, progress=False)
    assert all(torch.equal(kept[name], weight) for name, weight in model.named_parameters())
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_numbers_of_numpy_are_numbers():
    model, optimizer = adding()
    half = lambda step: np.float32(0.5)
    settings = {"clip": np.float32(1.0), "schedule": half, "save_every": np.int64(2), "progress": False}
    assert len(fit(model, numbers, miss, optimizer, steps=np.int64(3), **settings)) == 3
    assert cosine(np.int64(4))(0) == 1


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda m, x: 3.0, "the loss is float"),
        (lambda m, x: x.sum(), "no gradient"),
        (lambda m, x: m(x), "not one number"),
    ],
)
def test_losses_that_cannot_be_descended(loss, words):
    model, optimizer = adding()
    with pytest.raises((ValueError, TypeError), match=f"fit: .*{words}"):
        fit(model, numbers, loss, optimizer, steps=1, progress=False)


@pytest.mark.parametrize("steps", [0, 1])
def test_modes_come_back_also_after_an_error(steps):
    model, optimizer = adding()
    model[2].eval()  # one part frozen, the rest not
    before = [module.training for module in model.modules()]
    fit(model, numbers, miss, optimizer, steps=steps, progress=False)
    assert [module.training for module in model.modules()] == before
    model.eval()
    with pytest.raises(ZeroDivisionError):
        fit(model, lambda g: 1 / 0, miss, optimizer, steps=2, progress=False)
    assert not any(module.training for module in model.modules())


# -- checkpoints -------------------------------------------------------------------------------------------------------

RUN = {"schedule": cosine(60, 10), "save_every": 10, "progress": False}


def run(steps=60, seed=0, batches=numbers, **changes):
    model, optimizer = adding(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    history = fit(model, batches, miss, optimizer, steps=steps, generator=generator, **{**RUN, **changes})
    return model, history


@pytest.mark.parametrize("cut", [0, 9, 10, 33, 59])
def test_a_run_that_was_cut_off_goes_on_as_the_same_run(tmp_path, cut):
    whole, history = run()
    count = itertools.count()

    def batches(generator):
        if next(count) == cut:
            raise InterruptedError
        return numbers(generator)

    with pytest.raises(InterruptedError):
        run(batches=batches, checkpoint=tmp_path / "c")
    # before the first save the run begins anew: with the first seeds then, with any others later
    heir, resumed = run(seed=0 if cut < 10 else 77, checkpoint=tmp_path / "c")
    assert resumed == history
    assert same(state(whole), state(heir))


def test_a_finished_run_is_loaded_not_repeated_and_can_be_prolonged(tmp_path):
    done, history = run(45, checkpoint=tmp_path / "c")  # the end is saved, too, though it is no tenth step
    again, resumed = run(45, seed=3, checkpoint=tmp_path / "c", batches=lambda _: 1 / 0)
    assert resumed == history and same(state(done), state(again))
    longer, more = run(60, seed=3, checkpoint=tmp_path / "c")
    whole, all_of_it = run(60)
    assert more == all_of_it and same(state(longer), state(whole))


@pytest.mark.parametrize(("there", "here"), [(True, True), (True, False), (False, True), (False, False)])
def test_dice_of_a_gpu_are_set_where_both_machines_have_one(tmp_path, monkeypatch, there, here):
    model, optimizer = adding()
    dice, generator, heard = [torch.arange(16, dtype=torch.uint8)], torch.Generator(), []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: dice)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", heard.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    save_checkpoint(tmp_path / "c", [1.0], model, optimizer, generator)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here)
    assert load_checkpoint(tmp_path / "c", model, optimizer, generator) == [1.0]
    assert len(heard) == (there and here) and all(torch.equal(one[0], dice[0]) for one in heard)


def test_a_save_keeps_nothing_but_plain_data(tmp_path):
    run(10, checkpoint=tmp_path / "deep" / "er" / "c")
    saved = torch.load(tmp_path / "deep" / "er" / "c", weights_only=True)
    assert len(saved["history"]) == 10
    assert [file.name for file in (tmp_path / "deep" / "er").iterdir()] == ["c"]


def test_a_save_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    order, replace = [], os.replace
    monkeypatch.setattr(os, "fsync", lambda _: order.append("disk"))
    monkeypatch.setattr(os, "replace", lambda *names: order.append("name") or replace(*names))
    run(10, checkpoint=tmp_path / "c")
    assert order == ["disk", "name"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(errno.ENOSPC, "No space left on device"), "c was not written: No space"), (KeyboardInterrupt(), "")],
)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error, words):
    run(10, checkpoint=tmp_path / "c")
    before, write = (tmp_path / "c").read_bytes(), Path.write_bytes

    def full(path, data):
        write(path, b"half of")
        raise error

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(type(error), match=words):
        run(20, checkpoint=tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_many_writers_of_one_checkpoint(tmp_path):
    model, optimizer = adding()
    path, generator = tmp_path / "c", torch.Generator()
    with ThreadPoolExecutor(4) as pool:
        saves = [pool.submit(save_checkpoint, path, [float(n)] * n, model, optimizer, generator) for n in range(1, 40)]
        saves[0].result()
        loads = [pool.submit(lambda: torch.load(path, weights_only=True)["history"]) for _ in range(20)]
        for each in [*saves, *loads]:
            each.result()
    assert load_checkpoint(path, model, optimizer, generator)
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("entry", ["generator", "global", "optimizer", "history"])
def test_a_broken_entry_overwrites_nothing(tmp_path, entry):
    path = tmp_path / "c"
    run(10, checkpoint=path)
    saved = torch.load(path, weights_only=True)
    if entry == "optimizer":
        saved["optimizer"]["state"] = {0: "no moments", 7: {"step": "x"}}
    else:
        saved[entry] = torch.zeros(3) if entry != "history" else ["a"]
    torch.save(saved, path)
    refuse(path, "damaged")


def refuse(path, message, model=None, optimizer=None, steps=None):
    """The load must fail with the message, and overwrite nothing."""
    ready = adding(seed=9)
    model, optimizer = model or ready[0], optimizer or ready[1]
    generator = torch.Generator().manual_seed(9)
    before, drawn, seeded = state(model), generator.get_state(), torch.get_rng_state()
    with pytest.raises(ValueError, match=message) as error:
        load_checkpoint(path, model, optimizer, generator, steps)
    assert str(path) in str(error.value)
    assert same(before, state(model)) and optimizer.state_dict()["state"] == {}
    assert torch.equal(drawn, generator.get_state()) and torch.equal(seeded, torch.get_rng_state())


def test_checkpoints_of_other_runs_are_refused(tmp_path):
    path = tmp_path / "c"
    run(10, checkpoint=path)
    model, optimizer = adding(width=9)
    refuse(path, r"0\.weight is \(8, 3\) there and \(9, 3\) here; delete it", model, optimizer)
    deeper = nn.Sequential(*adding()[0], nn.Linear(1, 1))
    refuse(path, r"4\.\w+ is None there", deeper, torch.optim.AdamW(deeper.parameters(), lr=0.01))
    refuse(path, r"lr of parameter group 0 is 0\.01 there and 0\.02 here", *adding(lr=0.02))
    refuse(path, "the optimizer is AdamW there and SGD here", *adding(kind=torch.optim.SGD))
    refuse(path, "has 10 steps behind it, more than the 9 asked for", steps=9)
    model, optimizer = adding()
    with pytest.raises(ValueError, match="10 steps behind it"):
        fit(model, numbers, miss, optimizer, steps=9, checkpoint=path, progress=False)


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "c"
    run(10, checkpoint=path)
    good = path.read_bytes()
    for damaged in [b"", b"hello", good[: len(good) // 2], good[:-1]]:
        path.write_bytes(damaged)
        refuse(path, "no checkpoint of `fit`, or it is damaged; delete it")
    for stranger in [{"history": []}, [1, 2], 3, {"history": [], "model": nn.Linear(1, 1)}]:
        torch.save(stranger, path)
        refuse(path, "no checkpoint of `fit`")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"history": Bomb()}, tmp_path / "c")
    refuse(tmp_path / "c", "no checkpoint")
    assert not (tmp_path / "bomb").exists()


# -- kill -9 -----------------------------------------------------------------------------------------------------------

VICTIM = """
import io, os, pathlib, signal, sys
import torch
sys.path.insert(0, {tests!r})
from test_training import numbers, run

torch.set_num_threads({threads})
path, moment = sys.argv[1:]
write, replace, drawn = pathlib.Path.write_bytes, os.replace, 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def steps(file):
    return len(torch.load(file, weights_only=True)["history"])

def batches(generator):
    global drawn
    drawn += 1
    if moment == "in a step" and drawn == 27:
        die()
    return numbers(generator)

def slow_write(file, data):
    if moment == "in a write" and steps(io.BytesIO(data)) == 30:
        write(file, b"half of a checkpoint"), die()
    write(file, data)

def slow_replace(one, other):
    if moment == "before the rename" and steps(one) == 30:
        die()
    replace(one, other)
    if moment == "after the rename" and steps(other) == 30:
        die()

pathlib.Path.write_bytes, os.replace = slow_write, slow_replace
run(batches=batches, checkpoint=path)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill -9")
@pytest.mark.parametrize(
    "moment, kept", [("in a step", 20), ("in a write", 20), ("before the rename", 20), ("after the rename", 30)]
)
def test_killed_and_resumed_is_bitwise_the_uninterrupted_run(tmp_path, moment, kept):
    whole, history = run()
    path = tmp_path / "c"
    script = VICTIM.format(tests=str(Path(__file__).parent), threads=torch.get_num_threads())
    victim = subprocess.run(
        [sys.executable, "-c", script, str(path), moment], capture_output=True, text=True, timeout=300
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    assert len(torch.load(path, weights_only=True)["history"]) == kept
    heir, resumed = run(seed=5, checkpoint=path)
    assert resumed == history
    assert same(state(heir), state(whole))
    left = [file.name for file in tmp_path.iterdir() if not file.name.startswith(".softattn-")]
    assert left == ["c"]  # what a killed process left beside it is swept a day later


# -- schedules and devices ---------------------------------------------------------------------------------------------


def test_cosine():
    factor = cosine(110, warmup=10, floor=0.2)
    assert [factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [factor(step) for step in (10, 60, 110, 500)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert factor(35) == pytest.approx(0.2 + 0.8 * (0.5 + math.sqrt(0.5) / 2))
    assert cosine(5, 5)(4) == 1
    for warmup in (-1, 6):
        with pytest.raises(ValueError, match=f"cosine: warmup is {warmup}, expected a whole number from 0 to 5"):
            cosine(5, warmup)


def test_warmup_stable_decay():
    factor = warmup_stable_decay(10, 2, 3)
    assert [factor(step) for step in range(12)] == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0])
    assert warmup_stable_decay(4, 0, 0)(3) == 1
    for warmup, decay in [(-1, 2), (2, -1), (6, 5)]:
        with pytest.raises(ValueError, match="warmup_stable_decay: (warmup|decay) is .*expected a whole number from 0"):
            warmup_stable_decay(10, warmup, decay)


def test_the_flat_part_does_not_know_the_end():
    short, long = warmup_stable_decay(100, 10, 20), warmup_stable_decay(1000, 10, 20)
    assert all(short(step) == long(step) for step in range(80))


def test_device(monkeypatch):
    monkeypatch.delenv("SOFTATTN_DEVICE", raising=False)
    for here, name in [(False, "cpu"), (True, "cuda")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        monkeypatch.setattr(torch, "empty", lambda *_, **__: torch.zeros(1))
        assert training.device() == torch.device(name)
    monkeypatch.undo()
    monkeypatch.setenv("SOFTATTN_DEVICE", "cpu")
    assert training.device() == torch.device("cpu")
    for name in ["gpu", "meta", "cuda:99"]:
        monkeypatch.setenv("SOFTATTN_DEVICE", name)
        with pytest.raises(ValueError, match=f"SOFTATTN_DEVICE={name}: torch cannot keep a number there; unset it"):
            training.device()


# -- two ways to one answer --------------------------------------------------------------------------------------------


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def gain(self):
        return 2

    def forward(self, x, fused=None):
        return use_fused(fused, self, Twice, x, inner=nn.Linear)


class Thrice(Twice):
    def gain(self):
        return 3


class Named(Twice):
    """A subclass that changes nothing but what is around `forward`."""

    def forward(self, x, fused=None):
        return super().forward(x, fused)


class OwnLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def with_hook(register):
    net = Twice()
    getattr(net.inner, register)(lambda *_: None)
    return net


def with_attribute(part):
    net = Twice()
    (net.inner if part else net).__dict__["forward" if part else "gain"] = lambda *_: None
    return net


def with_part(part):
    net = Twice()
    net.inner = part
    return net


X = torch.ones(1, 2)


def test_the_fused_way_is_taken_where_nothing_was_changed():
    assert Twice()(X) is True and Named()(X) is True and Twice()(X, fused=True) is True
    assert Twice()(X, fused=False) is False
    assert Twice().double()(X.double()) and Twice().to("meta")(X.to("meta"))
    watched = Twice()
    watched.register_forward_hook(lambda *_: None)  # its own hooks are called around `forward`, whatever is inside
    assert watched(X)
    weighted = Twice()
    nn.utils.parametrizations.weight_norm(weighted.inner)  # another weight, the same methods
    assert weighted(X)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Thrice(), "it has a gain of its own"),
        (with_attribute(False), "it has a gain of its own"),
        (with_attribute(True), "its part inner has a forward of its own"),
        (with_part(OwnLinear(2, 2)), "its part inner has a forward of its own"),
        (with_part(nn.Identity()), "its part inner is a Identity, not a Linear"),
        *[
            (with_hook(f"register_{kind}"), "its part inner carries a hook")
            for kind in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook")
        ],
    ],
)
def test_whatever_was_changed_takes_the_plain_way(net, words):
    assert net(X) is False and net(X, fused=False) is False
    with pytest.raises(ValueError, match=f"Twice: fused=True, but {words}; leave `fused` away"):
        net(X, fused=True)


def test_integers_and_transforms_take_the_plain_way():
    assert Twice()(X.long()) is False
    net, taken = Twice(), []

    def probe(x):
        taken.append(net(x))
        return x.sum()

    torch.func.grad(probe)(X)
    torch.func.vmap(probe)(X)
    probe(X)
    assert taken == [False, False, True]
