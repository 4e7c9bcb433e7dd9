# Generated from book/fused_draw.md by tools/export.py. Edit the chapter, not this file.
"""DRAW, fused.

All the steps of DRAW as one function, with a gradient written by hand.

The chapter book/fused_draw.md builds this module and explains each line.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from softattn.fused_lstm import Times, close_gates, no_autocast, product_dtype, sigmoid_slope, tanh_of
from softattn.hub import shaped

__all__ = ["DrawSteps", "fused_draw"]


# -- The filters, and their gradient from three sums --
def filter_rows(mu: Tensor, scale: Tensor, length: int) -> Tensor:
    """Filters at mu (..., N) over pixels 1 to length, (..., N, length).

    `scale` is -1 / (2 sigma^2). Each row is a softmax; the score of the pixel
    nearest to mu is 0, so nothing overflows; e^-30 of it is the least.
    """
    a = torch.arange(1, length + 1, dtype=mu.dtype, device=mu.device)
    nearest = mu.round().clamp(1, length)
    off = a - nearest[..., None]
    score = off * (off + (2 * (nearest - mu))[..., None])
    return torch.softmax((score * scale).clamp(min=-30), -1)


# -- The filters, and their gradient from three sums --
class Grids(NamedTuple):
    """How to lay both grids in one go; the reader's R rows come first.

    Each channel counts as a picture of its own. `a` is a pixel's place, from
    the middle of the longer side.
    """

    channels: int
    sides: tuple[int, int]  # width and height, in pixels
    sizes: tuple[int, int]  # filters along a side: reader, writer
    signs: Tensor  # (3,): of the bounded logarithms in the exponents below
    units: Tensor  # (2, 3): log 0.5, log stride, 0 for each grid
    lay: Tensor  # (10, 3 R): ten numbers to x, y and width of each row
    offset: Tensor  # (3 R,): the middle of the picture
    gather: Tensor  # (4 R, 10): the way back, from the rows' sums
    powers: Tensor  # (L, 3): 1, a and a^2 of each pixel

    def rows(self, k: int) -> slice:
        """The rows of one grid: 0 is the reader's, 1 the writer's."""
        first = self.sizes[0]
        return slice(0, first) if k == 0 else slice(first, None)

    def split(self, F: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """F_x and F_y of one grid, from all filters (..., 2, R, L)."""
        (width, height), F = self.sides, F[..., self.rows(k), :]
        return F[..., 0, :, :width], F[..., 1, :, :height]


# -- The filters, and their gradient from three sums --
def plan_grids(x: Tensor, sizes: tuple[int, int], bound: float) -> Grids:
    """Make the tables of both grids for images x (B, C, H, W)."""
    C, (height, width), count = x.shape[1], x.shape[2:], sum(sizes)
    half, length = ((width + 1) / 2, (height + 1) / 2), max(width, height)
    middle = (length + 1) / 2
    lay = torch.zeros(2, 5, 3, count)  # grid, number; x, y or width, row
    gather = torch.zeros(2, count, 2, 2, 5)  # axis, row, power; grid, number
    for k, n in enumerate(sizes):
        mine = slice(0, n) if k == 0 else slice(sizes[0], None)
        reach = torch.arange(1, n + 1) - n / 2 - 0.5  # in strides
        lay[k, 2, 2, mine] = gather[:, mine, 1, k, 2] = 1
        for axis in (0, 1):
            lay[k, axis, axis, mine] = half[axis]
            lay[k, 3, axis, mine] = reach
            gather[axis, mine, 0, k, axis] = half[axis]
            gather[axis, mine, 0, k, 3] = reach
    strides = ((length - 1) / (n - 1) for n in sizes)
    units = [[math.log(0.5), math.log(stride), 0] for stride in strides]
    a = torch.arange(1, length + 1) - middle
    return Grids(
        C,
        (width, height),
        sizes,
        signs=x.new_tensor([-bound, bound, bound]),
        units=x.new_tensor(units),
        lay=lay.view(10, -1).to(x),
        offset=x.new_tensor([place - middle for place in (*half, middle)]).repeat_interleave(count),
        gather=gather.view(-1, 10).to(x),
        powers=torch.stack([a**0, a, a * a], 1).to(x),
    )


# -- The filters, and their gradient from three sums --
def lay_filters(grids: Grids, step: "Step") -> None:
    """From a step's aim (B, 2, 5): its `numbers`, `centres` and `filters`.

    The last three of the aim become shares of the bound, by a tanh in place.
    The numbers are g~_x, g~_y, 1 / (2 sigma^2), delta and gamma.
    """
    aim, numbers, F = step.aim, step.numbers, step.filters
    shares = aim[..., 2:].tanh_()
    sizes = torch.addcmul(grids.units, shares, grids.signs).exp_()
    flat = torch.cat([aim[..., :2], sizes], 2, out=numbers).flatten(1)
    rows = torch.addmm(grids.offset, flat, grids.lay).unflatten(1, (3, -1))
    if grids.channels > 1:
        rows = rows.repeat_interleave(grids.channels, 0)
    length = F.shape[-1]
    mu = step.centres.copy_(rows[:, :2]) + (length + 1) / 2
    scale = -rows[:, 2:, :, None]
    if grids.sides[0] == grids.sides[1]:
        F.copy_(filter_rows(mu, scale, length))
        return
    for axis, side in enumerate(grids.sides):  # what lies outside stays zero
        F[:, axis, :, :side] = filter_rows(mu[:, axis], scale[:, 0], side)


# -- The filters, and their gradient from three sums --
def aim_slopes(grids: Grids, aim: Tensor, numbers: Tensor) -> Tensor:
    """What each number's sum is multiplied with, (..., 2, 5).

    1 / sigma^2 and the like, and the slope of the bound.
    """
    slope = grids.signs[2] * (1 - aim[..., 2:].square())
    half, delta = numbers[..., 2:4].split(1, -1)  # 1 / (2 sigma^2), delta
    return torch.cat(
        [
            2 * half,
            2 * half,
            half * slope[..., :1],
            2 * half * delta * slope[..., 1:2],
            slope[..., 2:],
        ],
        -1,
    )


# -- The filters, and their gradient from three sums --
def filters_backward(
    grids: Grids,
    F: Tensor,
    dF: Tensor,
    about: Tensor,
    mu: Tensor,
    dgamma: Tensor,
    slopes: Tensor,
) -> Tensor:
    """Gradients of all filters and of log gamma (B, 2) to the aims (B, 2, 5).

    `about` holds the sums of F a and F a^2 over each row, `mu` its centre.
    """
    sums = ((F * dF).flatten(0, -2) @ grids.powers).view(*mu.shape, 3)
    v = torch.addcmul(sums[..., 1:], sums[..., :1], about, value=-1)
    v[..., 1].addcmul_(v[..., 0], mu, value=-2)  # of v (a - mu)^2
    back = v.flatten(1) @ grids.gather
    back = back.view(len(dgamma), grids.channels, 2, 5).sum(1)
    back[..., 4] = dgamma
    return back * slopes


# -- What is kept, and where --
class Row:
    """Where things lie in a row of state: z, 1, h_dec, r, h_enc, 1.

    What is read together lies together; the ones are for the biases.
    """

    def __init__(self, latent: int, hidden: int, seen: int):
        h_dec, r = latent + 1, latent + 1 + hidden
        h_enc, last = r + seen, r + seen + hidden
        self.ones, self.width = [latent, last], -(-(last + 1) // 32) * 32
        self.z, self.h_dec = slice(0, latent), slice(h_dec, r)
        self.r, self.h_enc = slice(r, h_enc), slice(h_enc, last)
        self.decoder, self.head = slice(0, r), slice(latent, r)
        self.encoder = slice(latent, last)
        self.posterior = slice(h_enc, last + 1)
        self.fresh = slice(r, last)  # what no later step has written to


# -- What is kept, and where --
class Tape(NamedTuple):
    """What the steps leave for the way back: one tensor each, steps first.

    T + 1 steps where the start counts, too. In the type of the products:
    weights and state; all else is float32 at least.
    """

    x: Tensor  # (B C, H, W)
    encoder: Tensor  # (1 + hidden + R + hidden, 4 hidden)
    decoder: Tensor  # (Z + 1 + hidden, 4 hidden)
    posterior: Tensor  # (hidden + 1, 2 Z)
    head: Tensor  # (1 + hidden, 10 + C M M)
    state: Tensor  # (T + 1, B, width of a Row)
    said: Tensor  # (T + 1, B, 1 + hidden): 1, h_dec; never rounded
    c_enc: Tensor  # (T + 1, B, hidden)
    c_dec: Tensor  # (T + 1, B, hidden)
    shift: Tensor  # (T, B, Z): sigma epsilon
    out: Tensor  # (T + 1, B, 10 + C M M): aims and patch
    numbers: Tensor  # (T + 1, B, 2, 5)
    centres: Tensor  # (T + 1, B C, 2, N + M)
    filters: Tensor  # (T + 1, B C, 2, N + M, L)
    ink: Tensor  # (T, B C, H, W)
    down: Tensor  # (T, B C, 2 N, W): both pictures, read down


# -- What is kept, and where --
def new_tape(x, noise, weights, sizes, dtype) -> tuple[Tape, Row]:
    """Room for all steps; the start of `state` and `said` is still to fill."""
    (T, B, Z), (C, height, width) = noise.shape, x.shape[1:]
    (N, M), outs = sizes, weights[3].shape[1]
    hidden = weights[0].shape[1] // 4
    exact, R, L = x.dtype, 2 * C * N * N, max(height, width)
    row = Row(Z, hidden, R)

    def new(*shape):
        return x.new_empty(*shape)

    state = x.new_zeros(T + 1, B, row.width, dtype=dtype)
    state[..., row.ones] = 1
    said = state[..., row.head]
    if dtype != exact:
        said = new(T + 1, B, 1 + hidden).fill_(1)
    tape = Tape(
        x.reshape(B * C, height, width),
        *weights,
        state=state,
        said=said,
        c_enc=new(T + 1, B, hidden),
        c_dec=new(T + 1, B, hidden),
        shift=new(T, B, Z),
        out=new(T + 1, B, outs),
        numbers=new(T + 1, B, 2, 5),
        centres=new(T + 1, B * C, 2, N + M),
        filters=x.new_zeros(T + 1, B * C, 2, N + M, L),
        ink=new(T, B * C, height, width),
        down=new(T, B * C, 2 * N, width),
    )
    return tape, row


# -- What is kept, and where --
@dataclass(slots=True)
class Step:
    """One step's place on the tape, as views; the last lacks the first 5."""

    gates_enc: Tensor  # (B, 4, hidden), opened; in low precision not yet
    gates_dec: Tensor
    shift: Tensor
    ink: Tensor
    down: Tensor
    state: Tensor  # a Row
    to_encoder: Tensor  # its neighbours: 1, h_dec, r, h_enc
    to_decoder: Tensor  # z, 1, h_dec
    to_posterior: Tensor  # h_enc, 1
    z: Tensor
    h_dec: Tensor
    r: Tensor
    h_enc: Tensor
    to_head: Tensor  # 1, h_dec
    said: Tensor  # h_dec
    c_enc: Tensor
    c_dec: Tensor
    out: Tensor
    aim: Tensor  # (B, 2, 5): reader, writer
    patch: Tensor  # (B, C, M, M)
    numbers: Tensor
    look_gamma: Tensor  # (B, 1)
    paint_gamma: Tensor  # (B, 1, 1, 1)
    centres: Tensor
    filters: Tensor
    look_x: Tensor  # (B C, N, W)
    look_y: Tensor
    paint_x: Tensor  # (B C, M, W)
    paint_y: Tensor


