"""Texts that English lines lack, and the embedded writer's lines of them: for the pen's recipes and the reader's."""

import string

from softattn.pen import PRINTABLE, EmbeddedWriter, embedded_text

CLASSES = (string.ascii_uppercase, string.digits, string.punctuation, PRINTABLE.strip(), string.ascii_letters)


def rare_text(rng):
    """Words of characters that English seldom uses, among a few of English."""
    words = []
    while sum(map(len, words)) + len(words) < 26:
        kind = CLASSES[rng.integers(len(CLASSES))]
        words.append("".join(rng.choice(list(kind), rng.integers(1, 7))))
    rng.shuffle(words)
    return " ".join(words)[: int(rng.integers(8, 32))].strip() or "Q"


def with_run(rng, text, short):
    """The text with a run of one sign in it, in two cases of five of dots; short: at most one word beside it."""
    common = rng.random() < 0.5
    sign = PRINTABLE[rng.integers(len(PRINTABLE) - 1)] if common else rng.choice(list(".esol-1iE"))
    sign = "." if rng.random() < 0.4 else str(sign)
    run = sign * int(rng.integers(2, 16 if rng.random() < 0.4 else 6))
    words = text.split()
    if short:
        words = words[:1] * (rng.random() < 0.5)
    place = int(rng.integers(len(words) + 1))
    text = " ".join([*words[:place], run, *words[place:]])
    return text.replace(" " + run, run) if rng.random() < 0.3 else text


def address(rng):
    """An address of electronic mail."""
    words = [word for word in embedded_text(rng).lower().split() if word.isalpha()]
    name, place = (str(word) for word in rng.choice(words or ["post"], 2))
    name += str(rng.choice(["", "", ".x", "_1", "42"]))
    return f"{name}@{place}.{rng.choice(['com', 'org', 'net', 'de', 'fr'])}"


def embedded_line(rng, short):
    """A text of the embedded writer: one or two words; or a line, among others of rare signs and of runs."""
    text = embedded_text(rng)
    if short:
        words = text.split()
        begin = int(rng.integers(len(words)))
        text = " ".join(words[begin : begin + 1 + int(rng.integers(2))])
    kind = rng.random()
    if kind < (0.1 if short else 0.3):
        text = rare_text(rng)[: 8 if short else 32].strip() or "Q"
    elif kind < (0.35 if short else 0.45):
        text = with_run(rng, text, short)
    elif short and kind < 0.5:
        text = address(rng)
    # four hands in ten put dots and bars on when the word is done
    hand = {"late": float(rng.uniform(0.6, 1.0))} if rng.random() < 0.4 else {}
    return EmbeddedWriter(rng, **hand).write(text)
