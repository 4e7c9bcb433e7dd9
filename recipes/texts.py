"""Texts that English lines lack, and the embedded writer's lines of them: for the pen's recipes and the reader's."""

import string

from softattn.pen import PRINTABLE, EmbeddedWriter, embedded_text

SIMILAR = (
    "MNHW",
    "aoecsu",
    "unmrhv",
    "litf",
    "gyqjp",
    "bhkd",
    "AFERPB",
    "CGOQ",
    "UVYW",
    "ILTJ",
    "aeq@",
    "17",
    "3850",
    "49",
)
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


def misspelt(rng, text):
    """The text with a letter of most words exchanged for one of about its shape: what only the ink can tell."""
    words = []
    for word in text.split():
        change = rng.random()
        word = word.upper() if change < 0.1 else word.capitalize() if change < 0.3 else word
        for _ in range(int(rng.integers(0, 3))):
            k = int(rng.integers(len(word)))
            groups = [group for group in SIMILAR if word[k] in group]
            if groups:
                group = groups[rng.integers(len(groups))]
                word = word[:k] + group[rng.integers(len(group))] + word[k + 1 :]
        words.append(word)
    return " ".join(words)


def trap_line(rng):
    """A line of the embedded writer whose words cannot be guessed: misspelt, or with an address among them."""
    text = embedded_text(rng)
    if rng.random() < 0.25:
        words = text.split()[:3]
        words.insert(int(rng.integers(len(words) + 1)), address(rng))
        text = " ".join(words)
    else:
        text = misspelt(rng, text)
    hand = {"late": float(rng.uniform(0.6, 1.0))} if rng.random() < 0.4 else {}
    return EmbeddedWriter(rng, **hand).write(text)


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