# -- What is kept, and where --
def steps_of(tape: Tape, row: Row, grids: Grids, gates) -> list[Step]:
    """Cut the tape into its steps; `gates` are two lists of T tensors."""
    state, out, numbers, C = tape.state, tape.out, tape.numbers, grids.channels
    M = grids.sizes[1]
    tensors = [
        tape.shift,
        tape.ink,
        tape.down,
        state,
        *(
            state[..., part]
            for part in (
                row.encoder,
                row.decoder,
                row.posterior,
                row.z,
                row.h_dec,
                row.r,
                row.h_enc,
            )
        ),
        tape.said,
        tape.said[..., 1:],
        tape.c_enc,
        tape.c_dec,
        out,
        out[..., :10].unflatten(-1, (2, 5)),
        out[..., 10:].unflatten(-1, (C, M, M)),
        numbers,
        numbers[:, :, :1, 4],
        numbers[:, :, 1:, 4, None, None],
        tape.centres,
        tape.filters,
        *grids.split(tape.filters, 0),
        *grids.split(tape.filters, 1),
    ]
    views = (*gates, *(tensor.unbind(0) for tensor in tensors))
    return [Step(*each) for each in itertools.zip_longest(*views)]


# -- Forth --
class Scratch:
    """Room that every step uses again."""

    def __init__(self, tape: Tape):
        B, hidden = tape.c_enc.shape[1:]
        self.low = tape.state.dtype != tape.x.dtype
        self.gates = tape.x.new_empty(B, 4, hidden)
        self.tanh_c = tape.x.new_empty(B, hidden)
        self.dz, self.work = self.gates.clone(), self.tanh_c.clone()
        self.minus_one = -tape.x.new_ones(())
        self.both = torch.cat([tape.x, tape.x], 2)  # x, ink: (B C, H, 2 W)
        self.beside = self.both[..., tape.x.shape[2] :]  # the ink of it
        twice = self.both.new_tensor([1, 1, 2, 1])
        self.wide = twice.repeat_interleave(hidden)


