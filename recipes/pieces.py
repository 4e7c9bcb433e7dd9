"""Short lines to train the pen on: words and letters cut out of the corpus, and own drafts that were read rightly.

    python -m recipes.pieces --cut                 cut words out of the lines of IAM-OnDB
    python -m recipes.pieces --letters             cut one to three letters out of some of them
    python -m recipes.pieces --draft               write odd short texts, keep what the reader is sure to read as asked
    python -m recipes.pieces --whole               the same with lines: texts of the corpus, and as many
                                                   of words drawn by chance from all of it

They are kept beside the state (--state), to be drawn from by `python -m recipes.synthesis --pieces N --letters N
--drafts N --whole N`; and drafts that read otherwise, with the points where they do, to go away from: `--misses N`.

The corpus has whole lines alone, some thirty characters each: a pen that knows nothing else runs on behind "cat". A
line is cut where the reader places its spaces, in the pen's widest flight there; a piece that is then read otherwise
is left out. For texts that no line of the corpus resembles (capitals, digits, addresses, one to three characters), the
pen's own drafts stand in: those of which the reader is sure, so that what it can do at times it does more often. Where
a draft says something else, its points from the last letter before that is right to the next one are kept with what
they cost the weights that wrote them: the run that draws from them makes just these less likely.
"""

import itertools
import string
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import softattn
from recipes._run import options
from recipes.reading import Part, believed, cut, parts_of
from recipes.texts import rare_text
from softattn.handwriting import ROUNDING, evaluating
from softattn.hub import atomic_write
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture
from softattn.pen import embedded_text
from softattn.proofreading import Verdict, compared, laid_beside, only_dots, proof_of, same_sign
from softattn.reading import Reading
from softattn.strokes import Strokes, pad
from softattn.synthesis import encode_texts, faults, judged_by, sample_lines
from softattn.text import plain_text

BATCH, ATTEMPTS = 256, 3


class Miss(NamedTuple):
    """A draft that says something else than its text.

    Args:
        line: the strokes, with the text that was asked.
        where: the points, up from the last right letter before to the next right one, bool, (T,).
        log_prob: what each of its points but the first cost the weights that wrote it, (T - 1,).
    """

    line: Strokes
    where: Tensor
    log_prob: Tensor


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


def letters_of(lines: list[Strokes], reader, each: int, seed: int) -> list[Strokes]:
    """So many groups of one to three letters of each line, cut where the pen is lifted within its words."""
    rng, found = np.random.default_rng([seed, 18]), []
    for line in tqdm([line for line in lines if line.text == " ".join(line.text.split())]):
        with suppress(ValueError):  # the reader refuses what looks like two lines
            groups = joined_parts(parts_of(reader, line))
            groups = [groups[i] for i in rng.permutation(len(groups))[:each]]
            found += [group.alone() for group in itertools.compress(groups, believed(reader, groups))]
    return found


def joined_parts(parts: list[Part], most: int = 3) -> list[Part]:
    """Parts that stand side by side in a word, together at most so many letters long."""
    found = []
    for i, joined in enumerate(parts):
        if len(joined.text) <= most:
            found.append(joined)
        for part in parts[i + 1 :]:
            if part.first or len(joined.text + part.text) > most:
                break
            xy, ends = np.concatenate([joined.xy, part.xy]), np.concatenate([joined.ends, part.ends])
            joined = joined._replace(xy=xy, ends=ends, text=joined.text + part.text)
            found.append(joined)
    return found


def odd_text(rng: np.random.Generator, vocabulary=None) -> str:
    """A short text of a kind that lines of the corpus lack; its words are of the vocabulary, or of embedded_text."""
    words = embedded_text(rng).split() if vocabulary is None else [str(w) for w in rng.choice(vocabulary, 3)]
    word = words[rng.integers(len(words))]
    letters = string.ascii_letters
    few = "".join(rng.choice(list(letters if rng.random() < 0.6 else letters + string.digits), rng.integers(1, 4)))
    digits = "".join(rng.choice(list(string.digits), rng.integers(1, 9)))
    kinds = [
        few,
        word,
        word.capitalize(),
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
        "." * int(rng.integers(2, 12)),
        str(rng.choice(list(letters))) * int(rng.integers(2, 12)),
    ]
    return str(kinds[rng.integers(len(kinds))])


