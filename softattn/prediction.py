# Generated from book/prediction.md by tools/export.py. Edit the chapter, not this file.
"""Prediction: one step at a time.

Predict the next step, and the whole sequence has a probability.

The chapter book/prediction.md builds this module and explains each line.
"""

import copy

import torch
from torch import Tensor, nn

from softattn.hub import real, shaped, whole
from softattn.lstm import PeepholeLSTM
from softattn.text import ALPHABET, decode, encode
from softattn.training import in_mode

__all__ = ["PredictionNetwork", "generate", "sample", "sequence_nll"]


# -- A sequence is as likely as its steps --
State = list[tuple[Tensor, Tensor]]


def _check_codes(name: str, codes: Tensor, size: int, least: int = 0) -> None:
    """Raise unless `codes` are int64 from `least` to `size` - 1.

    Their values are looked at on the CPU only, where looking is free.
    """
    if not isinstance(codes, Tensor) or codes.dtype != torch.int64:
        what = getattr(codes, "dtype", type(codes).__name__)
        raise TypeError(f"{name}: codes are {what}, expected a tensor of int64")
    if codes.device.type == "cpu" and codes.numel():
        low, high = (int(edge) for edge in codes.aminmax())
        if low < least or high >= size:
            raise ValueError(f"{name}: codes from {low} to {high}, expected {least} to {size - 1}")