def open_sigmoids(z: Tensor, scratch: Scratch) -> Tensor:
    """Open the gates z (B, 4, H), where g comes doubled, in place.

    tanh(a) = 2 sigma(2 a) - 1, so that one sigmoid opens all four. In low
    precision z stays as it is, and scratch takes the gates.
    """
    z = (scratch.gates.copy_(z) if scratch.low else z).sigmoid_()
    torch.add(scratch.minus_one, z[:, 2], alpha=2, out=z[:, 2])
    return z


# -- Forth --
def lstm_forward(inputs, weight, gates, c, c_new, h_new, scratch) -> None:
    """One step of an LSTM: fills gates, c_new and h_new."""
    weight.into(gates.flatten(1), inputs)
    i, f, g, o = open_sigmoids(gates, scratch).unbind(1)
    torch.mul(f, c, out=c_new).addcmul_(i, g)
    torch.mul(tanh_of(c_new, out=scratch.tanh_c), o, out=h_new)


# -- Forth --
def look(now: Step, c: Tensor, scratch: Scratch) -> None:
    """Read x and the ink side by side, gamma F_y [x, ink] F_x^T, into r."""
    scratch.beside.copy_(torch.sigmoid(c, out=now.ink))
    down = now.down.view(*now.look_y.shape[:2], scratch.both.shape[2])
    torch.bmm(now.look_y, scratch.both, out=down)
    r = torch.bmm(now.down, now.look_x.mT).view_as(now.r)
    torch.mul(r, now.look_gamma, out=now.r)