def mixed_line(rng: np.random.Generator, vocabulary) -> str:
    """Words in chance order, to some 28 signs: each letter begins them alike often, three in ten are capitalised."""
    initials: dict[str, list[str]] = {}
    for word in vocabulary:
        initials.setdefault(word[0], []).append(word)
    signs, words = sorted(initials), []
    while sum(map(len, words)) + len(words) < 24:
        some = initials[signs[rng.integers(len(signs))]]
        word = some[rng.integers(len(some))]
        words.append(word.capitalize() if rng.random() < 0.3 else word)
    return " ".join(words)


def missed_points(line: Strokes, read: Reading) -> Tensor:
    """The points of letters that are read otherwise: from the right one before to the right one behind; bool, (T,)."""
    asked, seen = same_sign(line.text), same_sign(read.text)
    where, since, wrong = torch.zeros(len(line), dtype=torch.bool), 0, False
    for i, j in laid_beside(asked, seen):
        if i < 0 or j < 0 or asked[i] != seen[j]:
            wrong = True
            continue
        if wrong:
            where[since : read.place[j] + 1] = True
        since, wrong = read.place[j], False
    if wrong:
        where[since:] = True
    return where


@torch.no_grad()
def log_probs(model, lines: list[Strokes]) -> list[Tensor]:
    """The log probability of each point of each line but its first, as the pen's nats count it."""
    offsets, lengths = pad(lines)
    x = model.normalise(offsets)
    raw = model(x[:-1], encode_texts([line.text for line in lines])).raw
    log_prob = StrokeMixture(raw, floor=model.floors(ROUNDING)).log_prob(x[1:])
    return [log_prob[: n - 1, k].clone() for k, n in enumerate(lengths.tolist())]


def judged(model, reader, drafts) -> list[bool | None]:
    """Of each draft whether the reader is sure that it says its text; None where it says something else."""
    verdicts = [Verdict(faults(draft, judged_by(model)), proof_of(reader, draft.strokes)) for draft in drafts]
    return [None if v.ink.errors and d.ended else v.sure for d, v in zip(drafts, verdicts, strict=True)]


def drafts_of(texts: list[str], seed: int, folder, name: str) -> None:
    """Write texts by the weights that ship, at a bias from 0 to 0.9, until the reader is sure of one or ATTEMPTS fail.

    Those drafts are kept in a file all the while, and those that say something else in another.
    """
    model, reader = softattn.load("synthesis"), softattn.load("reading")
    waiting, kept, missed = [(k, 0) for k in range(len(texts))], [], []
    while waiting:
        now, waiting = waiting[:BATCH], waiting[BATCH:]
        bias, seeds = [0.1 * ((k + a) % 10) for k, a in now], [seed + k + 1_000_003 * a for k, a in now]
        drafts = sample_lines(model, [texts[k] for k, _ in now], seeds, bias)
        with evaluating(reader):
            sure = judged(model, reader, drafts)
        wrong = [d.strokes for d, ok in zip(drafts, sure, strict=True) if ok is None and not only_dots(d.strokes.text)]
        costs = log_probs(model, wrong) if wrong else []
        for line, read, cost in zip(wrong, in_batches(reader, wrong), costs, strict=True):
            if read:
                missed.append(Miss(line, missed_points(line, read), cost))
        kept += [Strokes(d.strokes.offsets, d.strokes.text, "draft") for d, ok in zip(drafts, sure, strict=True) if ok]
        waiting += [(k, a + 1) for (k, a), ok in zip(now, sure, strict=True) if not ok and a + 1 < ATTEMPTS]
        store(folder / f"{name}.pt", kept)
        store_misses(folder / f"{name}-missed.pt", missed)
        print(f"{len(kept)} kept, {len(missed)} missed, {len(waiting)} to go", flush=True)


