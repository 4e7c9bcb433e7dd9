# Generated from book/fast_writer.md by tools/export.py. Edit the chapter, not this file.
"""The fast writer.

Many lines at once, and each as if it were alone.

The chapter book/fast_writer.md builds this module and explains each line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from softattn.fused_window import FAR, LIMIT

__all__ = ["WriterWeights", "write_rows"]


# -- What is slow --
class WriterWeights(NamedTuple):
    """The weights of a synthesizer, as the fast writer multiplies by them.

    Args:
        layers: for each of L layers a matrix (4H, read), a bias (4H,) and
            peepholes (3, H). Layer 1 reads h1, x, w; layer 2 h1, x, w, h2;
            layer n above x, w, h2, ..., hn.
        window: matrix (3K, H) and bias (3K,) of the window.
        output: matrix (6M + 1, all) and bias; all is h1, x, w, h2, ..., hL.
        vocab_size: A, codes of characters.
    """

    layers: Sequence[tuple[Tensor, Tensor, Tensor]]
    window: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    vocab_size: int


# -- A row does not know its neighbours --
HALF_LOSS = 2**-25  # what half precision may lose of a weight
WIDTHS = 1, 2, 4, 8, 12, 16, 24, 36, 48, 64  # rows that are tried


class Product:
    """x -> x @ weight.T + bias; weights of half the size where that is free.

    Args:
        weight: (out, in).
        bias: (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight.contiguous(), bias
        self.packed = None
        if weight.dtype == torch.float32 and weight.device.type == "cpu":
            lost = (weight.half().float() - weight).abs().amax()
            if lost <= HALF_LOSS:
                try:
                    pack = torch.ops.quantized.linear_prepack_fp16
                    self.packed = pack(self.weight, bias)
                except (AttributeError, NotImplementedError, RuntimeError):
                    self.packed = None  # another processor, another PyTorch

        w = self.weight
        self.room = w.new_zeros(WIDTHS[-1], w.shape[1])
        self.kind = w.shape, w.dtype, w.device, self.packed is None

    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous()  # how rows lie in memory may matter, too
        if self.packed is None:
            return F.linear(x, self.weight, self.bias)
        return torch.ops.quantized.linear_dynamic_fp16(x, self.packed)


# -- A row does not know its neighbours --
_STEADY: dict[tuple, list[int]] = {}  # what was found out, by kind


def agree(product: Product, base: int) -> set[int]:
    """Find how many rows come out, bit for bit, as each among its copies."""
    weight, seven = product.weight, torch.arange(WIDTHS[-1]) % 7
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, weight.shape[1], generator=generator).to(weight)
    alone = torch.cat([product(row.expand(base, -1))[:1] for row in x])
    x, alone = x[seven], alone[seven]  # each row in many places
    return {n for n in WIDTHS if torch.equal(product(x[:n]), alone[:n])}


def steady_widths(products: Sequence[Product]) -> list[int]:
    """Find how many rows may be multiplied at once by all of the products."""
    threads = torch.get_num_threads()
    kind = threads, *(product.kind for product in products)
    if kind not in _STEADY:
        best: set[int] = {1}  # each line alone, if nothing agrees
        for base in WIDTHS:
            found = set.intersection(*(agree(p, base) for p in products))
            best = max(best, found, key=len) if base in found else best
            if found >= {n for n in WIDTHS if n >= base}:
                break  # a wider base cannot find more
        _STEADY[kind] = sorted(best)
    return _STEADY[kind]


# -- One step --
VECTOR = 32  # places are filled up to a multiple: no vector is cut
GRAIN = 32_768  # PyTorch divides larger operations among threads