def guess(now: Step, new: Step, weight, q, epsilon, low: bool) -> None:
    """mu and log sigma, into q, from the encoder's state; and z."""
    if low:
        q.copy_(new.to_posterior @ weight.weight)
    else:
        weight.into(q, new.to_posterior)
    mu, log_sigma = q.chunk(2, 1)
    torch.mul(log_sigma.exp(), epsilon, out=now.shift)
    torch.add(mu, now.shift, out=now.z)


# -- Forth --
def tell(step: Step, head: Tensor, grids: Grids) -> None:
    """What the decoder says: aims and patch; and from the aims the filters."""
    torch.mm(step.to_head, head, out=step.out)
    lay_filters(grids, step)


def divided(step: Step) -> Tensor:
    """The patch by gamma, each channel by itself: (B C, M, M)."""
    return (step.patch / step.paint_gamma).view(-1, *step.patch.shape[2:])


def paint(step: Step, c: Tensor) -> None:
    """Add F_y^T w F_x / gamma to the canvas, in place."""
    c.baddbmm_(step.paint_y.mT, torch.bmm(divided(step), step.paint_x))


# -- Forth --
def run_steps(steps, tape, grids, canvas, start, noise, keep):
    """Fill the tape. Returns the last canvas, q and all canvases."""
    scratch, T, C = Scratch(tape), len(noise), grids.channels
    wide = scratch.wide.to(tape.encoder.dtype)
    weights = tape.encoder * wide, tape.decoder * wide, tape.posterior
    encoder, decoder, posterior = (Times(w, T) for w in weights)
    first = steps[0]
    places = first.h_enc, first.c_enc, first.said, first.c_dec
    for place, value in zip(places, start, strict=True):
        place.copy_(value.expand_as(place))
    first.h_dec.copy_(first.said)
    c = canvas.repeat(noise.shape[1], 1, 1).view(tape.x.shape)
    q = noise.new_empty(*noise.shape[:2], 2 * noise.shape[2])
    canvases = c.new_empty(T if keep else 0, *c.shape)
    tell(first, tape.head, grids)
    every = steps[:-1], steps[1:], noise.unbind(0), q.unbind(0)
    for t, (now, new, epsilon, q_t) in enumerate(zip(*every, strict=True)):
        look(now, c, scratch)  # eq. 3, 4
        lstm_forward(now.to_encoder, encoder, now.gates_enc, now.c_enc, new.c_enc, new.h_enc, scratch)  # eq. 5
        guess(now, new, posterior, q_t, epsilon, scratch.low)  # 1, 2, 6
        lstm_forward(now.to_decoder, decoder, now.gates_dec, now.c_dec, new.c_dec, new.said, scratch)  # eq. 7
        if scratch.low:
            new.h_dec.copy_(new.said)
        tell(new, tape.head, grids)
        paint(new, c)  # eq. 8
        if keep:
            canvases[t] = c
    return c, q, canvases.unflatten(1, (-1, C))