def store(path, lines: list[Strokes]) -> None:
    """Keep lines as one file."""
    with atomic_write(path) as beside:
        torch.save([(line.offsets, line.text) for line in lines], beside)


def store_misses(path, missed: list[Miss]) -> None:
    """Keep misses as one file."""
    with atomic_write(path) as beside:
        torch.save([(m.line.offsets, m.line.text, m.where, m.log_prob) for m in missed], beside)


def found(folder, name: str):
    """What a file in the folder of the state holds; an error that names the command which writes it."""
    path = folder / f"{name}.pt"
    if not path.exists():
        command = {"pieces": "--cut", "letters": "--letters", "drafts": "--draft", "whole": "--whole"}[
            name.removesuffix("-missed")
        ]
        raise SystemExit(f"{path} is not there: python -m recipes.pieces {command} writes it")
    return torch.load(path, weights_only=True)


def stored(folder, name: str) -> list[Strokes]:
    """What was left in the folder of the state: `pieces`, `letters`, `drafts` or `whole`."""
    return [Strokes(offsets, text, name) for offsets, text in found(folder, name)]


def stored_misses(folder) -> list[Miss]:
    """The drafts in the folder of the state, short ones and whole lines, that say something else than their text.

    Those alone of whose text there is a good draft, too: who only goes away from what he can is left with nothing.
    """
    right = {text for name in ("drafts", "whole") for _, text in found(folder, name)}
    rows = found(folder, "drafts-missed") + found(folder, "whole-missed")
    return [Miss(Strokes(offsets, text, "miss"), *told) for offsets, text, *told in rows if text in right]


def main():
    parser = options(__doc__, "synthesis")
    parser.add_argument("--cut", action="store_true", help="cut words out of the lines of IAM-OnDB")
    parser.add_argument("--letters", action="store_true", help="cut one to three letters out of --count lines")
    parser.add_argument("--draft", action="store_true", help="write odd short texts, and keep those that read well")
    parser.add_argument("--whole", action="store_true", help="the same with whole lines, of the corpus' texts")
    parser.add_argument("--count", type=int, default=8000, help="texts to write; lines to cut")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cut:
        reader, lines = softattn.load("reading"), corpus_lines()
        pieces = pieces_of(lines, reader.eval(), 2, args.seed)
        print(f"{len(pieces)} pieces of {len(lines)} lines, {sum(map(len, pieces))} points")
        store(args.state / "pieces.pt", pieces)
    if args.letters:
        reader, lines = softattn.load("reading"), corpus_lines()
        some = [lines[i] for i in np.random.default_rng([args.seed, 19]).permutation(len(lines))[: args.count]]
        with evaluating(reader):
            pieces = letters_of(some, reader, 3, args.seed)
        print(f"{len(pieces)} groups of letters of {len(some)} lines")
        store(args.state / "letters.pt", pieces)
    if args.draft:
        words = sorted({word for line in corpus_lines() for word in plain_text(line.text).split()})
        texts = [odd_text(np.random.default_rng([args.seed, 12, k]), words) for k in range(args.count)]
        drafts_of(texts, 1_000_000 * args.seed, args.state, "drafts")
    if args.whole:
        lines = corpus_lines()
        order = np.random.default_rng([args.seed, 15]).permutation(len(lines))[: args.count]
        texts = [plain_text(lines[i].text) for i in order]
        words = sorted({word for text in texts for word in text.split()})
        for k in range(1, len(texts), 2):
            texts[k] = mixed_line(np.random.default_rng([args.seed, 17, k]), words)
        drafts_of(texts, 2_000_000 * args.seed, args.state, "whole")


if __name__ == "__main__":
    main()