# -- A sequence is as likely as its steps --
def sequence_nll(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of whole sequences under softmax outputs.

    Args:
        logits: the network's outputs y, shape (T, B, O).
        targets: the codes that came, x_2 .. x_{T+1}, (T, B), int64.
        mask: (T, B), bool: True where a step counts. Others may hold any code.

    Returns:
        One loss per sequence in nats, (B,). Divide by T log 2 for bits a step.

    Raises: TypeError, ValueError for other shapes, or no step.
    Source: Graves (2013), eq. 5-6; slides 9-10.
    """
    name = "sequence_nll"
    shaped(name, "logits", logits, "T", "B", "O")
    shaped(name, "targets", targets, *logits.shape[:2], dtype=torch.int64)
    if logits.numel() == 0:
        raise ValueError(f"{name}: logits {tuple(logits.shape)} hold no step")
    if mask is not None:
        shaped(name, "mask", mask, *targets.shape, dtype=torch.bool)
        targets = torch.where(mask, targets, 0)
    _check_codes(name, targets, logits.shape[2])
    p = torch.log_softmax(logits, dim=-1)
    nats = -p.gather(-1, targets[..., None]).squeeze(-1)  # (T, B)
    return (nats if mask is None else torch.where(mask, nats, 0)).sum(dim=0)


# -- A deep network with skip connections --
class PredictionNetwork(nn.Module):
    """Deep LSTM with skip connections that predicts a sequence's next step.

    Args:
        input_size: I, numbers per input step.
        hidden_size: H, cells per layer.
        num_layers: how many LSTM layers stand on each other.
        output_size: O, numbers per output step: the raw parameters of a
            predictive distribution.
        peephole: whether the gates see the cells.
        dropout: probability of losing a hidden value on its way up, in
            training only; never on its way through time.

    Raises:
        TypeError, ValueError: if a size is no whole number of at least 1, or
            the dropout is no probability below 1.

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
        name = "PredictionNetwork"
        self.input_size = I = whole(name, "input_size", input_size, 1)
        H = whole(name, "hidden_size", hidden_size, 1)
        N = whole(name, "num_layers", num_layers, 1, 1000)
        O = whole(name, "output_size", output_size, 1)
        self.dropout = real(name, "dropout", dropout, 0, 1 - 2**-53)
        self.layers = nn.ModuleList(PeepholeLSTM(I + H * (n > 0), H, peephole) for n in range(N))
        self.output = nn.Linear(N * H, O)

    def hidden(
        self,
        x: Tensor,
        state: State | None = None,
        reset: Tensor | None = None,
    ) -> tuple[list[Tensor], State]:
        """Run the layers without the output: as `forward`, but for y.

        Args: x, state, reset: as in `forward`.
        Raises: ValueError for a state of another network.
        Returns:
            h of every layer, each (T, B, H), lowest first, and the state.
        """
        name, N = "PredictionNetwork", len(self.layers)
        shaped(name, "x", x, "T", "B", self.input_size)
        before = [None] * N if state is None else state
        if not isinstance(before, (list, tuple)) or len(before) != N:
            raise ValueError(f"{name}: state is no list of {N} pairs (h, c)")
        outputs, states, below = [], [], x
        for n, layer in enumerate(self.layers):
            h, last = layer(below, before[n], reset=reset)
            h = nn.functional.dropout(h, self.dropout, self.training)
            outputs.append(h)
            states.append(last)
            below = torch.cat([x, h], dim=-1)  # the input again
        return outputs, states

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Predict at every step what comes next.

        Args:
            x: inputs, shape (T, B, I).
            state: (h, c) of each layer before the first step, each (B, H);
                None is all zeros.
            reset: (T, B), bool: True where a new sequence begins.

        Returns:
            Outputs y, (T, B, O), and the state after the last step.

        Raises:
            TypeError, ValueError: if a type or shape does not fit.
        """
        outputs, states = self.hidden(x, state, reset)
        return self.output(torch.cat(outputs, dim=-1)), states


# -- A picture known in advance --
NULL = -1


def shift(codes: Tensor) -> Tensor:
    """Delay a sequence by one step: what may be seen to predict `codes`.

    Args: codes: x_2 .. x_{T+1}, shape (T, ...), int64.
    Returns: x_1 .. x_T: the null input first, then all codes but the last.
    Raises: ValueError for a single number.
    Source: Graves (2013), section 2: "x_1 is always a null vector"; slide 9.
    """
    _check_codes("shift", codes, 2**62, NULL)
    if codes.dim() == 0:
        raise ValueError("shift: codes is one number, expected (T, ...)")
    return torch.cat([torch.full_like(codes[:1], NULL), codes[:-1]])


def one_hot(codes: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Write each code as a row with a single 1; the null input as zeros.

    Args: codes: (T, B), int64; size: how many codes; dtype: of the rows.
    Returns: rows, shape (T, B, size).
    """
    size = whole("one_hot", "size", size, 1)
    _check_codes("one_hot", codes, size, NULL)
    letters = torch.arange(size, device=codes.device)
    return (codes[..., None] == letters).to(dtype)


# -- A picture known in advance --
def _rows(model: PredictionNetwork, codes: Tensor) -> Tensor:
    """Codes (T, B) as one-hot rows in the model's number format."""
    return one_hot(codes, model.input_size, model.output.weight.dtype)


def text_loss(model: PredictionNetwork, codes: Tensor) -> Tensor:
    """Mean nats per character of texts (T, B), each from the null state."""
    logits, _ = model(_rows(model, shift(codes)))
    return sequence_nll(logits, codes).mean() / len(codes)


# -- A picture known in advance --
def text_surprise(model: PredictionNetwork, codes: Tensor) -> Tensor:
    """Nats that each character of a text costs a frozen network.

    Args:
        model: a network over one-hot characters.
        codes: shape (T,), int64.

    Returns:
        -log P(x_{t+1} | x_1 .. x_t), (T,); the first is predicted from NULL.

    Raises: ValueError for a text without characters.
    Source: Graves (2013), eq. 5-6, term by term; slide 10.
    """
    shaped("text_surprise", "codes", codes, "T", dtype=torch.int64)
    _check_codes("text_surprise", codes, model.input_size)
    if len(codes) == 0:
        raise ValueError("text_surprise: the text has no characters")
    with torch.no_grad(), in_mode(model, False):
        logits, _ = model(_rows(model, shift(codes)[:, None]))
        return nn.functional.cross_entropy(logits[:, 0], codes, reduction="none")


# -- And goes on learning while it is tested --
def dynamic_surprise(model, codes, segment=25, rate=0.1) -> Tensor:
    """Nats per character, (T,), of a copy that learns as it reads codes (T,).

    Source: Graves (2013), sections 3.1 and 3.2; Krause et al. (2018).
    """
    shaped("dynamic_surprise", "codes", codes, "T", dtype=torch.int64)
    segment = whole("dynamic_surprise", "segment", segment, 1)
    if len(codes) == 0:
        raise ValueError("dynamic_surprise: the text has no characters")
    learner = copy.deepcopy(model).eval()
    optimizer = torch.optim.SGD(learner.parameters(), lr=rate)
    state, costs = None, []
    pieces = zip(shift(codes).split(segment), codes.split(segment), strict=True)
    for seen, coming in pieces:
        logits, state = learner(_rows(learner, seen[:, None]), state)
        nats = nn.functional.cross_entropy(logits[:, 0], coming, reduction="none")
        costs.append(nats.detach())  # first the price, before learning
        optimizer.zero_grad()
        nats.mean().backward()  # then the lesson
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        state = [(h.detach(), c.detach()) for h, c in state]
    return torch.cat(costs)


# -- A low loss is not good writing --
def sample(
    logits: Tensor,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one code from each row of outputs.

    Args:
        logits: shape (..., O); no row is NaN or infinite throughout.
        temperature: divides the logits; 0 takes the likeliest.
        generator: source of the draws; its device draws.

    Returns: codes, shape (...), int64, where the logits are.
    Raises: ValueError where a row is NaN or infinite.
    Source: Graves (2013), section 2; slide 9.
    """
    shaped("sample", "logits", logits, "...", "O")
    temperature = real("sample", "temperature", temperature, 0)
    logits = logits.double()
    highest = logits.amax(-1, keepdim=True)  # NaN if one is
    if not highest.isfinite().all():
        raise ValueError("sample: a row of logits is NaN, or infinite")
    where = logits.device if generator is None else generator.device
    shares = torch.softmax((logits - highest) / (temperature or 1.0), -1)
    stairs = shares.to(where).cumsum(dim=-1)  # from 0 to 1
    u = torch.empty_like(stairs[..., :1]).uniform_(generator=generator)
    codes = torch.searchsorted(stairs, u * stairs[..., -1:], right=True)
    codes = codes.clamp(max=logits.shape[-1] - 1)[..., 0].to(logits.device)
    return codes if temperature > 0 else logits.argmax(-1)


# -- A low loss is not good writing --
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
        temperature, generator: see `sample`.
        alphabet: the characters; the place of each is its code.

    Returns: what was written, `length` characters, without the prompt.
    """
    length = whole("generate", "length", length, 1, 10**9)
    codes = encode(prompt, alphabet) if prompt != "" else torch.tensor([])
    where, written, state = model.output.weight.device, [], None
    seen = torch.cat([torch.tensor([NULL]), codes.long()])[:, None].to(where)
    with torch.no_grad(), in_mode(model, False):
        for _ in range(length):
            logits, state = model(_rows(model, seen), state)
            seen = sample(logits[-1:], temperature, generator)  # (1, 1)
            written.append(seen.item())
    return decode(torch.tensor(written), alphabet)