# -- And back --
class Back:
    """Gradients on the way back: running ones, and those of each step."""

    def __init__(self, tape: Tape, row: Row, grids: Grids, dc, dq, of_x):
        self.canvas = dc.reshape(tape.x.shape).clone()  # the running picture
        self.x = torch.zeros_like(tape.x) if of_x else None
        state = tape.x.new_zeros(len(tape.c_enc[0]), row.width)
        self.to_encoder, self.to_decoder, self.fresh = (
            state[:, part] for part in (row.encoder, row.decoder, row.fresh)
        )
        self.z, self.h_dec, self.r, self.h_enc = (state[:, part] for part in (row.z, row.h_dec, row.r, row.h_enc))
        self.gamma = state.new_zeros(len(state), 2)  # of both log gamma
        self.filters = torch.zeros_like(tape.filters[0])
        self.look_x, self.look_y = grids.split(self.filters, 0)
        self.paint_x, self.paint_y = grids.split(self.filters, 1)
        self.q, self.out = dq.clone(), torch.zeros_like(tape.out)
        C, M = grids.channels, grids.sizes[1]
        aim = self.out[..., :10].unflatten(-1, (2, 5))
        patch = self.out[..., 10:].unflatten(-1, (C, M, M))
        self.qs, self.outs = self.q.unbind(0), self.out.unbind(0)
        self.aims, self.patches = aim.unbind(0), patch.unbind(0)
        sums = tape.filters.flatten(0, -2) @ grids.powers[:, 1:]
        self.about = sums.view(*tape.centres.shape, 2).unbind(0)
        aims = tape.out[..., :10].unflatten(-1, (2, 5))
        self.slopes = aim_slopes(grids, aims, tape.numbers).unbind(0)


# -- And back --
CHUNK = 8  # steps in one product, on the way back


def add_product(into, dout, weight, turned, low: bool) -> None:
    """Add dout weight^T to `into`; bfloat16 is faster from the left."""
    if low:
        into.add_((weight @ dout.t()).t())
    else:
        turned.onto(into, dout)


