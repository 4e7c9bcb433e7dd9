"""A corpus too large to hold, in shards: lines of the embedded writer, made once and read from the front.

    python -m recipes.shards make FOLDER --megabytes 200     write FOLDER/shard-00000.tar ... and index.json; called
                                                             again it goes on where it stopped
    python -m recipes.shards read FOLDER                     read all of it once: lines per second, memory on the way
    python -m recipes.shards train FOLDER --points 5         train a small predictor on it, resumable; under torchrun
                                                             each process opens its own shards and no others

A shard is a tar file as `webdataset` reads it, `00017.npy` (offsets, float32) beside `00017.txt`; its number alone
decides which lines it holds. An epoch is one shard for each share of a batch, in an order that seed and pass decide, so
memory holds one shard for each share of this process, however large the corpus is.
"""

import json
import math
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from recipes import handwriting
from recipes._run import options, train
from recipes.synthesis import embedded_lines
from softattn.handwriting import HandwritingPredictor, line_stream
from softattn.hub import atomic_write
from softattn.strokes import Strokes

LINES = 256  # in a shard
MAKES = 2_000_000  # added to a shard's number: seeds of its lines, which no other recipe draws


def shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.tar"


def write_shard(path: Path, lines: list[Strokes]) -> None:
    """Write lines as one shard, whole or not at all."""
    import webdataset

    with atomic_write(path) as beside, webdataset.TarWriter(str(beside), mtime=0) as tar:  # pyright: ignore
        for n, line in enumerate(lines):
            tar.write({"__key__": f"{n:05d}", "npy": line.offsets.numpy(), "txt": line.text})


def read_shard(path: Path) -> Iterator[Strokes]:
    """The lines of one shard, one after the other."""
    import webdataset

    for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode():  # pyright: ignore
        yield Strokes(torch.from_numpy(sample["npy"]), sample["txt"], source=path.name)


def make(folder: Path, megabytes: float, lines: int = LINES) -> dict[str, Any]:
    """Write shards until so many megabytes are there, then their index; the index."""
    folder.mkdir(parents=True, exist_ok=True)
    total, number, rows = 0, 0, []
    while total < 1e6 * megabytes:
        path, told = shard(folder, number), folder / f"shard-{number:05d}.json"
        if not (path.exists() and told.exists()):
            made = embedded_lines(lines, MAKES + number)
            write_shard(path, made)
            steps = torch.cat([line.offsets[1:, :2] for line in made]).double()
            about = {"lines": len(made), "points": len(steps)}
            about |= {"sum": steps.sum(0).tolist(), "squares": steps.square().sum(0).tolist()}
            told.write_text(json.dumps(about))
        rows.append(json.loads(told.read_text()))
        total, number = total + path.stat().st_size, number + 1
    return write_index(folder, rows, total)


def write_index(folder: Path, rows: list[dict], size: int) -> dict[str, Any]:
    """What a run must know of shards that it has not opened: how many points each holds, and how to normalise them."""
    points = [row["points"] for row in rows]
    mean = [sum(row["sum"][k] for row in rows) / sum(points) for k in (0, 1)]
    std = [math.sqrt(sum(row["squares"][k] for row in rows) / sum(points) - mean[k] ** 2) for k in (0, 1)]
    index = dict(lines=sum(row["lines"] for row in rows), bytes=size, points=points, mean=mean, std=std)
    with atomic_write(folder / "index.json") as beside:
        beside.write_text(json.dumps(index) + "\n")
    return index


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a corpus.

    Raises: SystemExit where there is none.
    """
    path = folder / "index.json"
    if not path.exists():
        raise SystemExit(f"{path} is not there: write a corpus with python -m recipes.shards make {folder}")
    return json.loads(path.read_text())


def megabytes_held() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(folder: Path) -> list[list[float]]:
    """Read everything once; rows of megabytes read, lines per second, megabytes of memory held at most until then."""
    index, rows, lines, start = read_index(folder), [], 0, time.monotonic()
    size, count = 0, len(index["points"])
    for number in range(count):
        lines += sum(1 for _ in read_shard(shard(folder, number)))
        size += shard(folder, number).stat().st_size
        if (number + 1) * 10 // count != number * 10 // count:
            rows.append([round(size / 1e6, 1), round(lines / (time.monotonic() - start)), round(megabytes_held(), 1)])
    assert lines == index["lines"], f"{lines} lines were read, the index has {index['lines']}"
    return rows


class ShardRun(handwriting.PredictorRun):
    """The predictor over shards: each share of a batch reads a shard of its own."""

    def __init__(self, config, args, folder, part):
        super().__init__(HandwritingPredictor, config, args, [], part)
        self.folder, self.index, self.opened = folder, read_index(folder), []

    def group(self):
        """The shards of this epoch, one for each share."""
        shares, points = self.facts["shares"], self.index["points"]
        if shares > len(points):
            raise SystemExit(f"{shares} shares and {len(points)} shards: make more shards, or fewer shares")
        turn, at = divmod(self.facts["epoch"], len(points) // shares)
        generator = torch.Generator().manual_seed(1_000_003 * self.facts["seed"] + turn)
        order = torch.randperm(len(points), generator=generator).tolist()
        return order[at * shares : (at + 1) * shares]

    def prepare(self):
        """Read the shards of this process's shares; the index says how many batches the shortest one has."""
        group, rows, generator = self.group(), handwriting.ROWS // self.facts["shares"], self.seeded()
        seed, self.streams = generator.initial_seed(), {}
        for turn in self.turns:
            generator.manual_seed(seed + 17 * turn)
            lines = list(read_shard(shard(self.folder, group[turn])))
            self.opened.append(group[turn])
            x, y, reset, _ = line_stream(lines, rows, generator)
            x, y = (self.model.normalise(a.to(self.device)) for a in (x, y))
            self.streams[turn] = x, y, reset.to(self.device)
        self.epoch_points = sum(self.index["points"])
        batches = min(self.index["points"][n] // rows for n in group) // handwriting.CHUNK
        if not batches:
            raise SystemExit(f"a shard does not fill {rows} rows of {handwriting.CHUNK} points: make larger shards")
        return batches

    def points(self, k):
        return tuple(part[self.chunk(k)] for part in self.streams[self.turn])


def parse(arguments=None):
    parser = options(__doc__, "shards")
    parser.add_argument("what", choices=["make", "read", "train"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=200, help="size of the corpus")
    parser.add_argument("--points", type=float, default=5, help="millions of points to stop at")
    parser.add_argument("--hidden", type=int, default=64)
    parser.set_defaults(dropout=0.0, jitter=0.0, rate=handwriting.RATE)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    torch.set_num_threads(args.threads)
    if args.what == "make":
        index = make(args.folder, args.megabytes)
        print(f"{len(index['points'])} shards, {index['lines']} lines, {index['bytes'] / 1e6:.1f} MB")
    elif args.what == "read":
        for row in read(args.folder):
            print("{:9.1f} MB read  {:6d} lines/s  {:7.1f} MB held".format(*row), flush=True)
    else:
        index = read_index(args.folder)
        config = dict(hidden_size=args.hidden, num_layers=2, mixtures=10, mean=index["mean"], std=index["std"])
        run = ShardRun(config, args, args.folder, embedded_lines(24, 999))
        path = args.state / f"hidden{args.hidden}-seed{args.seed}.pt"
        run.take_up(path)
        run.plan(args.points, None)
        train(run, path, args.minutes, run.over, save_seconds=args.save_seconds)
        print(f"{run.facts['points']} points; {megabytes_held():.1f} MB held at most")


if __name__ == "__main__":
    main()
