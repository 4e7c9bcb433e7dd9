"""softattn.hub: atomic writes, archives, weights and their cards; the command line."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

import softattn
from softattn import hub
from softattn.__main__ import main
from softattn.hub import atomic_write, load, safe_members, save_weights, sha256, weights
from softattn.prediction import PredictionNetwork

CONFIG = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "output_size": 3}
CARD = {
    "class": "softattn.prediction.PredictionNetwork",
    "config": CONFIG,
    "summary": "a small network",
    "data": "none: random numbers",
    "licence": "MIT",
    "non_commercial": False,
    "command": "python -m recipes.none",
    "commit": "0" * 40,
    "steps": 0,
    "minutes": 0.5,
    "machine": "any",
    "seed": 0,
    "metric": {"name": "bits per character", "value": 1.25, "split": "held-out"},
    "paper": "none",
}


@pytest.fixture
def net():
    torch.manual_seed(3)
    return PredictionNetwork(**CONFIG)


@pytest.fixture
def saved(tmp_path, net):
    save_weights(tmp_path / "small.safetensors", net.state_dict(), CARD)
    return tmp_path


def change(folder: Path, **fields) -> None:
    """Change fields of the card; None deletes one."""
    path = folder / "small.json"
    card = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_numbers_that_pass_keep_their_value():
    assert hub.whole("f", "n", 3) == 3 and type(hub.whole("f", "n", np.int64(3), 3, 3)) is int
    assert hub.real("f", "x", 3) == 3.0 and type(hub.real("f", "x", np.float32(0.5), 0, 1)) is float
    assert hub.whole("f", "n", 10**9, 0, None) == 10**9


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "f: n is True, expected a whole number from 1 to 65,536"),
        (2.5, "f: n is 2.5, expected a whole number"),
        (np.float32(2), r"f: n is a float32 of shape \(\), expected"),
        ("3", r"f: n is '3' \(str\), expected"),
        (None, "f: n is None, expected"),
        (torch.tensor(3), r"f: n is a Tensor of shape \(\), expected"),
        (0, "f: n is 0, expected a whole number from 1"),
        (10**400, "f: n is a number of int beyond 10.30, expected"),
    ],
)
def test_what_is_no_whole_number_is_named(value, words):
    with pytest.raises((TypeError, ValueError), match=words):
        hub.whole("f", "n", value, 1)


@pytest.mark.parametrize("value", [True, "1", None, 1j, float("nan"), float("inf"), -0.1, 1.1, 10**400, [0.5]])
def test_what_is_no_number_is_named(value):
    with pytest.raises((TypeError, ValueError), match="f: x is .*, expected a (finite )?number from 0 to 1"):
        hub.real("f", "x", value, 0, 1)


def test_sizes_and_shapes():
    hub.sizes("Net", hidden_size=3, layers=np.int64(1))
    with pytest.raises(ValueError, match="Net: layers is 0, expected a whole number from 1"):
        hub.sizes("Net", hidden_size=3, layers=0)
    x = torch.zeros(4, 2, 3)
    hub.shaped("f", "x", x, "T", "B", 3)
    hub.shaped("f", "x", x, "...", 3)
    hub.shaped("f", "x", x[0, 0], "...", 3)
    hub.shaped("f", "x", torch.zeros(2, 2).bool(), "B", "B", dtype=torch.bool)
    for value, shape, words in [
        (x, ("T", "B", 4), r"f: x has shape \(4, 2, 3\), expected floating point, shape \(T, B, 4\)"),
        (x, ("T", "B"), "f: x has shape"),
        (x, ("T", "T", 3), "f: x has shape"),
        (x[0, 0], ("...", "B", 3), "f: x has shape"),
        (x.long(), ("T", "B", 3), "f: x is torch.int64, expected floating point"),
        (x.numpy(), ("T", "B", 3), r"f: x is a ndarray of shape \(4, 2, 3\), expected a tensor"),
        (None, (3,), "f: x is None, expected a tensor: floating point, shape"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            hub.shaped("f", "x", value, *shape)
    with pytest.raises(TypeError, match="f: x is torch.float32, expected torch.bool"):
        hub.shaped("f", "x", x, "T", "B", 3, dtype=torch.bool)


# -- atomic_write ------------------------------------------------------------------------------------------------------


def test_a_write_replaces_the_file_whole(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".bin" and temporary != path
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(str(path)) as temporary:
        temporary.write_bytes(b"ne")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_write(path) as one, atomic_write(path) as two:
        one.write_bytes(b"1")
        two.write_bytes(b"2")
    assert path.read_bytes() == b"1" and list(tmp_path.iterdir()) == [path]


def test_a_write_says_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder .*none does not exist; make it first"):
        with atomic_write(tmp_path / "none" / "a"):
            pass
    with pytest.raises(FileNotFoundError, match="nothing was written for a"):
        with atomic_write(tmp_path / "a"):
            pass


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_link_stays_a_link_and_a_mode_is_kept(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.txt", tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o600
    target.unlink()  # a link that leads nowhere yet
    with atomic_write(link) as temporary:
        temporary.write_text("again")
    assert link.is_symlink() and target.read_text() == "again"


def test_errors_of_the_system_name_the_file(tmp_path):
    import errno

    path = tmp_path / "a.bin"
    with pytest.raises(OSError, match=r"a\.bin was not written: No space left on device") as caught:
        with atomic_write(path):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError, match="elsewhere"):  # another file's trouble keeps its own words
        with atomic_write(path):
            open(tmp_path / "elsewhere" / "b")
    with pytest.raises(IsADirectoryError, match="it is a folder; name a file in it"):
        with atomic_write(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path):
    import os
    import signal
    import time

    code = (
        "import os, sys, signal\nfrom softattn.hub import atomic_write\n"
        "with atomic_write(sys.argv[1]) as p:\n    p.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")])
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert left.exists()  # perhaps another writer is at it now
    os.utime(left, (time.time() - 100_000,) * 2)
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


# -- archives ----------------------------------------------------------------------------------------------------------


def archive(*members: tarfile.TarInfo) -> tarfile.TarFile:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for member in members:
            member.size = 2 if member.isfile() else 0
            tar.addfile(member, io.BytesIO(b"ok") if member.isfile() else None)
    data.seek(0)
    return tarfile.open(fileobj=data)


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_and_folders_pass():
    tar = archive(member("a", tarfile.DIRTYPE), member("a/b..txt"), member("./c"), member("..d"))
    assert [m.name for m in safe_members(tar)] == ["a", "a/b..txt", "./c", "..d"]


@pytest.mark.parametrize("name", ["/a", "../a", "a/../../b", "a/..", "..", "C:\\a", "C:a", "a\\..\\b", "\\a"])
def test_paths_that_lead_outside_are_refused(name):
    with pytest.raises(ValueError, match="archive refused: the path .* leads outside it"):
        list(safe_members(archive(member("fine"), member(name))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(kind):
    with pytest.raises(ValueError, match="'a' is a link to 'fine'"):
        list(safe_members(archive(member("fine"), member("a", kind, "fine"))))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(kind):
    with pytest.raises(ValueError, match="'a' is a device or a pipe"):
        list(safe_members(archive(member("a", kind))))


def test_a_header_that_asks_for_gigabytes_is_refused_before_they_are_read():
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    first = tarfile.TarInfo("fine")
    data = first.tobuf(tarfile.GNU_FORMAT) + long.tobuf(tarfile.GNU_FORMAT) + b"a" * 4096
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        with pytest.raises(ValueError, match="archive refused: it asks for 3,000,000,000 bytes at once"):
            list(safe_members(tar))


# -- weights -----------------------------------------------------------------------------------------------------------


def test_saved_and_loaded(saved, net):
    loaded = load(saved / "small.safetensors")
    assert type(loaded) is PredictionNetwork and not loaded.training
    assert loaded.state_dict().keys() == net.state_dict().keys()
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    assert loaded.card["metric"]["value"] == 1.25
    assert sorted(p.name for p in saved.iterdir()) == ["small.json", "small.safetensors"]


def test_the_card_that_is_written(tmp_path, net):
    card = save_weights(tmp_path / "x.safetensors", net.state_dict(), {**CARD, "mean": [1.5, -2.0], "sha256": "lies"})
    assert card == json.loads((tmp_path / "x.json").read_text()) == weights(tmp_path)["x"]
    assert card["sha256"] == hashlib.sha256((tmp_path / "x.safetensors").read_bytes()).hexdigest()
    assert card["bytes"] == (tmp_path / "x.safetensors").stat().st_size
    assert card["parameters"] == sum(p.numel() for p in net.parameters())
    assert (card["dtype"], card["format"], card["mean"]) == ("float32", 1, [1.5, -2.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_become_float32(tmp_path, net, dtype):
    card = save_weights(tmp_path / "small.safetensors", net.state_dict(), CARD, dtype=dtype)
    assert card["dtype"] == str(dtype).removeprefix("torch.")
    stored = read_tensors((tmp_path / "small.safetensors").read_bytes())
    assert {t.dtype for t in stored.values()} == {dtype}
    for key, value in load(tmp_path / "small.safetensors").state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, net.state_dict()[key].to(dtype).float())


def test_load_goes_where_it_is_told_and_leaves_the_generator(saved, device):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    loaded = load(saved / "small.safetensors", device)
    assert torch.equal(torch.rand(3), expected)
    assert all(p.device.type == device.type for p in loaded.parameters())


def test_tied_and_strided_tensors_are_kept(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_weights(tmp_path / "x.safetensors", {"a": base, "b": base, "c": base.T}, CARD)
    stored = read_tensors((tmp_path / "x.safetensors").read_bytes())
    assert torch.equal(stored["a"], base) and torch.equal(stored["b"], base) and torch.equal(stored["c"], base.T)


def test_terms_are_named_once(tmp_path, net, capsys, monkeypatch):
    monkeypatch.setattr(hub, "_told", set())
    for name in ("one", "two"):
        terms = {"licence": "IAM-OnDB: non-commercial research", "non_commercial": True}
        save_weights(tmp_path / f"{name}.safetensors", net.state_dict(), {**CARD, **terms})
    load(tmp_path / "one.safetensors")
    load(tmp_path / "two.safetensors")
    load(tmp_path / "one.safetensors")
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("The weights 'one' are for non-commercial use: IAM-OnDB: non-commercial research.")


def test_free_weights_say_nothing(saved, capsys, monkeypatch):
    monkeypatch.setattr(hub, "_told", set())
    load(saved / "small.safetensors")
    assert capsys.readouterr() == ("", "")


def test_unknown_name_lists_those_that_exist(saved, net, monkeypatch):
    save_weights(saved / "big.safetensors", net.state_dict(), CARD)
    monkeypatch.setattr(hub, "WEIGHTS", saved)
    with pytest.raises(ValueError, match="there are no weights 'smal'; there are: big, small$"):
        load("smal")
    for name in ("../small", str(saved / "small"), "", "small.json"):
        with pytest.raises(ValueError, match="there are no weights"):
            load(name)
    with pytest.raises(ValueError, match="; a path ends in .safetensors"):
        load(saved / "small")
    with pytest.raises(ValueError, match="none.json is not beside them .none.safetensors is not here either."):
        load(saved / "none.safetensors")
    (saved / "big.json").unlink()
    with pytest.raises(ValueError, match="big.json is not beside them .big.safetensors is here.; softattn.hub.save_w"):
        load(saved / "big.safetensors")
    monkeypatch.setattr(hub, "WEIGHTS", saved / "none")
    with pytest.raises(ValueError, match="there are: none yet"):
        load("small")
    for name in (7, None, [1]):
        with pytest.raises(TypeError, match="expected a name or a path"):
            load(name)


def test_a_file_cut_short(saved):
    path = saved / "small.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=f"holds {size - 10} bytes, its card says {size}; the file is cut short"):
        load(saved / "small.safetensors")


def test_a_file_with_one_bit_changed(saved):
    path = saved / "small.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="small.safetensors has SHA-256 .* the file is damaged or replaced"):
        load(saved / "small.safetensors")


def test_a_file_that_is_not_there_or_not_safetensors(saved):
    path = saved / "small.safetensors"
    path.write_bytes(b"x" * 64)
    change(saved, sha256=sha256(path), bytes=64)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(saved / "small.safetensors")
    path.unlink()
    with pytest.raises(ValueError, match="the card is here, small.safetensors is not"):
        load(saved / "small.safetensors")


def refit(folder, tensors):
    data = write_tensors(tensors)
    (folder / "small.safetensors").write_bytes(data)
    change(folder, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def test_tensors_that_do_not_fit(saved, net):
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    first = next(iter(state))
    refit(saved, {key: value for key, value in state.items() if key != first})
    with pytest.raises(ValueError, match=f"do not fit softattn.prediction.PredictionNetwork: {first} is missing"):
        load(saved / "small.safetensors")
    refit(saved, {**state, "more": torch.zeros(1)})
    with pytest.raises(ValueError, match="more is not in the model"):
        load(saved / "small.safetensors")
    refit(saved, {**state, first: torch.zeros(1)})
    with pytest.raises(ValueError, match=rf"{first} has shape \(1,\), the model's has"):
        load(saved / "small.safetensors")
    refit(saved, {"a": torch.zeros(1)})
    with pytest.raises(ValueError, match=r" and \d+ more$"):
        load(saved / "small.safetensors")


@pytest.mark.parametrize("field", [*hub._NEEDED, *hub._FILLED], ids="without_{}".format)
def test_a_card_without_a_field(saved, field):
    change(saved, **{field: None})
    with pytest.raises(ValueError, match=f"weights 'small': the card has no {field}$"):
        load(saved / "small.safetensors")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("format", 2, "the card has format 2, this package reads 1; update"),
        ("seed", "0", "the card's seed must be of type int, it is '0'"),
        ("steps", True, "the card's steps must be of type int, it is True"),
        ("minutes", "5", "the card's minutes must be a number"),
        ("sha256", "abc", "must be 64 hexadecimal digits"),
        ("class", "torch.nn.LSTM", "the card's class must be softattn.MODULE.Class"),
        ("class", "softattn._hub.Path", "the card's class must be softattn.MODULE.Class"),
        ("class", "softattn.hub.Path", "softattn.hub does not export 'Path'"),
        ("class", "softattn.prediction Y", "the card's class must be module.Class"),
        ("class", "softattn.prediction.x.Y", "the card's class must be softattn.MODULE.Class"),
        ("class", "softattn.strokes.Strokes.learn", "the card's class must be softattn.MODULE.Class"),
        ("class", "softattn.strokes.Strokes", "is not a network"),
        ("class", "softattn.nowhere.Network", "softattn has no module 'nowhere'"),
        ("class", "softattn.prediction.PeepholeLSTM", "softattn.prediction does not export 'PeepholeLSTM'"),
        ("class", "softattn.images.Images", "is not a network"),
        ("config", {"width": 3}, "refuses the config of the card: .*width"),
        ("config", {**CONFIG, "hidden_size": 10**6}, "the card's config says 1000000; no size is above 65,536"),
        ("config", {**CONFIG, "hidden_size": [10**400]}, "no size is above"),
        ("config", {**CONFIG, "hidden_size": float("nan")}, "the card's config says nan"),
        ("config", {**CONFIG, "hidden_size": 60_000}, "do not fit"),
        ("licence", "MIT\x1b[31m", "the card's licence holds control characters: 'MIT"),
        ("summary", "one\ntwo", "the card's summary holds control characters"),
        ("metric", {"name": "x"}, "the card's metric needs name, value and split"),
        ("metric", {"name": "x", "value": "1", "split": "y"}, "must be a finite number, it is '1'"),
    ],
)
def test_a_card_that_is_wrong(saved, field, value, words):
    change(saved, **{field: value})
    with pytest.raises(ValueError, match=f"weights 'small'.*{words}"):
        load(saved / "small.safetensors")


def test_a_card_that_is_not_a_card(saved):
    (saved / "small.json").write_text("{")
    with pytest.raises(ValueError, match="the card small.json is not JSON"):
        weights(saved)
    (saved / "small.json").write_text("[]")
    with pytest.raises(ValueError, match="must be an object, it is list"):
        load(saved / "small.safetensors")


def test_nothing_is_imported_for_a_class_that_is_refused(saved, monkeypatch):
    monkeypatch.setattr(hub, "import_module", lambda name: pytest.fail(f"imported {name}"))
    for wanted in ("os.path.Join", "softattn._hub.Path", "softattn.nowhere.Network", "softattn.__main__.Main"):
        change(saved, **{"class": wanted})
        with pytest.raises(ValueError, match="the card's class"):
            load(saved / "small.safetensors")


def test_save_refuses_and_leaves_nothing(tmp_path, net):
    state = net.state_dict()
    first = next(iter(state))
    bad = {**state, first: torch.full_like(state[first], float("nan"))}
    large = {**state, first: torch.full_like(state[first], 1e6)}
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match="weights go to NAME.safetensors, got 'x.pt'"):
        save_weights(tmp_path / "x.pt", state, CARD)
    with pytest.raises(ValueError, match="the state dict is empty"):
        save_weights(path, {}, CARD)
    with pytest.raises(ValueError, match=f"'{first}' holds NaN or infinity"):
        save_weights(path, bad, CARD)
    with pytest.raises(ValueError, match=f"'{first}' is too large for torch.float16"):
        save_weights(path, large, CARD, dtype=torch.float16)
    with pytest.raises(ValueError, match="the card has no licence"):
        save_weights(path, state, {key: value for key, value in CARD.items() if key != "licence"})
    with pytest.raises(ValueError, match="must be a finite number, it is nan"):
        save_weights(path, state, {**CARD, "metric": {"name": "x", "value": float("nan"), "split": "y"}})
    with pytest.raises(TypeError):
        save_weights(path, state, {**CARD, "more": {1, 2}})
    assert list(tmp_path.iterdir()) == []


def test_the_card_comes_last(tmp_path, net, monkeypatch):
    order = []
    real = hub.os.replace
    monkeypatch.setattr(hub.os, "replace", lambda a, b: (order.append(Path(b).name), real(a, b)))
    save_weights(tmp_path / "x.safetensors", net.state_dict(), CARD)
    assert order == ["x.safetensors", "x.json"]


def test_save_that_is_cut_off_is_noticed(saved, net, monkeypatch):
    """New weights beside the old card: `load` refuses the pair."""
    real = hub.os.replace

    def cut(a, b):
        if str(b).endswith(".json"):
            raise KeyboardInterrupt
        real(a, b)

    monkeypatch.setattr(hub.os, "replace", cut)
    other = {key: value + 1 for key, value in net.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        save_weights(saved / "small.safetensors", other, CARD)
    assert sorted(p.name for p in saved.iterdir()) == ["small.json", "small.safetensors"]
    with pytest.raises(ValueError, match="damaged or replaced"):
        load(saved / "small.safetensors")


class Own(torch.nn.Module):
    """A network that softattn does not know."""

    def __init__(self, size):
        super().__init__()
        self.linear = torch.nn.Linear(size, size)


def test_a_class_of_ones_own_is_passed_not_named(tmp_path):
    net, path = Own(3), tmp_path / "own.safetensors"
    card = {"class": "mine.Own", "config": {"size": 3}, "data": "random numbers", "licence": "MIT"}
    written = save_weights(path, net.state_dict(), card)  # these four fields are enough
    assert written["non_commercial"] is False
    with pytest.raises(ValueError, match=r"softattn.MODULE.Class, it is 'mine.Own'; .* load\(path, cls=YourClass\)"):
        load(path)
    again = load(path, cls=Own)
    assert type(again) is Own and torch.equal(again.linear.weight, net.linear.weight)
    for wrong in (Own(3), "Own", dict):
        with pytest.raises(TypeError, match="expected a class of networks"):
            load(path, cls=wrong)
    with pytest.raises(ValueError, match="do not fit"):
        load(path, cls=torch.nn.Identity)


def test_weights_that_are_not_numbers_do_not_load(saved, net):
    state = {key: value.clone() for key, value in net.state_dict().items()}
    first = next(iter(state))
    state[first].view(-1)[0] = float("nan")
    refit(saved, state)
    with pytest.raises(ValueError, match=f"{first!r} holds NaN or infinity"):
        load(saved / "small.safetensors")


def test_pipes_and_devices_are_no_weights(saved):
    import os

    path = saved / "small.safetensors"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file but a folder, a device or a pipe"):
        load(path)  # and does not wait for a writer
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is not a file"):
        load(path)
    (saved / "small.json").unlink()
    os.mkfifo(saved / "small.json")
    with pytest.raises(ValueError, match="small.json is not a file"):
        load(path)


def test_two_processes_save_and_one_reads(tmp_path):
    """Whoever reads sees one pair or the other, never weights beside the other's card."""
    code = (
        "import sys, torch\nfrom softattn.hub import save_weights\ntorch.manual_seed(int(sys.argv[2]))\n"
        "for n in range(60):\n"
        "    save_weights(sys.argv[1], {'linear.weight': torch.rand(3, 3), 'linear.bias': torch.rand(3)},\n"
        "                 {'class': 'mine.Own', 'config': {'size': 3}, 'data': sys.argv[2], 'licence': 'MIT'})\n"
    )
    path = tmp_path / "own.safetensors"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in (1, 2)]
    read = 0
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            load(path, cls=Own)
            read += 1
    assert [writer.returncode for writer in writers] == [0, 0] and read > 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["own.json", "own.safetensors"]
    load(path, cls=Own)