# -- And back --
class CellBack:
    """One LSTM's way back; its weight's gradient CHUNK steps at a time."""

    def __init__(self, weight: Tensor, inputs: slice, tape, scratch):
        self.scratch, self.T = scratch, len(tape.ink)
        self.weight = weight
        self.turned = Times(weight.t().contiguous(), self.T)
        self.inputs = tape.state.flatten(0, 1)[:, inputs]
        self.c = torch.zeros_like(scratch.tanh_c)  # the running gradient
        self.total = torch.zeros_like(weight, dtype=tape.x.dtype)
        shape = min(self.T, CHUNK), *scratch.gates.shape
        self.kept = tape.state.new_empty(shape)
        self.dz = self.kept.unbind(0)

    def step(self, t: int, gates, c, c_new, dh, clear, into) -> None:
        """Take dh through the gates; clear what is spent, add to `into`."""
        work, dz = self.scratch, self.dz[t % CHUNK]
        if work.low:
            gates = open_sigmoids(gates, work)
        exact = work.dz if work.low else dz
        close_gates(gates, c, c_new, None, dh, self.c, exact, None, work.tanh_c, work.work)
        if work.low:
            dz.copy_(exact)
        clear.zero_()
        add_product(into, dz.flatten(1), self.weight, self.turned, work.low)

    def add_weight(self, t: int) -> None:
        """Add the weight's gradient of all steps since t, in one product."""
        n, B = min(CHUNK, self.T - t), self.kept.shape[1]
        rows = self.inputs[t * B : (t + n) * B].t()
        dz = self.kept[:n].flatten(0, 1).flatten(1)
        if self.scratch.low:
            self.total.add_(rows @ dz)
        else:
            self.total.addmm_(rows, dz)


# -- And back --
def paint_backward(new: Step, back: Back, t: int) -> None:
    """The gradient of a write is a read: patch, gamma and filters of it."""
    seen = torch.bmm(back.canvas, new.paint_x.mT)  # (B C, H, M)
    dpatch = torch.bmm(new.paint_y, seen).view_as(new.patch)
    dpatch = torch.div(dpatch, new.paint_gamma, out=back.patches[t])
    torch.sum(dpatch * new.patch, (1, 2, 3), out=back.gamma[:, 1]).neg_()
    patch = divided(new)
    painted = torch.bmm(new.paint_y.mT, patch)  # (B C, H, M)
    back.paint_x.copy_(torch.bmm(painted.mT, back.canvas))
    back.paint_y.copy_(torch.bmm(patch, seen.mT))


# -- And back --
def guess_backward(now: Step, back: Back, t: int) -> None:
    """z = mu + sigma epsilon: both get what z says, and the KL before."""
    dmu, dlog = back.qs[t].chunk(2, 1)
    dmu.add_(back.z)
    dlog.addcmul_(back.z, now.shift)


def tell_backward(step: Step, back: Back, t: int, grids: Grids, head) -> None:
    """Through filters, aims and write head to the decoder's state."""
    aim = filters_backward(
        grids,
        step.filters,
        back.filters,
        back.about[t],
        step.centres,
        back.gamma,
        back.slopes[t],
    )
    back.aims[t].copy_(aim)
    back.h_dec.addmm_(back.outs[t], head)


# -- And back --
def look_backward(now: Step, back: Back, scratch: Scratch) -> None:
    """The gradient of a read is a write; it joins the running picture."""
    BC, N, _ = now.look_x.shape
    width = now.ink.shape[2]
    torch.sum(back.r * now.r, 1, out=back.gamma[:, 0])
    dpatch = (back.r * now.look_gamma).view(BC, 2 * N, N)
    dboth = torch.bmm(dpatch, now.look_x).view(BC, N, 2 * width)
    scratch.beside.copy_(now.ink)
    back.look_x.copy_(torch.bmm(dpatch.mT, now.down))
    back.look_y.copy_(torch.bmm(dboth, scratch.both.mT))
    dink = torch.bmm(now.look_y.mT, dboth[..., width:])
    if back.x is not None:
        back.x.baddbmm_(now.look_y.mT, dboth[..., :width])
    back.canvas.add_(sigmoid_slope(dink, now.ink, grad_input=dink))


