"""The benchmarks' record, and the comparison of two checkouts; what they measure is judged by people."""

import argparse
import json
import math
import re
import subprocess
import sys

import pytest
import torch

from bench import _result
from softattn import hub


def options(**more) -> argparse.Namespace:
    return argparse.Namespace(**{"write": True, "quick": False, **more})


def test_a_result_is_stored_and_read_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_result, "RESULTS", tmp_path)
    result = _result.Result("lstm", [2, 1], 5)
    result.figure("torch_float32_1", 1.23456789, "ratio", "time of PeepholeLSTM by that of nn.LSTM")
    result.figure("torch_bfloat16_1", math.nan, "ratio", "what this machine cannot run is left out")
    result.table("a table", ["T", "ms"], [[25, "0.5"]])
    result.finish(options())
    record = json.loads((tmp_path / "lstm.json").read_text(encoding="utf-8"))
    assert record["figures"] == {
        "torch_float32_1": {"value": 1.235, "unit": "ratio", "what": "time of PeepholeLSTM by that of nn.LSTM"}
    }
    assert record["tables"] == [{"title": "a table", "head": ["T", "ms"], "rows": [["25", "0.5"]]}]
    assert record["command"].startswith("python -m bench.lstm") and record["threads"] == [2, 1]
    assert record["rounds"] == 5 and record["processor"] and re.fullmatch(r"[0-9a-f]{7,}\+?", record["commit"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"]) and record["load"] >= 0
    assert "0.5" in capsys.readouterr().out


def test_one_module_may_store_two_results(tmp_path, monkeypatch):
    monkeypatch.setattr(_result, "RESULTS", tmp_path)
    _result.Result("acceptance", 1, None, by="legibility").finish(options())
    record = json.loads((tmp_path / "acceptance.json").read_text(encoding="utf-8"))
    assert record["name"] == "acceptance" and record["command"].startswith("python -m bench.legibility")


def test_what_an_eye_found_is_stored_beside_what_the_recogniser_said(tmp_path, monkeypatch):
    from bench import legibility

    monkeypatch.setattr(_result, "RESULTS", tmp_path)
    figure = {"value": 0.12, "what": "of 100 lines say another text to the recogniser, read"}
    rows = [["cat", "0.75", kind, "17", "20"] for kind in ("unread", "read")]
    stored = {"legibility_newspaper": {"figures": {"lines_wrong_read": figure}},
              "legibility_cases": {"tables": [{"rows": [*rows, ["...", "0.75", "read", "2", "20"]]}]}}  # fmt: skip
    monkeypatch.setattr(legibility, "results", stored.get)

    def asked(kind, *eye):
        return options(threads=1, eye=list(eye), **{name: name == kind for name in ("cases", "newspaper", "short")})

    legibility.by_eye(asked("newspaper", 2))
    record = json.loads((tmp_path / "legibility_newspaper_eye.json").read_text(encoding="utf-8"))
    assert {key: its["value"] for key, its in record["figures"].items()} == {"sent_back": 0.12, "wrong": 0.02}
    legibility.by_eye(asked("cases", 1, 0))
    record = json.loads((tmp_path / "legibility_cases_eye.json").read_text(encoding="utf-8"))
    assert record["tables"][0]["rows"] == [["cat", "0.75", "19", "20"], ["...", "0.75", "20", "20"]]
    for eye, words in ([4, 0], "4 for cat, expected 0 to 3"), ([1], "1 numbers, expected one for each of the 2"):
        with pytest.raises(SystemExit, match=words):
            legibility.by_eye(asked("cases", *eye))


def test_each_kind_of_processor_keeps_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(_result, "RESULTS", tmp_path)
    monkeypatch.setattr(_result, "processor", lambda: "AMD EPYC")
    _result.Result("lstm", 1, 3).finish(options())
    _result.Result("seeds", 1, 3, speed=False).finish(options())
    old = json.loads((tmp_path / "lstm.json").read_text(encoding="utf-8"))
    old.pop("kind")  # as records were before kinds
    (tmp_path / "lstm.json").write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(_result, "processor", lambda: "Intel(R) Xeon(R) Processor")
    monkeypatch.setattr(_result, "kind", lambda name, flags="": "intel" if "Intel" in name else "amd")
    for _ in range(2):
        _result.Result("lstm", 1, 3).finish(options())
        _result.Result("seeds", 1, 3, speed=False).finish(options())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lstm.json", "lstm@intel.json", "seeds.json"]
    monkeypatch.setattr(hub, "_result_folders", lambda: [tmp_path])
    assert hub.results_elsewhere("lstm") == ["lstm@intel"] and hub.results_elsewhere("seeds") == []
    assert hub.results("lstm")["processor"] == "AMD EPYC"
    assert hub.results("lstm@intel")["processor"].startswith("Intel")


@pytest.mark.parametrize(
    ("name", "flags", "kind"),
    [
        ("AMD EPYC", "flags : avx2", "amd-avx2"),
        ("AMD EPYC", "flags : avx2 avx512f avx512_bf16", "amd"),
        ("Intel(R) Xeon(R) Processor", "", "intel"),
        ("Intel(R) Xeon(R) Processor", "flags : avx512f amx_tile amx_int8", "intel-amx"),
        ("Intel(R) Xeon(R) Processor", "flags : avx512f", "intel"),
        ("", "", "unknown"),
    ],
)
def test_the_kind_of_a_processor(name, flags, kind):
    assert _result.kind(name, flags) == kind


@pytest.mark.parametrize(("low", "left"), [(2.0, ["float32", "bfloat16"]), (9.0, ["float32"])])
def test_a_format_far_too_slow_is_not_timed(monkeypatch, capsys, low, left):
    seconds = {torch.float32: 1.0, torch.bfloat16: low}
    monkeypatch.setattr(_result, "product_seconds", lambda dtype, device: seconds[dtype])
    assert [row[0] for row in _result.worth_timing([("float32", False), ("bfloat16", True)])] == left
    assert ("9 times as long" in capsys.readouterr().out) == (low > 4)


def test_quick_sizes_are_never_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(_result, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match="nothing was stored"):
        _result.Result("lstm", 1, 3).finish(options(quick=True))
    _result.Result("lstm", 1, 3).finish(options(write=False))
    assert not list(tmp_path.iterdir())


def test_a_figure_has_one_meaning_and_a_median_three_calls(capsys):
    result = _result.Result("lstm", 1, 3)
    result.figure("a", 1.0, "s", "one")
    with pytest.raises(ValueError, match="'a' is noted twice"):
        result.figure("a", 2.0, "s", "two")
    with pytest.raises(SystemExit):
        _result.parser("A bench.").parse_args(["--rounds", "2"])
    assert "2 is too few: each figure is a median of at least 3 calls" in capsys.readouterr().err
    calls = []
    assert set(_result.milliseconds(calls.append, {"a": (1,), "b": (2,)}, threads=1, rounds=1)) == {"a", "b"}
    turns = [call for call, before in zip(calls, [0, *calls], strict=False) if call != before]
    assert turns[-6:] == [1, 2, 1, 2, 1, 2], "the runs take turns"


def test_the_stored_results_say_what_they_are(root):
    for path in sorted((root / "bench" / "results").glob("*.json")):
        record = hub.results(path.stem)
        assert record["name"] == path.stem.partition("@")[0]
        assert (root / "bench" / f"{record['command'].split()[2][6:]}.py").exists()
        assert {"processor", "threads", "rounds", "load", "date", "commit", "torch", "tables"} <= set(record)
        for figure in record["figures"].values():
            assert set(figure) == {"value", "unit", "what"} and math.isfinite(figure["value"])


@pytest.mark.slow
def test_a_checkout_against_itself(root):
    command = [sys.executable, "-m", "bench.against", str(root), "mixture", "write1", "--quick", "--rounds", "3"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for part in ("mixture", "write1"):
        assert re.search(rf"^{part} +\d+\.\d{{3}} +[\d.]+ +[\d.]+$", done.stdout, re.M), done.stdout