def test_results_are_read_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "__file__", str(tmp_path / "softattn" / "hub.py"))
    with pytest.raises(ValueError, match="no benchmark 'lstm' has stored a result; there are: none yet"):
        hub.results("lstm")
    (tmp_path / "bench" / "results").mkdir(parents=True)
    (tmp_path / "bench" / "results" / "lstm.json").write_text('{"ratio": 1.5}')
    assert hub.results("lstm") == {"ratio": 1.5}
    with pytest.raises(ValueError, match="there are: lstm"):
        hub.results("../results/lstm")


def test_every_card_of_the_package_says_all_that_a_reader_asks():
    for name, card in weights().items():
        assert {*hub._NEEDED, *hub._OPTIONAL} <= card.keys(), name


def test_the_weights_of_the_package_load():
    for name, card in weights().items():
        model = softattn.load(name)
        assert sum(t.numel() for t in model.state_dict().values()) == card["parameters"], name


# -- the command line --------------------------------------------------------------------------------------------------


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"softattn {softattn.__version__}\n"


def test_weights_are_listed(saved, capsys, monkeypatch):
    monkeypatch.setattr(hub, "WEIGHTS", saved)
    assert main(["weights"]) == 0
    said = capsys.readouterr().out
    assert said == "small  a small network (0.0 MB; bits per character 1.25 on held-out; MIT)\n"
    change(saved, metric=None, summary=None)
    assert main(["weights"]) == 0
    assert capsys.readouterr().out == "small  PredictionNetwork (0.0 MB; MIT)\n"
    change(saved, licence=None)
    assert main(["weights"]) == 1
    assert "the card has no licence" in capsys.readouterr().err


def test_no_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    assert main(["weights"]) == 0
    assert "no weights come with this version" in capsys.readouterr().out


def test_unknown_command(capsys):
    assert main(["paint"]) == 2


def test_without_typer(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--version"]) == 0
    assert main([]) == 0 and "pip install typer" in capsys.readouterr().out
    assert main(["weights"]) == 1 and "softattn weights: the commands need typer" in capsys.readouterr().err


def test_the_command_line_loads_no_torch():
    code = (
        "import sys\nsys.modules['typer'] = None\nfrom softattn.__main__ import main\nmain(['--version'])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys\nfrom softattn.__main__ import main\nmain(['weights'])\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