# -- And back --
def run_back(steps, tape: Tape, row: Row, grids: Grids, dc, dq, of_x: bool):
    """All steps back. Returns the gradients and both LSTMs' way back."""
    scratch, back = Scratch(tape), Back(tape, row, grids, dc, dq, of_x)
    enc = CellBack(tape.encoder, row.encoder, tape, scratch)
    dec = CellBack(tape.decoder, row.decoder, tape, scratch)
    posterior, low = tape.posterior[:-1], scratch.low
    turned = Times(posterior.t().contiguous(), len(steps))
    head = tape.head[1:].t().contiguous()
    for t in reversed(range(len(steps) - 1)):
        now, new = steps[t], steps[t + 1]
        paint_backward(new, back, t + 1)
        tell_backward(new, back, t + 1, grids, head)
        dec.step(t, now.gates_dec, now.c_dec, new.c_dec, back.h_dec, back.to_decoder, back.to_decoder)
        guess_backward(now, back, t)
        dq_t = back.qs[t].to(posterior.dtype)
        add_product(back.h_enc, dq_t, posterior, turned, low)
        enc.step(t, now.gates_enc, now.c_enc, new.c_enc, back.h_enc, back.fresh, back.to_encoder)
        look_backward(now, back, scratch)
        if t % CHUNK == 0:
            enc.add_weight(t)
            dec.add_weight(t)
    for unused in (back.paint_x, back.paint_y, back.gamma[:, 1]):
        unused.zero_()  # nothing was written with the first aims
    tell_backward(steps[0], back, 0, grids, head)
    return back, enc, dec


# -- And back --
def weight_gradients(back: Back, enc, dec, tape: Tape, row: Row, shape):
    """What the way back has gathered, for x and for each parameter."""
    B = shape[0]
    dx = None if back.x is None else back.x.view(shape)
    dcanvas = back.canvas.view(shape).sum(0)
    states = back.h_enc, enc.c, back.h_dec, dec.c
    dstart = torch.stack([a.sum(0) for a in states])
    rows = tape.state.flatten(0, 1)
    dq = back.q.flatten(0, 1).to(rows.dtype)
    dposterior = rows[B:, row.posterior].t() @ dq
    dhead = tape.said.flatten(0, 1).t() @ back.out.flatten(0, 1)
    return dx, dcanvas, dstart, enc.total, dec.total, dposterior, dhead


# -- The function --
class _DRAWFunction(torch.autograd.Function):
    """All steps, with their backward pass; the noise gets no gradient."""

    @staticmethod
    def forward(ctx, x, noise, canvas, start, *rest):
        *weights, sizes, bound, dtype, keep = rest
        ctx.dtypes = [a.dtype for a in (x, canvas, start, *weights)]
        exact = torch.promote_types(dtype, torch.float32)
        x, noise, canvas, start, head = (a.to(exact) for a in (x, noise, canvas, start, weights[-1]))
        weights = [*(w.to(dtype) for w in weights[:-1]), head]
        grids = plan_grids(x, sizes, bound)
        tape, row = new_tape(x, noise, weights, sizes, dtype)
        room = len(x), 4, weights[0].shape[1] // 4
        gates = [[tape.state.new_empty(room) for _ in noise] for _ in range(2)]
        steps = steps_of(tape, row, grids, gates)
        c, q, canvases = run_steps(steps, tape, grids, canvas, start, noise, keep)
        aims = tape.out[..., :10].unflatten(-1, (2, 5))
        aims = torch.cat([aims[..., :2], bound * aims[..., 2:]], -1)
        ctx.save_for_backward(*tape, *gates[0], *gates[1])
        ctx.row, ctx.grids, ctx.shape = row, grids, x.shape
        ctx.mark_non_differentiable(aims, canvases)
        return c.view(x.shape), q, aims, canvases

    @staticmethod
    @once_differentiable
    def backward(ctx, dc, dq, *_):
        n, saved = len(Tape._fields), ctx.saved_tensors
        tape, T = Tape(*saved[:n]), (len(saved) - n) // 2
        gates = saved[n : n + T], saved[n + T :]
        of_x = ctx.needs_input_grad[0]
        with no_autocast(dc.device.type):
            steps = steps_of(tape, ctx.row, ctx.grids, gates)
            back, enc, dec = run_back(steps, tape, ctx.row, ctx.grids, dc, dq, of_x)
            grads = weight_gradients(back, enc, dec, tape, ctx.row, ctx.shape)
        pairs = zip(grads, ctx.dtypes, strict=True)
        dx, *rest = (None if g is None else g.to(d) for g, d in pairs)
        return dx, None, *rest, *[None] * 4