@dataclass
class Rows:
    """What a batch of lines remembers between two steps.

    Args:
        row: h1, x, w, h2, ..., hL, side by side, (B, all).
        cells: c of each layer, and one number more, (B, L H + 1).
        kappa: places of the window, (B, K).
        codes: of the texts; A where there is no character, (B, U).
    """

    row: Tensor
    cells: Tensor
    kappa: Tensor
    codes: Tensor

    def __post_init__(self) -> None:
        places = torch.arange(self.codes.shape[1], device=self.row.device)
        self.u = (places + 1).to(self.row)

    def take(self, rows: Tensor) -> "Rows":
        """These rows alone, in this order."""
        parts = self.row, self.cells, self.kappa, self.codes
        return Rows(*(part[rows] for part in parts))

    def forget(self, rows: Tensor) -> None:
        """Put these rows back to the beginning; bool, (B,)."""
        for part in (self.row, self.cells, self.kappa):
            part[rows] = 0


# -- One step --
class StepNetwork:
    """The synthesizer, one step at a time, without gradients.

    Args:
        weights: as `WriterWeights` has them.
    """

    def __init__(self, weights: WriterWeights) -> None:
        H, A = len(weights.layers[0][1]) // 4, weights.vocab_size
        self.H, self.A, self.K = H, A, len(weights.window[1]) // 3
        self.layers = [(Product(w, b), p) for w, b, p in weights.layers]
        self.window = Product(*weights.window)
        self.output = Product(*weights.output)
        products = [self.window, self.output, *(p for p, _ in self.layers)]
        self.widths = steady_widths(products)
        above = H + 3 + A
        self.size = above + (len(self.layers) - 1) * H
        ends = range(above + H, self.size + 1, H)
        self.h = [slice(0, H), *(slice(end - H, end) for end in ends)]
        self.pen, self.seen = slice(H, H + 3), slice(H + 3, above)

    def start(self, codes: Tensor) -> Rows:
        """Rows at their beginning, for codes (B, U)."""
        zeros = self.output.weight.new_zeros
        B, cells = len(codes), len(self.layers) * self.H + 1
        row, kappa = zeros(B, self.size), zeros(B, self.K)
        return Rows(row, zeros(B, cells), kappa, codes)

    def narrow(self, places: int) -> list[int]:
        """Widths at which no operation is divided among threads."""
        if torch.get_num_threads() == 1:
            return self.widths
        most = GRAIN // max(2 * self.H, self.K * places)
        return [n for n in self.widths if n <= most] or self.widths[:1]

    def multiply(self, product: Product, x: Tensor) -> Tensor:
        """The product of B rows among ghosts: whoever stood there before."""
        B = len(x)
        width = next((n for n in self.widths if n >= B), B)
        room = product.room[:width]
        room[:B] = x
        return product(room)[:B]

    def cell(self, n: int, rows: Rows) -> None:
        """Layer n reads its stretch of the row, and puts its new h there."""
        product, peephole = self.layers[n]
        end = self.h[n].stop if n else self.seen.stop
        read = rows.row[:, slice(0 if n < 2 else self.H, end)]
        z = self.multiply(product, read).view(-1, 4, self.H)
        c = rows.cells[:, n * self.H : (n + 1) * self.H]
        z[:, :2].addcmul_(c[:, None], peephole[:2]).sigmoid_()
        i, f, g, o = z.unbind(1)
        c.mul_(f).addcmul_(i, g.tanh_())
        o.addcmul_(c, peephole[2]).sigmoid_()
        torch.mul(o, torch.tanh(c), out=rows.row[:, self.h[n]])

    def look(self, rows: Rows) -> Tensor:
        """Move the window as h1 asks, and see; phi (B, U)."""
        raw = self.multiply(self.window, rows.row[:, self.h[0]])
        raw = raw.clamp_(max=LIMIT).view(-1, 3, self.K)
        alpha, beta, pace = raw.unbind(1)
        rows.kappa += pace.exp_()
        far = (rows.kappa[..., None] - rows.u).square_()  # (B, K, U)
        bells = beta.exp_()[..., None] * far
        bells = bells.neg_().add_(alpha[..., None]).clamp_(min=-FAR).exp_()
        phi = bells.sum(1)
        seen = phi.new_zeros(len(phi), self.A + 1)
        seen.scatter_add_(1, rows.codes, phi)  # phi @ chars
        rows.row[:, self.seen] = seen[:, :-1]
        return phi

    def step(self, x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """Read points (B, 3); raw outputs (B, 6M + 1) and phi (B, U)."""
        rows.row[:, self.pen] = x
        self.cell(0, rows)
        phi = self.look(rows)
        for n in range(1, len(self.layers)):
            self.cell(n, rows)
        return self.multiply(self.output, rows.row), phi


# -- One step --
RAW_LIMIT = {torch.float64: 100.0}  # as in the mixture; else 14


def draw_points(raw: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
    """Draw points (B, 3), as StrokeMixture.sample does.

    Args:
        raw: outputs (B, 6M + 1), which are overwritten.
        bias: Graves' b, (B, 1).
        noise: two uniform and two normal numbers, (B, 4).
    """
    M, limit = raw.shape[1] // 6, RAW_LIMIT.get(raw.dtype, 14.0)
    share = torch.softmax(raw[:, 1 : M + 1] * (1 + bias), 1)  # eq. 62
    ladder = share.cumsum(1)
    chosen = (ladder / ladder[:, -1:] <= noise[:, :1]).sum(1)
    raw[:, 3 * M + 1 :].clamp_(-limit, limit)
    raw[:, 3 * M + 1 : 5 * M + 1].sub_(bias).exp_()  # eq. 61
    raw[:, 5 * M + 1 :].tanh_()
    five = raw[:, M + 1 :].view(-1, 5, M)
    five = five.gather(2, chosen[:, None, None].expand(-1, 5, 1))[..., 0]
    mu, sigma, rho = five[:, :2], five[:, 2:4], five[:, 4]
    one, other = noise[:, 2], noise[:, 3]
    turned = rho * one + torch.sqrt(1 - rho * rho) * other
    x = raw.new_empty(len(raw), 3)
    x[:, :2] = mu + sigma * torch.stack([one, turned], 1)
    x[:, 2] = noise[:, 1] < raw[:, 0].neg_().sigmoid_()
    return x


# -- One step --
MOST_SHARP = 1.0  # as far as Graves' b reaches the mixture's weights
MOST_NARROW = 3.0  # as far as it reaches the Gaussians


def soften(raw: Tensor, bias: Tensor) -> Tensor:
    """Hold back what a bias above MOST_SHARP does to the weights.

    Args:
        raw: outputs (B, 6M + 1), which are overwritten.
        bias: Graves' b, (B, 1).
    """
    M = raw.shape[1] // 6
    raw[:, 1 : M + 1] *= (1 + bias.clamp(max=MOST_SHARP)) / (1 + bias)
    return raw


# -- A batch --
def read_primes(network: StepNetwork, rows: Rows, primes: Sequence[Tensor]) -> Tensor:
    """Read points into each row, all ending together.

    Args:
        network, rows: the rows are overwritten.
        primes: one (n, 3) for each row, normalised.

    Returns:
        The last point of each, (B, 3), not yet read.
    """
    last = max(map(len, primes)) - 1
    begins = torch.tensor([last + 1 - len(p) for p in primes])
    x = torch.stack([F.pad(p, (0, 0, last + 1 - len(p), 0)) for p in primes])
    begins = begins.to(x.device)
    for t in range(last):
        rows.forget(begins == t)
        network.step(x[:, t], rows)
    rows.forget(begins == last)
    return x[:, last]


# -- A batch --
NOTHING = 1e-3  # a window that weighs less in all sees nothing any more
GRACE = 8  # points in which the pen may still lift after the sign
NEVER = 2**40


def signs(phi: Tensor, lifts: Tensor, lengths: Tensor, over: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find where lines may end, in a stretch of their points.

    Args:
        phi: the window's weights, (B, points, U).
        lifts: whether the pen came lifted to each look, bool, (B, points).
        lengths: characters of each text, (B,).
        over: at which look the sign was seen, NEVER if not yet, (B,).
        start: number of the first look; look 0 is before any ink.

    Returns:
        Whether each point ends its line, and whether it is GRACE points
        behind the sign, both (B, points); and the sign's place, (B,).
    """
    place = lengths[:, None, None].expand(-1, phi.shape[1], 1)
    behind = phi.gather(2, place)[..., 0]
    heard = phi.cumsum(2).gather(2, place)[..., 0]
    t = torch.arange(start, start + phi.shape[1], device=phi.device)
    sign = (2 * behind > heard) & (t > 0)
    over = torch.minimum(over, t.where(sign, NEVER).amin(1))
    seen = t >= over[:, None]
    ends = seen & (lifts | (heard < NOTHING))
    return ends, t - over[:, None] == GRACE, over


# -- A batch --
BLOCK = 8  # points drawn between two looks at which lines have ended
Line = tuple[Tensor, Tensor, bool]  # points, phi, whether a rule ended it


@dataclass
class Pages:
    """What is written, line by line.

    Args:
        points: normalised, first where the pen stood, (B, steps + 1, 3).
        phi: after each point, (B, steps, U).
        took: points that each line took, (B,); at first, how many it may.
        ended: whether a rule ended it rather than its limit, bool, (B,).
        over: where the sign of the end was seen, NEVER if not yet, (B,).
    """

    points: Tensor
    phi: Tensor
    took: Tensor
    ended: Tensor
    over: Tensor

    def note(self, start: int, live: Tensor, lengths: Tensor) -> Tensor:
        """Find which of the lines ended among the last points.

        Args:
            start: the first of these points.
            live: the lines that were being written, (n,).
            lengths: characters of each text, (B,).

        Returns:
            Whether each of them has, bool, (n,).
        """
        block = slice(start, start + BLOCK)
        lifts = self.points[live, block, 2] > 0
        phi, over = self.phi[live, block], self.over[live]
        ends, late, over = signs(phi, lifts, lengths[live], over, start)
        self.over[live] = over
        t = torch.arange(start, start + BLOCK, device=live.device)
        done = ends | late | (self.took[live, None] == t)
        stop, first = done.any(1), done.byte().argmax(1)
        at, rows = start + first[stop], (stop, first[stop])
        back = late[rows] & ~ends[rows]  # no lift came: where the sign was
        self.took[live[stop]] = at.where(~back, over[stop])
        self.ended[live[stop]] = ends[rows] | back
        return stop

    def lines(self, places: Tensor) -> list[Line]:
        """Each line by itself, with so many places of its text."""
        lines = []
        for b, n in enumerate(self.took.tolist()):
            phi = self.phi[b, : n + 1, : places[b]]
            lines.append((self.points[b, : n + 1], phi, bool(self.ended[b])))
        return lines


# -- A batch --
def write_block(network: StepNetwork, rows: Rows, x: Tensor, noise: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a few points in every row.

    Args:
        network, rows: the rows are overwritten.
        x: the points that were drawn last, (B, 3).
        noise: (B, points, 4).
        bias: (B, 1).

    Returns:
        The points (B, points, 3), and phi before each, (B, points, U).
    """
    pen, looks = [x], []
    for numbers in noise.unbind(1):
        raw, phi = network.step(pen[-1], rows)
        pen.append(draw_points(soften(raw, bias), bias, numbers))
        looks.append(phi)
    return torch.stack(pen[1:], 1), torch.stack(looks, 1)


# -- A batch --
def write_bundle(
    network: StepNetwork,
    codes: Tensor,
    primes: Sequence[Tensor],
    noise: Tensor,
    bias: Tensor,
    limits: Tensor,
) -> Pages:
    """Write lines side by side; arguments as in `write_rows`."""
    B, steps = noise.shape[:2]
    lengths = (codes < network.A).sum(1)
    live, rows = torch.arange(B, device=codes.device), network.start(codes)
    x = read_primes(network, rows, primes)
    points = x.new_zeros(B, steps + 1, 3)
    points[:, 0], phis = x, x.new_zeros(B, steps, codes.shape[1])
    off = torch.zeros_like(limits, dtype=torch.bool)
    never = torch.full_like(limits, NEVER)
    pages = Pages(points, phis, limits.clone(), off, never)
    for start in range(0, steps, BLOCK):
        block = slice(start, start + BLOCK)
        numbers = noise[live, block]
        pen, phi = write_block(network, rows, x, numbers, bias[live])
        points[live, start + 1 : start + BLOCK + 1] = pen
        phis[live, block], x = phi, pen[:, -1]
        stop = pages.note(start, live, lengths)
        if stop.all():
            break
        if stop.any():
            live, rows, x = live[~stop], rows.take(~stop), x[~stop]
    return pages


# -- A batch --
_LAST: list[tuple] = []  # kind, weights, network; one at most


def packed_network(weights: WriterWeights) -> StepNetwork:
    """The network for these weights, packed anew only if they changed."""
    layers = [part for layer in weights.layers for part in layer]
    parts = [*layers, *weights.window, *weights.output]
    kinds = [(p.shape, p.dtype, p.device) for p in parts]
    kind = torch.get_num_threads(), weights.vocab_size, kinds
    for known, kept, network in _LAST:
        if known == kind and all(map(torch.equal, kept, parts)):
            return network
    network = StepNetwork(weights)
    _LAST[:] = [(kind, [part.clone() for part in parts], network)]
    return network


# -- A batch --
def pad_places(codes: Tensor, A: int) -> Tensor:
    """Fill up places, one behind the text at least, to a multiple; A there."""
    more = VECTOR - codes.shape[1] % VECTOR
    codes = F.pad(codes, (0, more), value=-1)
    return codes.masked_fill(codes < 0, A)


# -- A batch --
@torch.inference_mode()
def write_rows(
    weights: WriterWeights,
    codes: Tensor,
    primes: Sequence[Tensor],
    noise: Tensor,
    bias: Tensor,
    limits: Tensor,
) -> list[Line]:
    """Write lines side by side, none of which knows of the others.

    Args:
        weights: of the network.
        codes: of N texts, -1 behind the shorter ones, int64, (N, U).
        primes: for each line normalised points to go on from, (n, 3), the
            last of them not yet read.
        noise: two uniform, two normal numbers a point, (N, steps, 4).
        bias: Graves' b of each line, (N,).
        limits: points that each may take, below steps, int64, (N,).

    Returns:
        For each line the points (n + 1, 3), the first where the pen stood,
        phi (n + 1, characters + 1), and whether a rule ended it.
    """
    ends, lines = (codes >= 0).sum(1) + 1, []
    network = packed_network(weights)
    codes = pad_places(codes, network.A)
    noise = F.pad(noise, (0, 0, 0, BLOCK - noise.shape[1] % BLOCK))
    most = network.narrow(codes.shape[1])[-1]
    for part in (slice(n, n + most) for n in range(0, len(codes), most)):
        each = codes[part], primes[part], noise[part], bias[part, None]
        pages = write_bundle(network, *each, limits[part])
        lines += pages.lines(ends[part])
    return lines


# -- A batch --
def pen_noise(seed: int, steps: int) -> Tensor:
    """Two uniform and two normal numbers for each step, (steps, 4), float64.

    The same seed gives the same numbers, and more steps prolong them.
    """
    generator = torch.Generator().manual_seed(seed)
    n = torch.rand(steps, 4, generator=generator, dtype=torch.float64)
    radius = torch.sqrt(-2 * torch.log1p(-n[:, 2]))
    angle = 2 * math.pi * n[:, 3]
    one, other = radius * torch.cos(angle), radius * torch.sin(angle)
    return torch.stack([n[:, 0], n[:, 1], one, other], 1)
