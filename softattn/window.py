# Generated from book/window.md by tools/export.py. Edit the chapter, not this file.
"""The soft window.

A soft window slides over the text, and the network sees what it is about to write.

The chapter book/window.md builds this module and explains each line.
"""

import math
from collections.abc import Iterable
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from softattn.fused_window import LIMIT, texts_by_step, window_sequence
from softattn.hub import real, sizes
from softattn.lstm import LSTMCell
from softattn.training import use_fused

__all__ = ["SoftWindow", "WindowLSTM", "WindowOutput", "WindowState"]


# -- Who moves the window? --
def _check_sizes(owner: str, pace: float, **counts: int) -> None:
    """Raise unless sizes are whole numbers from 1 on, and pace is > 0."""
    sizes(owner, **counts)
    if not real(owner, "pace", pace) > 0:
        words = "expected characters per step, above 0"
        raise ValueError(f"{owner}: pace is {pace!r}, {words}")


def _held(raw: Tensor) -> Tensor:
    """Hold raw outputs below LIMIT, so that no exp is beyond all bounds.
    The gradient passes: an output that ran away is still called back."""
    return raw.clamp(max=LIMIT).detach() + (raw - raw.detach())  # + 0


# -- Who moves the window? --
class SoftWindow(nn.Module):
    """A soft window over a text: K bells whose places only move forward.

    Args:
        hidden_size: H, size of the hidden vector that steers the window.
        components: K, bells that are added up.
        pace: characters per step, before anything has been learned.

    Raises:
        TypeError, ValueError: if a size is no whole number of at least 1,
            or the pace is not above 0.

    Source: Graves (2013), eq. 46-51; slides 16-17.
    """

    def __init__(self, hidden_size: int, components: int, pace: float = 1 / 21.7):
        super().__init__()
        H, K = self.hidden_size, self.components = hidden_size, components
        _check_sizes("SoftWindow", pace, hidden_size=H, components=K)
        weight = torch.empty(H, 3, K).uniform_(-1 / H**0.5, 1 / H**0.5)
        weight[:, 2] *= 0.1  # at first all texts are read at one pace
        start = -math.log(K), math.log(0.3), math.log(pace)
        bias = torch.tensor(start)[:, None].repeat(1, K)
        if K > 1:
            bias[2] += 0.3 * torch.linspace(-1, 1, K)  # bells part
        self.weight = nn.Parameter(weight.flatten(1))  # (H, 3K)
        self.bias = nn.Parameter(bias.flatten())  # (3K,)

    def params(self, h: Tensor, kappa: Tensor) -> tuple[Tensor, ...]:
        """Read off what the hidden vector asks for.

        Args:
            h: hidden vector, (B, H).
            kappa: places before this step, in characters, (B, K).

        Returns:
            alpha (importance), beta (inverse squared width: the standard
            deviation is 1/sqrt(2 beta) characters), new kappa: each (B, K).
        """
        raw = h.to(self.weight.dtype) @ self.weight + self.bias  # eq. 48
        raw = _held(raw.to(kappa.dtype))
        alpha, beta, step = torch.exp(raw).chunk(3, dim=-1)  # eq. 49, 50
        return alpha, beta, kappa + step  # eq. 51

    def phi(self, alpha: Tensor, beta: Tensor, kappa: Tensor, u: Tensor) -> Tensor:
        """Weigh places; the weights need not add up to 1.

        Args:
            alpha, beta, kappa: as `params` returns them, (B, K).
            u: any places, counted from 1, (U,) or for each row (B, U).

        Returns:
            Shape (B, U).
        """
        d = kappa[..., None] - u[..., None, :]  # (B, K, U)
        bells = alpha[..., None] * torch.exp(-beta[..., None] * d**2)
        return bells.sum(-2)  # eq. 46

    def forward(
        self, h: Tensor, kappa: Tensor, chars: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Move the window one step and look through it.

        Args:
            h: hidden vector, (B, H).
            kappa: places before this step, (B, K); zeros before a text.
            chars: the text, one vector per character, (B, U, A).
            mask: where False, there is no character; bool, (B, U).

        Returns:
            w (B, A), what is seen; phi (B, U); kappa (B, K).

        Raises:
            ValueError: if a shape or a type does not fit.
        """
        kappa, chars = _check_look(self, h, kappa, chars, mask)
        alpha, beta, kappa = self.params(h, kappa)
        u = torch.arange(1, chars.shape[1] + 1, device=h.device).to(kappa)
        phi = self.phi(alpha, beta, kappa, u)
        phi = phi if mask is None else phi.masked_fill(~mask, 0)
        return (phi[:, None] @ chars)[:, 0], phi, kappa  # eq. 47


# -- Who moves the window? --
def _check(owner: str, name: str, value, dtype=None, **shape) -> Tensor:
    """Raise ValueError unless `value` is a tensor of this shape (None: of any
    size from 1 on) and dtype (None: of any real numbers)."""
    if not isinstance(value, Tensor):
        got = f"a {type(value).__name__}"
    else:
        got = f"{value.dtype} of shape {tuple(value.shape)}"
        sizes = zip(value.shape, shape.values(), strict=False)
        fits = len(value.shape) == len(shape) and not value.is_complex()
        if dtype in (None, value.dtype) and fits and 0 not in value.shape:
            if all(n in (None, size) for size, n in sizes):
                return value
    sizes = (k if n is None else f"{k} = {n}" for k, n in shape.items())
    wanted = f"{dtype or 'real numbers'} of shape ({', '.join(sizes)})"
    raise ValueError(f"{owner}: {name} is {got}, expected {wanted}, none 0")


def _check_look(window: SoftWindow, h, kappa, chars, mask):
    """Check what a SoftWindow was given; returns kappa, in float32 at least,
    and chars in its format, 0 where there is no character."""
    B = len(_check("SoftWindow", "h", h, B=None, H=window.hidden_size))
    _check("SoftWindow", "kappa", kappa, B=B, K=window.components)
    U = _check("SoftWindow", "chars", chars, B=B, U=None, A=None).shape[1]
    if mask is not None:
        _check("SoftWindow", "mask", mask, torch.bool, B=B, U=U)
        chars = chars.masked_fill(~mask[..., None], 0)  # 0 * NaN is NaN
    kappa = kappa.to(torch.promote_types(kappa.dtype, torch.float32))
    return kappa, chars.to(kappa.dtype)


# -- Inside the recurrence --
class WindowState(NamedTuple):
    """What a WindowLSTM remembers between two steps.

    Args:
        h, c: hidden vector and memory cells, (B, H).
        kappa: places of the window, (B, K).
        w: the characters as the window saw them last, (B, A).
    """

    h: Tensor
    c: Tensor
    kappa: Tensor
    w: Tensor


class WindowOutput(NamedTuple):
    """What a WindowLSTM did, step by step.

    Args:
        h: hidden vectors, (T, B, H).
        w: the characters as the window saw them, (T, B, A).
        phi: weights, (T, B, U), 0 where there is no character.
        kappa: the window's places, (T, B, K).
        state: a WindowState, after the last step.
    """

    h: Tensor
    w: Tensor
    phi: Tensor
    kappa: Tensor
    state: WindowState


# -- Inside the recurrence --
class WindowLSTM(LSTMCell):
    """A peephole LSTM that looks at a text through a soft window.

    Under autocast only products are of its format: kappa stays float32.

    Args:
        input_size: I, numbers per input step.
        hidden_size: H, number of memory cells.
        alphabet: A, numbers per character.
        components: K, bells of the window.
        peephole: whether the gates see the cell.
        forget_bias: where the forget gate's bias starts.
        pace: characters per step, before anything has been learned.

    Raises:
        TypeError, ValueError: if a size is no whole number of at least 1,
            or the pace is not above 0.

    Source: Graves (2013), section 5.1, eq. 46-52; slide 16.
    """

    def __init__(
        self, input_size: int, hidden_size: int, alphabet: int,
        components: int, peephole: bool = True, forget_bias: float = 1.0,
        pace: float = 1 / 21.7,
    ):  # fmt: skip
        _check_sizes("WindowLSTM", pace, alphabet=alphabet)
        super().__init__(input_size, hidden_size, peephole, forget_bias)
        self.alphabet, bound = alphabet, 1 / hidden_size**0.5
        weight = torch.empty(alphabet, 4 * hidden_size)
        self.weight_w = nn.Parameter(weight.uniform_(-bound, bound))
        self.window = SoftWindow(hidden_size, components, pace)

    def start(self, batch: int) -> WindowState:
        """Zeros: the state before the first points of `batch` (B) texts."""
        H, K, A = self.hidden_size, self.window.components, self.alphabet
        zeros = self.bias.new_zeros
        return WindowState(*(zeros(batch, n) for n in (H, H, K, A)))

    def forward(
        self, x: Tensor, chars: Tensor, mask: Tensor | None = None,
        state: WindowState | None = None, reset: Tensor | None = None,
        rows: Tensor | None = None, fused: bool | None = None,
    ) -> WindowOutput:  # fmt: skip
        """Read a batch of sequences, each with its text beside it.

        Args:
            x: inputs, time first, (T, B, I).
            chars: N texts, one vector per character, (N, U, A); N = B
                unless `rows` is given.
            mask: where False, there is no character; bool, (N, U).
            state: what the last call returned; None starts the texts.
            reset: where True, a new sequence begins, and the state before
                that step is zero; bool, (T, B).
            rows: the text that a row reads at a step, int64, (T, B).
            fused: None decides, False takes the plain way, True insists
                on the fused one.

        Returns:
            h, w, phi, kappa of every step, and the state after the last.

        Raises:
            ValueError: if a shape or a type does not fit.
        """
        x, chars, now = _ready(self, x, chars, mask, state, reset, rows)
        if use_fused(fused, self, WindowLSTM, x, chars, window=SoftWindow):
            lstm = self.weight_x, self.weight_h, self.weight_w, self.bias
            more = self.peephole, self.window.weight, self.window.bias
            given = x, chars, now, (*lstm, *more), mask, reset, rows
            h, w, phi, kappa, last = window_sequence(*given)  # the same
            return WindowOutput(h, w, phi, kappa, WindowState(*last))
        texts, masks = (texts_by_step(a, rows, len(x)) for a in (chars, mask))
        kept = []
        for t, x_t in enumerate(x.unbind()):  # T steps
            if reset is not None:
                new = reset[t, :, None]
                now = WindowState(*(a.masked_fill(new, 0) for a in now))
            h, c, kappa, w = now
            z = x_t @ self.weight_x + h @ self.weight_h + w @ self.weight_w
            h, c = self.gates(z + self.bias, c)  # eq. 52
            w, phi, kappa = self.window(h, kappa, texts[t], masks[t])
            now = WindowState(h, c, kappa, w.to(h.dtype))
            kept.append((h, now.w, phi, kappa))
        h, w, phi, kappa = map(torch.stack, zip(*kept, strict=True))
        return WindowOutput(h, w, phi, kappa, now)


# -- Inside the recurrence --
def _ready(lstm: WindowLSTM, x, chars, mask, state, reset, rows):
    """Check what a WindowLSTM was given; returns x, chars and the state in
    its number formats: kappa and c are float32 at least."""
    name, format = type(lstm).__name__, lstm.bias.dtype
    T, B, _ = _check(name, "x", x, T=None, B=None, I=lstm.input_size).shape
    N = B if rows is None else None
    N, U, _ = _check(name, "chars", chars, N=N, U=None, A=lstm.alphabet).shape
    if mask is not None:
        _check(name, "mask", mask, torch.bool, N=N, U=U)
    if reset is not None:
        _check(name, "reset", reset, torch.bool, T=T, B=B)
    if rows is not None:
        _check(name, "rows", rows, torch.int64, T=T, B=B)
        seen = rows.device.type == "cpu" and not torch.compiler.is_compiling()
        if seen and not 0 <= rows.min() <= rows.max() < N:
            words = f"{int(rows.min())} to {int(rows.max())}, expected texts"
            raise ValueError(f"{name}: rows holds {words} 0 to {N - 1}")
    start = lstm.start(B)
    state = start if state is None else state
    if not isinstance(state, tuple | list) or len(state) != 4:
        words = "expected four, (h, c, kappa, w); None starts from zeros"
        raise ValueError(f"{name}: state is {type(state).__name__}, {words}")
    fields = WindowState._fields, state, start
    for letter, given, zero in zip(*fields, strict=True):
        size = zero.shape[1]
        _check(name, f"state {letter}", given, B=B, **{letter: size})
    exact = torch.promote_types(format, torch.float32)
    formats = zip(state, (format, exact, exact, format), strict=True)
    state = WindowState(*(a.to(f) for a, f in formats))
    return x.to(format), chars.to(format), state


# -- A staircase known in advance --
def symbol_copies(
    batch: int, generator: torch.Generator, symbols: int = 6,
    length: int = 6, longest: int = 6,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Draw texts, and copy each symbol n times, n from 1 to `longest`.

    Returns:
        text (B, U), the codes of U = `length` symbols; beat (T, B, 1), 1
        where the next is due; target (T, B), the code to say; place (T, B),
        where in the text it stands, from 0. T is U times the mean n; what is
        longer is cut, and in what is shorter the last symbol goes on.
    """
    if min(batch, symbols, length, longest) < 1:
        sizes = f"{batch}, {symbols}, {length}, {longest}"
        raise ValueError(f"symbol_copies: sizes {sizes}, expected 1 or more")
    size, there = (batch, length), generator.device
    draw = lambda low, high: torch.randint(low, high, size, generator=generator, device=there)
    text, copies = draw(0, symbols), draw(1, longest + 1)  # (B, U)
    T, ends = length * (1 + longest) // 2, copies.cumsum(1)
    steps = torch.arange(T, device=there)[:, None, None]
    place = (steps >= ends).sum(2).clamp(max=length - 1)  # (T, B)
    beat = torch.zeros_like(place)
    beat[1:] = place[1:] - place[:-1]
    target = text.gather(1, place.t()).t()
    return text, beat[..., None].float(), target, place


# -- A pen whose letters are known --
BLIND = 1e-12  # weights that add up to less see nothing


def delayed(truth: Tensor) -> Tensor:
    """Points (T, B) written after a later character's: dots and bars."""
    return (truth >= 0) & (truth < truth.cummax(0).values)


def _pairs(owner: str, phi, truth, which, lag):
    """phi, truth of points `lag` later, and which count."""
    T, B, U = _check(owner, "phi", phi, T=None, B=None, U=None).shape
    _check(owner, "truth", truth, torch.int64, T=T, B=B)
    count = truth >= 0
    if which is not None:
        count = count & _check(owner, "which", which, torch.bool, T=T, B=B)
    whole = isinstance(lag, Integral) and not isinstance(lag, bool)
    if not whole or abs(int(lag)) >= T:
        words = f"expected a whole number of points, below T = {T}"
        raise ValueError(f"{owner}: lag is {lag!r}, {words}")
    if truth.max() >= U:
        words = f"phi has U = {U}, counted from 0"
        raise ValueError(f"{owner}: truth names {truth.max()}, {words}")
    if not (phi.isfinite() & (phi >= 0)).all():
        raise ValueError(f"{owner}: phi holds NaN, inf or a number below 0")
    phi = phi.to(torch.promote_types(phi.dtype, torch.float32))
    lag = int(lag)
    first, last = max(0, -lag), T - max(0, lag)
    later = slice(first + lag, last + lag)
    return phi[first:last], truth[later], count[later]


# -- A pen whose letters are known --
def window_place(phi: Tensor) -> Tensor:
    """Where the window looks on average, in characters counted from 1.

    Args:
        phi: the window's weights, shape (..., U).

    Returns:
        sum(phi u) / sum(phi), shape (...); NaN where it sees nothing.

    Raises:
        ValueError: if phi is no such tensor.
    """
    sizes = phi.shape[-1:] if isinstance(phi, Tensor) else ()
    if not sizes or sizes[0] < 1 or phi.is_complex():
        got = tuple(phi.shape) if sizes else type(phi).__name__
        raise ValueError(f"window_place: phi is {got}, expected (..., U)")
    phi = phi.to(torch.promote_types(phi.dtype, torch.float32))
    u = torch.arange(1, sizes[0] + 1, dtype=phi.dtype, device=phi.device)
    total = phi.sum(-1)
    return torch.where(total > BLIND, phi @ u / total, torch.nan)


# -- A pen whose letters are known --
def alignment_curve(
    phi: Tensor, truth: Tensor, which: Tensor | None = None,
    lags: Iterable[int] = range(-10, 11),
) -> Tensor:  # fmt: skip
    """Share of points at whose character phi is largest, for each lag.

    Args:
        phi: the window's weights, step by step, (T, B, U).
        truth: which character each point belongs to, from 0; negative where
            there is no point; int64, (T, B).
        which: points that count, bool, (T, B); None counts all there are.
        lags: at lag l, phi of step t is compared with the character of point
            t + l. A summit at l > 0: the window leads the pen.

    Returns:
        One share per lag; NaN where no point counts. Seeing nothing is wrong.

    Raises:
        ValueError: if an argument does not fit, or a lag is beyond T.
    """
    name, shares = "alignment_curve", []
    many = isinstance(lags, Iterable) and getattr(lags, "ndim", 1) > 0
    for lag in lags if many else [lags]:
        seen, letter, count = _pairs(name, phi, truth, which, lag)
        right = (seen.argmax(-1) == letter) & (seen.sum(-1) > BLIND)
        shares.append(right[count].float().mean().item())
    return torch.tensor(shares)


# -- A pen whose letters are known --
def alignment_share(phi: Tensor, truth: Tensor, which: Tensor | None = None, lag: int = 0) -> float:
    """Share of points from whose character the window's place is at most one
    character away.

    Args:
        phi, truth, which: as in alignment_curve.
        lag: phi of step t is compared with the character of point t + lag.

    Returns:
        From 0 to 1, NaN where no point counts. Seeing nothing is wrong.

    Raises:
        ValueError: if an argument does not fit, or the lag is beyond T.
    """
    seen, letter, count = _pairs("alignment_share", phi, truth, which, lag)
    near = (window_place(seen) - (letter + 1)).abs() <= 1
    return near[count].float().mean().item()