# -- The function --
def pack_weights(layers, sizes, bound, channels):
    """One matrix a layer, in the order of a Row; biases among the rows.

    The encoder hears x and ink in place of x and error: error = x - ink.
    """
    encoder, decoder, posterior, head = layers
    (w_x, w_h, b), N = encoder, sizes[0]
    hidden = len(w_h)
    of_x, of_error = w_x[:-hidden].unflatten(0, (2, channels, N, N)).unbind(0)
    of_r = torch.stack([of_x + of_error, -of_error], 2).flatten(0, 3)
    packed_encoder = torch.cat([b[None], w_x[-hidden:], of_r, w_h])
    packed_decoder = torch.cat([decoder[0], decoder[2][None], decoder[1]])
    packed_posterior = torch.cat([posterior[0].t(), posterior[1][None]])
    shares = w_x.new_ones(len(head[1]))
    shares[2:5] = shares[7:10] = 1 / bound
    packed_head = torch.cat([head[1][None], head[0].t()]) * shares
    return packed_encoder, packed_decoder, packed_posterior, packed_head


# -- The function --
def check_tensors(x, noise, canvas, start, layers, sizes) -> None:
    """Raise TypeError or ValueError unless all shapes fit."""
    encoder, decoder, posterior, head = layers
    name, (N, M), weight_h = "fused_draw", sizes, encoder[1]
    shaped(name, "x", x, "B", "C", "H", "W")
    shaped(name, "noise", noise, "T", len(x), "Z")
    shaped(name, "the encoder's weight_h", weight_h, "H", "4 H")
    hidden, C, Z = len(weight_h), x.shape[1], noise.shape[2]
    seen, said = 2 * C * N * N + hidden, 10 + C * M * M
    shaped(name, "canvas", canvas, *x.shape[1:])
    shaped(name, "start", start, 4, hidden)
    for layer, read in ((encoder, seen), (decoder, Z)):
        shaped(name, "weight_x", layer[0], read, 4 * hidden)
        shaped(name, "weight_h", layer[1], hidden, 4 * hidden)
        shaped(name, "bias", layer[2], 4 * hidden)
    for layer, written in ((posterior, 2 * Z), (head, said)):
        shaped(name, "weight", layer[0], written, hidden)
        shaped(name, "bias", layer[1], written)


# -- The function --
class DrawSteps(NamedTuple):
    """What `fused_draw` returns.

    Args:
        canvas: the last canvas, log odds of ink, shape (B, C, H, W).
        mu, log_sigma: of the posterior at each step, shape (T, B, Z).
        aims: of reading and writing, what comes from the first state first,
            shape (T + 1, B, 2, 5), logarithms bounded, without gradient.
        canvases: after each step, shape (T, B, C, H, W), without gradient;
            none unless asked for.
    """

    canvas: Tensor
    mu: Tensor
    log_sigma: Tensor
    aims: Tensor
    canvases: Tensor


# -- The function --
def fused_draw(
    x: Tensor,
    noise: Tensor,
    canvas: Tensor,
    start: Tensor,
    encoder: tuple[Tensor, ...],
    decoder: tuple[Tensor, ...],
    posterior: tuple[Tensor, Tensor],
    head: tuple[Tensor, Tensor],
    sizes: tuple[int, int],
    bound: float,
    keep: bool = False,
) -> DrawSteps:
    """Take all steps of DRAW with attention; autocast is for products only.

    Args:
        x, noise: shapes (B, C, H, W) and (T, B, Z).
        canvas, start: the first ones, (C, H, W) and (4, hidden): h, c, h, c.
        encoder, decoder: weight_x, weight_h, bias of an LSTM; r before h_dec.
        posterior, head: weight and bias of the two linear layers.
        sizes, bound: filters along a side of both grids; of the logarithms.
        keep: whether the canvas of each step is returned.

    Returns: the last canvas, mu and log sigma, aims, canvases.
    Raises: TypeError, ValueError: if a tensor is none, or of another shape.

    Source: Gregor et al. (2015), eq. 1 to 8.
    """
    layers = encoder, decoder, posterior, head
    check_tensors(x, noise, canvas, start, layers, sizes)
    dtype = product_dtype(x)
    with no_autocast(x.device.type):  # we choose the number formats
        weights = pack_weights(layers, sizes, bound, x.shape[1])
        c, q, aims, canvases = _DRAWFunction.apply(x, noise, canvas, start, *weights, sizes, bound, dtype, keep)
    return DrawSteps(c, *q.chunk(2, -1), aims=aims, canvases=canvases)
