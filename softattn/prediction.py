# Generated from book/prediction.md by tools/export.py. Edit the chapter, not this file.
"""Prediction.

Predict the next step, and the whole sequence has a probability.

The chapter book/prediction.md builds this module and explains each line.
"""

import copy
import hashlib
import importlib
import json
import string
import unicodedata
from collections import defaultdict
from importlib import resources

import torch
from torch import Tensor, nn

from softattn.lstm import PeepholeLSTM

__all__ = [
    "ALPHABET",
    "ContextCounts",
    "NULL",
    "PLAIN",
    "PredictionNetwork",
    "State",
    "book_corpus",
    "decode",
    "dynamic_surprise",
    "encode",
    "generate",
    "library_prose",
    "one_hot",
    "plain_text",
    "sample",
    "sequence_nll",
    "shift",
    "text_loss",
    "text_surprise",
    "text_windows",
]


# -- A sequence is as likely as its steps --
def sequence_nll(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of whole sequences under softmax outputs.

    Args:
        logits: the network's outputs y, shape (T, B, O); a softmax over O makes them probabilities.
        targets: the codes that came, x_2 .. x_{T+1}, shape (T, B), int64, from 0 to O - 1.
        mask: optional, shape (T, B), bool: True where a step counts. Masked steps may hold any code, NULL too.

    Returns:
        One loss per sequence in nats, shape (B,). Divide by T log 2 for bits per step.

    Raises:
        ValueError: if the shapes do not fit or there is no step.

    Source: Graves (2013), eq. 5-6; slides 9-10.
    """
    if logits.dim() != 3 or targets.shape != logits.shape[:2]:
        raise ValueError(
            f"sequence_nll: logits {tuple(logits.shape)} and targets {tuple(targets.shape)} do not fit; "
            "expected (T, B, O) and (T, B)"
        )
    if mask is not None and mask.shape != targets.shape:
        raise ValueError(
            f"sequence_nll: mask {tuple(mask.shape)} and targets {tuple(targets.shape)} differ; expected (T, B) both"
        )
    if 0 in logits.shape:
        raise ValueError(f"sequence_nll: logits {tuple(logits.shape)} hold no step; a sequence has at least one")
    if mask is not None:
        targets = torch.where(mask, targets, 0)
    nats = -torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None]).squeeze(-1)  # (T, B)
    return (nats if mask is None else torch.where(mask, nats, 0)).sum(dim=0)  # (B,)


# -- A deep network with skip connections --
State = list[tuple[Tensor, Tensor]]


class PredictionNetwork(nn.Module):
    """Deep LSTM with skip connections that predicts the next step of a sequence.

    Args:
        input_size: I, numbers per input step.
        hidden_size: H, cells per layer.
        num_layers: how many LSTM layers stand on each other.
        output_size: O, numbers per output step: the raw parameters of a predictive distribution.
        peephole: whether the gates see the cells.
        dropout: probability of losing a hidden value on its way up, in training only; never on its way through time.

    Raises:
        ValueError: if a size is below 1 or the dropout is no probability.

    Source: Graves (2013), section 2, eq. 1-4 and figure 1; slides 9-10.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        output_size: int,
        peephole: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = dict(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, output_size=output_size)
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"PredictionNetwork: {name} = {size}; give a whole number of at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"PredictionNetwork: dropout = {dropout}; give a probability from 0 to below 1")
        self.input_size, self.dropout = input_size, dropout
        self.layers = nn.ModuleList(
            PeepholeLSTM(input_size + (hidden_size if n > 0 else 0), hidden_size, peephole) for n in range(num_layers)
        )
        self.output = nn.Linear(num_layers * hidden_size, output_size)

    def hidden(self, x: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[list[Tensor], State]:
        """Run the layers without the output.

        Args:
            x: inputs, shape (T, B, I).
            state: (h, c) of every layer before the first step, each (B, H); None is all zeros.
            reset: optional, shape (T, B), bool: True where a new sequence begins, so that the state before
                that step is zero.

        Returns:
            h of every layer, each (T, B, H), lowest first, and the state after the last step.

        Raises:
            ValueError: if a shape does not fit or there is no step.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ValueError(
                f"PredictionNetwork: x has shape {tuple(x.shape)}; expected (T, B, {self.input_size}), time first"
            )
        if 0 in x.shape:
            raise ValueError(f"PredictionNetwork: x {tuple(x.shape)} is an empty sequence; give at least one step")
        if state is not None and len(state) != len(self.layers):
            raise ValueError(
                f"PredictionNetwork: state has {len(state)} entries; expected one (h, c) per layer, "
                f"that is {len(self.layers)}"
            )
        if reset is not None and reset.shape != x.shape[:2]:
            raise ValueError(
                f"PredictionNetwork: reset has shape {tuple(reset.shape)}; expected (T, B) of x, {tuple(x.shape[:2])}"
            )
        outputs, states = [], []
        for n, layer in enumerate(self.layers):
            below = x if n == 0 else torch.cat([x, outputs[-1]], dim=-1)  # the input again, beside the layer below
            h, last = layer(below, None if state is None else state[n], reset=reset)
            outputs.append(nn.functional.dropout(h, self.dropout, self.training))
            states.append(last)
        return outputs, states

    def forward(self, x: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Predict at every step what comes next.

        Args:
            x: inputs, shape (T, B, I).
            state: (h, c) of every layer before the first step, each (B, H); None is all zeros.
            reset: optional, shape (T, B), bool: True where a new sequence begins.

        Returns:
            Outputs y, shape (T, B, O), and the state after the last step, to go on from.
        """
        outputs, states = self.hidden(x, state, reset)
        return self.output(torch.cat(outputs, dim=-1)), states


# -- A picture known in advance --
NULL = -1


def shift(codes: Tensor) -> Tensor:
    """Delay a sequence by one step: what the network may see when it predicts `codes`.

    Args:
        codes: x_2 .. x_{T+1}, shape (T, ...), int64.

    Returns:
        x_1 .. x_T, the same shape: the null input first, then all codes but the last.

    Source: Graves (2013), section 2: "x_1 is always a null vector"; slide 9.
    """
    return torch.cat([torch.full_like(codes[:1], NULL), codes[:-1]])


def one_hot(codes: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Write each code as a row with a single 1; the null input as a row of zeros.

    Args:
        codes: shape (T, B), int64, from NULL = -1 to size - 1.
        size: how many codes there are.
        dtype: of the rows.

    Returns:
        Rows, shape (T, B, size).
    """
    return (codes[..., None] == torch.arange(size, device=codes.device)).to(dtype)


# -- A picture known in advance --
def text_loss(model: PredictionNetwork, codes: Tensor) -> Tensor:
    """Mean nats per character of a batch of texts, each read from the null state.

    Args:
        model: a network over one-hot characters.
        codes: shape (T, B), int64.

    Returns:
        A scalar.
    """
    x = one_hot(shift(codes), model.input_size, next(model.parameters()).dtype)  # (T, B, I)
    return sequence_nll(model(x)[0], codes).mean() / len(codes)


# -- A picture known in advance --
def text_surprise(model: PredictionNetwork, codes: Tensor) -> Tensor:
    """Nats that each character of a text costs a frozen network, teacher-forced.

    Args:
        model: a network over one-hot characters.
        codes: shape (T,), int64.

    Returns:
        -log P(x_{t+1} | x_1 .. x_t), shape (T,); the first character is predicted from the null input.

    Raises:
        ValueError: if the text has no characters.

    Source: Graves (2013), eq. 5-6, term by term; slide 10.
    """
    if len(codes) == 0:
        raise ValueError("text_surprise: the text has no characters; give at least one")
    was_training = model.training
    model.eval()
    with torch.no_grad():
        x = one_hot(shift(codes)[:, None], model.input_size, next(model.parameters()).dtype)
        nats = nn.functional.cross_entropy(model(x)[0][:, 0], codes, reduction="none")
    model.train(was_training)
    return nats


# -- Text as numbers --
ALPHABET = "\n " + string.digits + string.ascii_letters + string.punctuation  # 96 characters


def encode(text: str, alphabet: str = ALPHABET) -> Tensor:
    """Turn a text into the numbers of its characters.

    Args:
        text: at least one character, all of them in `alphabet`.
        alphabet: the characters that have a number, in order.

    Returns:
        Codes, shape (T,), int64, from 0 to len(alphabet) - 1.

    Raises:
        ValueError: if the text is empty, or holds characters that have no number (they are named).
    """
    if not text:
        raise ValueError("encode: the text has no characters; give at least one")
    number = {character: code for code, character in enumerate(alphabet)}
    if unknown := sorted(set(text) - set(number)):
        first = next(place for place, character in enumerate(text) if character not in number)
        raise ValueError(
            f"encode: not among the {len(alphabet)} characters of the alphabet: {', '.join(map(ascii, unknown))} "
            f"(first at position {first}); replace them, or pass an alphabet that holds them"
        )
    return torch.tensor([number[character] for character in text])


def decode(codes: Tensor, alphabet: str = ALPHABET) -> str:
    """Turn numbers back into text: the inverse of `encode`.

    Args:
        codes: shape (T,), int64.
        alphabet: the one that `encode` had.

    Returns:
        The text, T characters.

    Raises:
        ValueError: if a code has no character.
    """
    numbers = codes.tolist()
    if wrong := [code for code in numbers if not 0 <= code < len(alphabet)]:
        raise ValueError(f"decode: code {wrong[0]} has no character; codes go from 0 to {len(alphabet) - 1}")
    return "".join(alphabet[code] for code in numbers)


# -- Text as numbers --
PLAIN = {
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "--", "…": "...", "°": " degrees", "ß": "ss"},
    **{"→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≈": "~", "±": "+-", "−": "-", "×": "x", "·": ".", "\t": "    "},
}


def plain_text(text: str) -> str:
    """Write typographic characters in plain ones: curly quotes straight, dashes as hyphens, accents left off.

    Args:
        text: any text.

    Returns:
        The text, possibly of another length. Characters that have no plain spelling stay: `encode` will name them.
    """
    text = "".join(PLAIN.get(character, character) for character in text)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def library_prose() -> str:
    """The prose that Python brings along: what `help()` knows about the language, topic after topic.

    Returns:
        About 460 thousand characters, in the plain alphabet. Which exactly depends on the version of Python.
    """
    topics = importlib.import_module("pydoc_data.topics").topics
    return plain_text("\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n")


# -- The corpus: this book --
def book_corpus() -> tuple[str, str]:
    """The book's own text as it stood when `make corpus` last froze it.

    Returns:
        The training part and the held-out part: whole sections of the book, chosen by the rule in book.json.

    Raises:
        ValueError: if the text is not the one that its card describes.
    """
    folder = resources.files("softattn") / "data"
    data, card = (folder / "book.txt").read_bytes(), json.loads((folder / "book.json").read_text("utf-8"))
    if (found := hashlib.sha256(data).hexdigest()) != card["sha256"]:
        raise ValueError(
            f"book_corpus: softattn/data/book.txt has sha256 {found[:12]}, its card says {card['sha256'][:12]}; "
            "the text was edited or damaged: install the package again, or freeze it anew with `make corpus`"
        )
    text = data.decode("utf-8")
    return text[: card["train_characters"]], text[card["train_characters"] :]


# -- Baselines that are not ours --
class ContextCounts:
    """Predict a character from how often it followed the same last few characters before (Witten-Bell smoothing).

    Args:
        order: the longest context, in characters; 0 looks at none.
        alphabet: the characters that can come.

    Raises:
        ValueError: if the order is negative.

    Source: Witten and Bell (1991), method C, interpolated.
    """

    def __init__(self, order: int, alphabet: str = ALPHABET) -> None:
        if order < 0:
            raise ValueError(f"ContextCounts: order = {order}; give 0 or more")
        self.order, self.alphabet = order, alphabet
        self.counts = [defaultdict(dict) for _ in range(order + 1)]  # [k][context of k][character] -> count
        self.totals = [defaultdict(int) for _ in range(order + 1)]  # [k][context of k] -> sum of its counts

    def learn(self, text: str, start: int = 0) -> None:
        """Count the characters text[start:], each after the contexts that stand before it."""
        for k, (counts, totals) in enumerate(zip(self.counts, self.totals, strict=True)):
            for t in range(max(start, k), len(text)):
                context = text[t - k : t]
                followers = counts[context]
                followers[text[t]] = followers.get(text[t], 0) + 1
                totals[context] += 1

    def probabilities(self, context: str, character: str) -> list[float]:
        """P(character | the last k characters of `context`) for k = 0 .. order."""
        p, out = 1 / len(self.alphabet), []
        for k in range(self.order + 1):
            suffix = context[len(context) - k :]
            if k <= len(context) and (total := self.totals[k].get(suffix, 0)):
                followers = self.counts[k][suffix]
                p = (followers.get(character, 0) + len(followers) * p) / (total + len(followers))
            out.append(p)
        return out

    def surprise(self, text: str, past: str = "", adapt: bool = False) -> Tensor:
        """Nats that each character of a text costs, for every order at once.

        Args:
            text: what is read.
            past: what stands before it: context only.
            adapt: learn each character after it was predicted, as a compressor does.

        Returns:
            -log P, shape (T, order + 1), float64.

        Raises:
            ValueError: if the text has no characters.
        """
        if not text:
            raise ValueError("ContextCounts.surprise: the text has no characters; give at least one")
        joined, start, rows = past[-self.order :] * (self.order > 0) + text, min(len(past), self.order), []
        for t in range(start, len(joined)):
            rows.append(self.probabilities(joined[max(0, t - self.order) : t], joined[t]))
            if adapt:
                self.learn(joined[max(0, t - self.order) : t + 1], start=min(t, self.order))
        return -torch.tensor(rows, dtype=torch.float64).log()


# -- The network reads the book --
def text_windows(codes: Tensor, length: int, batch: int, generator: torch.Generator) -> Tensor:
    """Cut random windows out of a long text.

    Args:
        codes: the text, shape (N,), int64, on any device.
        length: T, characters per window.
        batch: B, windows.
        generator: source of the draws, on its own device.

    Returns:
        Codes, shape (T, B), on the device of `codes`.

    Raises:
        ValueError: if the text is shorter than a window.
    """
    if len(codes) < length:
        raise ValueError(f"text_windows: the text has {len(codes)} characters, a window {length}; take shorter windows")
    starts = torch.randint(len(codes) - length + 1, (batch,), generator=generator, device=generator.device)
    return codes[torch.arange(length, device=codes.device)[:, None] + starts.to(codes.device)]


# -- And goes on learning while it is tested --
def dynamic_surprise(model: PredictionNetwork, codes: Tensor, segment: int = 25, rate: float = 0.1) -> Tensor:
    """Nats that each character costs a network which learns from the text as it reads (dynamic evaluation).

    Every segment is first predicted and its cost recorded; only then does one step of gradient descent learn from it.
    The model given stays as it is: a copy learns.

    Args:
        model: a network over one-hot characters.
        codes: shape (T,), int64.
        segment: characters between two steps of learning.
        rate: learning rate of the steps; the gradient is first shortened to a norm of at most 1.

    Returns:
        -log P(x_{t+1} | x_1 .. x_t), shape (T,).

    Raises:
        ValueError: if the text has no characters.

    Source: Graves (2013), section 3.1 and 3.2; Krause et al. (2018).
    """
    if len(codes) == 0:
        raise ValueError("dynamic_surprise: the text has no characters; give at least one")
    learner = copy.deepcopy(model).eval()
    optimizer = torch.optim.SGD(learner.parameters(), lr=rate)
    dtype, state, costs = next(learner.parameters()).dtype, None, []
    for seen, coming in zip(shift(codes).split(segment), codes.split(segment), strict=True):
        logits, state = learner(one_hot(seen[:, None], learner.input_size, dtype), state)
        nats = nn.functional.cross_entropy(logits[:, 0], coming, reduction="none")
        costs.append(nats.detach())  # first the price, as it stood before learning
        optimizer.zero_grad()
        nats.mean().backward()  # then the lesson
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        state = [(h.detach(), c.detach()) for h, c in state]
    return torch.cat(costs)


# -- A low loss is not good writing --
def sample(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Draw one code from each row of outputs.

    Args:
        logits: shape (..., O).
        temperature: divides the logits. 1 draws from the prediction as it stands, 0 takes the likeliest.
        generator: source of the draws; its device draws, the result follows `logits`.

    Returns:
        Codes, shape (...), int64.

    Raises:
        ValueError: if the temperature is negative or not a number.

    Source: Graves (2013), section 2: a sequence is written by drawing from its own predictions; slide 9.
    """
    if not temperature >= 0:
        raise ValueError(f"sample: temperature = {temperature}; give 0 (always the likeliest) or more")
    if temperature == 0:
        return logits.argmax(dim=-1)
    device = logits.device if generator is None else generator.device
    steps = torch.softmax(logits.double().to(device) / temperature, dim=-1).cumsum(dim=-1)  # a staircase from 0 to 1
    u = torch.rand(steps.shape[:-1], dtype=steps.dtype, device=device, generator=generator)  # one number a row
    codes = torch.searchsorted(steps, u[..., None] * steps[..., -1:], right=True).squeeze(-1)  # the stair under u
    return codes.clamp(max=logits.shape[-1] - 1).to(logits.device)


def generate(
    model: PredictionNetwork,
    prompt: str,
    length: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    alphabet: str = ALPHABET,
) -> str:
    """Let a text model write: every character it draws is its next input.

    Args:
        model: a network whose outputs are logits over `alphabet`.
        prompt: the text to go on from; may be empty.
        length: how many characters to write; at least 1.
        temperature: see `sample`.
        generator: source of the draws.
        alphabet: the characters of the codes, in order.

    Returns:
        What was written, `length` characters, without the prompt.

    Raises:
        ValueError: if there is nothing to write, the prompt holds unknown characters or the temperature is negative.
    """
    if length < 1:
        raise ValueError(f"generate: length = {length}; ask for at least one character")
    parameter = next(model.parameters())
    codes = torch.tensor([NULL]) if not prompt else torch.cat([torch.tensor([NULL]), encode(prompt, alphabet)])
    seen, state, written = codes[:, None].to(parameter.device), None, []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(length):
            logits, state = model(one_hot(seen, len(alphabet), parameter.dtype), state)
            seen = sample(logits[-1:], temperature, generator)  # (1, 1)
            written.append(seen.item())
    model.train(was_training)
    return decode(torch.tensor(written), alphabet)
