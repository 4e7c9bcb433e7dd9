"""Short lines to train the pen on: words cut out of the corpus, and drafts of its own that were read rightly.

    python -m recipes.pieces --cut                 cut words out of the lines of IAM-OnDB
    python -m recipes.pieces --draft               write odd short texts, keep what the reader reads as its text
    python -m recipes.pieces --whole               the same with lines that the corpus holds the texts of

They are kept beside the state (--state), to be drawn from by `python -m recipes.synthesis --pieces N --drafts N
--whole N`.

The corpus has whole lines alone, some thirty characters each: a pen that knows nothing else runs on behind "cat". A
line is cut where the reader places its spaces, in the pen's widest flight there; a piece that is then read otherwise
is left out. For texts that no line of the corpus resembles (capitals, digits, addresses, one to three characters), the
pen's own drafts stand in: those that the reader reads rightly, so that what it can do at times it does more often.
"""

import string
from contextlib import suppress

import numpy as np
import torch
from tqdm import tqdm

import softattn
from recipes._run import options
from recipes.reading import cut
from recipes.texts import rare_text
from softattn.hub import atomic_write
from softattn.iam import load_iam
from softattn.pen import embedded_text
from softattn.proofreading import compared
from softattn.reading import Reading
from softattn.strokes import Strokes
from softattn.synthesis import sample_lines
from softattn.text import plain_text

BATCH = 256


def corpus_lines():
    """Graves' training data: train, val2 and what is there of test; without faulty lines and illegible words (#)."""
    lines = []
    for split in ("train", "val2", "test"):
        part, told = load_iam(split=split, clean=True)
        print(str(told).splitlines()[0])
        lines += [line for line in part if "#" not in line.text]
    return lines


def same(text: str, read: str) -> bool:
    """Whether a reading says the text, but for signs that look alike."""
    return not compared(text, read)[1]


def in_batches(reader, lines: list) -> list[Reading | None]:
    """What the reader makes of many lines; None where it refuses one (some of the corpus look like two)."""
    seen = []
    for k in range(0, len(lines), BATCH):
        part = lines[k : k + BATCH]
        try:
            seen += reader.read(part)
        except ValueError:
            seen += [alone(reader, line) for line in part]
    return seen


def alone(reader, line: Strokes) -> Reading | None:
    """What the reader makes of one line, None if it refuses it."""
    try:
        return reader.read([line])[0]
    except ValueError:
        return None


def pieces_of(lines: list[Strokes], reader, each: int, seed: int) -> list[Strokes]:
    """So many pieces of each line, of one to three words, chosen by chance; those that read as they should."""
    rng, pieces = np.random.default_rng([seed, 11]), []
    for line in tqdm([line for line in lines if line.text == " ".join(line.text.split())]):
        with suppress(ValueError):  # the reader refuses what looks like two lines
            found = cut(reader, line, most=3)
            pieces += [found[i] for i in rng.permutation(len(found))[:each]]
    seen = in_batches(reader, pieces)
    return [line for line, read in zip(pieces, seen, strict=True) if read and same(line.text, read.text)]


def odd_text(rng: np.random.Generator) -> str:
    """A short text of a kind that lines of the corpus lack."""
    words = embedded_text(rng).split()
    word = words[rng.integers(len(words))]
    letters = string.ascii_letters
    few = "".join(rng.choice(list(letters if rng.random() < 0.6 else letters + string.digits), rng.integers(1, 4)))
    digits = "".join(rng.choice(list(string.digits), rng.integers(1, 9)))
    kinds = [
        few,
        word,
        word.capitalize(),
        word.upper(),
        digits,
        f"{word.capitalize()} {words[0].capitalize()}",
        f"{word} {digits}",
        f"{word}@{words[0]}.{rng.choice(['com', 'org', 'net', 'de'])}".lower(),
        f"{int(rng.integers(1, 29))}.{int(rng.integers(1, 13))}.{int(rng.integers(1900, 2050))}",
        f"{int(rng.integers(0, 24)):02}:{int(rng.integers(0, 60)):02}",
        word + str(rng.choice(list("!?.,:;"))),
        rare_text(rng)[: int(rng.integers(3, 12))].strip() or "Q",
    ]
    return str(kinds[rng.integers(len(kinds))])


def drafts_of(texts: list[str], seed: int, path) -> list[Strokes]:
    """The texts, written once by the weights that ship at a bias from 0 to 0.7; those that read as they should.

    They are kept in a file all the while.
    """
    model, reader, kept = softattn.load("synthesis"), softattn.load("reading"), []
    for k in range(0, len(texts), BATCH):
        part = texts[k : k + BATCH]
        bias = [0.1 * (i % 8) for i in range(len(part))]
        lines = [draft.strokes for draft in sample_lines(model, part, range(seed + k, seed + k + len(part)), bias)]
        for text, line, seen in zip(part, lines, in_batches(reader, lines), strict=True):
            if seen and same(text, seen.text):
                kept.append(Strokes(line.offsets, text, "draft"))
        store(path, kept)
        print(f"{k + len(part)} texts, {len(kept)} kept", flush=True)
    return kept


def store(path, lines: list[Strokes]) -> None:
    """Keep lines as one file."""
    with atomic_write(path) as beside:
        torch.save([(line.offsets, line.text) for line in lines], beside)


def stored(folder, name: str) -> list[Strokes]:
    """What was left in the folder of the state: `pieces`, `drafts` or `whole`."""
    path = folder / f"{name}.pt"
    if not path.exists():
        command = {"pieces": "--cut", "drafts": "--draft", "whole": "--whole"}[name]
        raise SystemExit(f"{path} is not there: python -m recipes.pieces {command} writes it")
    return [Strokes(offsets, text, name) for offsets, text in torch.load(path, weights_only=True)]


def main():
    parser = options(__doc__, "synthesis")
    parser.add_argument("--cut", action="store_true", help="cut words out of the lines of IAM-OnDB")
    parser.add_argument("--draft", action="store_true", help="write odd short texts, and keep those that read well")
    parser.add_argument("--whole", action="store_true", help="the same with whole lines, of the corpus' texts")
    parser.add_argument("--count", type=int, default=8000, help="texts to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cut:
        reader, lines = softattn.load("reading"), corpus_lines()
        pieces = pieces_of(lines, reader.eval(), 2, args.seed)
        print(f"{len(pieces)} pieces of {len(lines)} lines, {sum(map(len, pieces))} points")
        store(args.state / "pieces.pt", pieces)
    if args.draft:
        texts = [odd_text(np.random.default_rng([args.seed, 12, k])) for k in range(args.count)]
        drafts_of(texts, 1_000_000 * args.seed, args.state / "drafts.pt")
    if args.whole:
        lines = corpus_lines()
        order = np.random.default_rng([args.seed, 15]).permutation(len(lines))[: args.count]
        texts = [plain_text(lines[i].text) for i in order]
        drafts_of(texts, 2_000_000 * args.seed, args.state / "whole.pt")


if __name__ == "__main__":
    main()
