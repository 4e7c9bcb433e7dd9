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
    elif kind < (0.15 if short else 0.45):  # runs of one letter, rows of dots
        common = rng.random() < 0.5
        sign = PRINTABLE[rng.integers(len(PRINTABLE) - 1)] if common else rng.choice(list(".esol-1iE"))
        run = str(sign) * int(rng.integers(2, 6))
        words = text.split()
        place = int(rng.integers(len(words) + 1))
        words = [*words[:place], run, *words[place:]]
        text = " ".join(words[:2] if short else words)
        if rng.random() < 0.3:
            text = text.replace(" " + run, run)
    # four hands in ten put dots and bars on when the word is done
    hand = {"late": float(rng.uniform(0.6, 1.0))} if rng.random() < 0.4 else {}
    return EmbeddedWriter(rng, **hand).write(text)
