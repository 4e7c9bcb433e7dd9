# Generated from book/draw.md by tools/export.py. Edit the chapter, not this file.
"""The attentive writer.

A network that makes a picture in steps, by looking and writing in places.

The chapter book/draw.md builds this module and explains each line.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softattn.filterbank import Filterbank
from softattn.lstm import LSTMCell, _close_gates, _no_autocast, _sigmoid_slope
from softattn.vae import _check_images, bernoulli_nats, kl_from_standard

__all__ = ["BOUND", "DRAW", "DRAWOutput", "Film"]


# -- Through the grids --
BOUND = 5.0  # log sigma^2, log delta~ and log gamma stay between -BOUND and BOUND


def _bounded(raw: Tensor) -> Tensor:
    """Hold the three logarithms of raw (..., 5) between -BOUND and BOUND, smoothly; the centre is free."""
    return torch.cat([raw[..., :2], BOUND * torch.tanh(raw[..., 2:] / BOUND)], -1)


# -- The module --
class DRAWOutput(NamedTuple):
    """What one pass of DRAW knows about a batch; T steps.

    Args:
        nll_bound: upper bound of -log p(x) in nats, shape (B,): -log p(x | canvas) + the KL of all steps, one draw.
        kl: its second part, step by step, shape (T, B).
        logits: the last canvas, log odds of ink, shape (B, C, H, W).
        read_boxes, write_boxes: where each step looks and writes: centre x, centre y, width, height in pixels from 0,
            shape (T, B, 4), without gradient; None without attention.
        canvases: the canvas after each step, shape (T, B, C, H, W), without gradient where the model has attention;
            None unless asked for.

    Source: Gregor et al. (2015), eq. 3 to 12.
    """

    nll_bound: Tensor
    kl: Tensor
    logits: Tensor
    read_boxes: Tensor | None
    write_boxes: Tensor | None
    canvases: Tensor | None

    @property
    def reconstruction(self) -> Tensor:
        """Probability of ink, shape (B, C, H, W)."""
        return torch.sigmoid(self.logits)


class Film(NamedTuple):
    """Pictures in the making.

    Args:
        canvases: the canvas after each step, log odds of ink, shape (T, n, C, H, W).
        write_boxes: where each step writes: centre x, centre y, width, height in pixels from 0, shape (T, n, 4); None
            without attention.
    """

    canvases: Tensor
    write_boxes: Tensor | None


# -- The module --
class DRAW(nn.Module):
    """A variational auto-encoder that makes its picture in steps: look, guess, write.

    The paper does not say how it starts. Here the first canvas and the first states of both LSTMs are learned, and the
    biases of the two grids start them wide, centred and soft (sigma = delta / 2).

    Args:
        image_shape: channels, rows, columns.
        steps: T. No weight belongs to a step, so `model.steps` may be changed at any time.
        hidden: cells of each LSTM.
        latent: numbers in each z_t.
        read, write: filters along a side of the grid that looks and of the grid that writes.
        attention: False reads both pictures whole and writes the whole canvas at each step.

    Raises:
        ValueError: if a size is below 1, or a grid does not fit the image.

    Source: Gregor et al. (2015), sections 2 and 3; slides 21 to 26.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        steps: int = 64,
        hidden: int = 256,
        latent: int = 100,
        read: int = 2,
        write: int = 5,
        attention: bool = True,
    ):
        super().__init__()
        if len(image_shape) != 3 or min(*image_shape, steps, hidden, latent) < 1:
            raise ValueError(
                f"DRAW: image_shape={tuple(image_shape)}, steps={steps}, hidden={hidden}, latent={latent}; "
                "expected (C, H, W) and numbers of at least 1"
            )
        C, rows, columns = self.image_shape = tuple(image_shape)
        self.steps, self.hidden, self.latent, self.attention = steps, hidden, latent, attention
        self.reader, self.writer = (Filterbank(rows, columns, n) if attention else None for n in (read, write))
        seen = 2 * C * (read * read if attention else rows * columns)
        told = 10 + C * write * write if attention else C * rows * columns
        self.encoder = LSTMCell(seen + hidden, hidden, peephole=False)
        self.decoder = LSTMCell(latent, hidden, peephole=False)
        self.guess = nn.Linear(hidden, 2 * latent)  # mu, log sigma of q
        self.hand = nn.Linear(hidden, told)  # read aim of the next step, write aim, patch
        self.canvas = nn.Parameter(torch.zeros(self.image_shape))
        self.start = nn.Parameter(torch.zeros(4, hidden))  # h and c of the encoder, h and c of the decoder
        if attention:
            self._aim(self.hand.bias[:5], self.reader, zoom=0.5)
            self._aim(self.hand.bias[5:10], self.writer, zoom=1.0)

    @staticmethod
    @torch.no_grad()
    def _aim(bias: Tensor, bank: Filterbank, zoom: float) -> None:
        """Start a grid in the middle, over `zoom` of the image; a patch of ones is written as a square of ones."""
        delta = zoom * (max(bank.height, bank.width) - 1) / (bank.n - 1)
        aim = torch.tensor([0, 0, 2 * math.log(delta / 2), math.log(zoom), -2 * math.log(delta) if zoom == 1 else 1.5])
        bias.copy_(torch.cat([aim[:2], BOUND * torch.atanh((aim[2:] / BOUND).clamp(-0.95, 0.95))]))

    def read(self, x: Tensor, ink: Tensor, told: Tensor) -> Tensor:
        """Look at the image and at what is still wrong with it.

        Args:
            x: images, shape (B, C, H, W).
            ink: probability of ink so far, the same shape.
            told: what the decoder said one step before, shape (B, 10 + C N N) with attention; unused without.

        Returns:
            Both patches, or both pictures whole, shape (B, R).

        Source: Gregor et al. (2015), eq. 3, 4, 17 and 27; slide 24.
        """
        both = torch.cat([x, x - ink], 1)
        if self.attention:
            both = self.reader.read(both, _bounded(told[:, :5]))
        return both.flatten(1)

    def write(self, told: Tensor) -> Tensor:
        """Turn what the decoder says into an addition to the canvas.

        Args:
            told: shape (B, 10 + C N N) with attention, (B, C H W) without.

        Returns:
            Log odds to add, shape (B, C, H, W).

        Source: Gregor et al. (2015), eq. 8, 18 and 29; slide 24.
        """
        if not self.attention:
            return told.unflatten(1, self.image_shape)
        patch = told[:, 10:].unflatten(1, (self.image_shape[0], self.writer.n, self.writer.n))
        return self.writer.write(patch, _bounded(told[:, 5:10]))

    def _tell(self, h: Tensor) -> Tensor:
        """What the hand is told, from the decoder's h; aims are never rounded, whole pictures may be."""
        if not self.attention:
            return self.hand(h).to(h.dtype)
        with _no_autocast(h.device.type):
            return self.hand(h)

    def _boxes(self, aims: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Boxes of reading and writing, (T, B, 4) each, from the aims (T + 1, B, 2, 5)."""
        if not self.attention:
            return None, None
        T = len(aims) - 1
        pairs = ((self.reader, aims[:-1, :, 0]), (self.writer, aims[1:, :, 1]))
        return tuple(bank.box(aim.flatten(0, 1)).unflatten(0, (T, -1)) for bank, aim in pairs)

    def unrolled(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """All steps, equation by equation; autograd takes the gradients. `forward` gives the same numbers sooner.

        Args:
            x: images, shape (B, C, H, W).
            noise: standard normal numbers, shape (T, B, Z).

        Returns:
            The last canvas (B, C, H, W), mu and log sigma (T, B, Z), aims (T + 1, B, 2, 5; empty without attention),
            canvases (T, B, C, H, W).
        """
        B = len(x)
        c = self.canvas.expand(B, -1, -1, -1)
        h_enc, c_enc, h_dec, c_dec = (s.expand(B, -1) for s in self.start)
        told = self._tell(h_dec)
        mus, logs, tolds, canvases = [], [], [told], []
        for t in range(len(noise)):
            r = self.read(x, torch.sigmoid(c), told)  # eq. 3, 4
            h_enc, c_enc = self.encoder(torch.cat([r, h_dec], 1), (h_enc, c_enc))  # eq. 5
            mu, log_sigma = self.guess(h_enc).to(c.dtype).chunk(2, 1)  # eq. 1, 2
            z = mu + log_sigma.exp() * noise[t]  # eq. 6
            h_dec, c_dec = self.decoder(z, (h_dec, c_dec))  # eq. 7
            told = self._tell(h_dec)
            c = c + self.write(told)  # eq. 8
            for kept, new in ((mus, mu), (logs, log_sigma), (tolds, told), (canvases, c)):
                kept.append(new)
        aims = torch.stack(tolds).detach()[..., : 10 if self.attention else 0].unflatten(-1, (2, -1))
        return c, torch.stack(mus), torch.stack(logs), _bounded(aims) if self.attention else aims, torch.stack(canvases)

    def _steps(self, x: Tensor, noise: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What `unrolled` returns, by the fastest way that there is."""
        if not self.attention or x.requires_grad:
            return self.unrolled(x, noise)
        kind = x.device.type
        low = (
            torch.get_autocast_dtype(kind)
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
            else None
        )
        e, d, y = self.encoder, self.decoder, self.hand
        C, N = self.image_shape[0], self.reader.n
        shares = x.new_ones(y.out_features)
        shares[2:5] = shares[7:10] = 1 / BOUND
        seen, error = e.weight_x[: -self.hidden].unflatten(0, (2, C, N, N)).unbind(0)
        of_r = torch.stack([seen + error, -error], 2).flatten(0, 3)  # what is wrong is x less the ink
        w_e = torch.cat([e.bias[None], e.weight_x[-self.hidden :], of_r, e.weight_h])
        w_d = torch.cat([d.weight_x, d.bias[None], d.weight_h])
        w_q = torch.cat([self.guess.weight.t(), self.guess.bias[None]])
        w_y = torch.cat([y.bias[None], y.weight.t()]) * shares
        with _no_autocast(kind):
            c, q, aims, canvases = _DRAWFunction.apply(
                x, noise, self.canvas, self.start, w_e, w_d, w_q, w_y, self.reader, self.writer, low or x.dtype, keep
            )
        return c, *q.chunk(2, -1), aims, canvases

    def _check(self, x: Tensor) -> None:
        """Raise ValueError unless x is (B, C, H, W) with numbers from 0 to 1 and there is a step to take."""
        _check_images("DRAW", x, self.image_shape)
        if self.steps < 1:
            raise ValueError(f"DRAW: steps is {self.steps}, expected at least 1")

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Standard normal numbers, shape (T, n, Z), drawn on the generator's device."""
        device = self.canvas.device if generator is None else generator.device
        return torch.randn(self.steps, n, self.latent, generator=generator, device=device).to(self.canvas)

    def forward(self, x: Tensor, generator: torch.Generator | None = None, keep: bool = False) -> DRAWOutput:
        """Take all steps: look, guess, write.

        Args:
            x: images, shape (B, C, H, W), from 0 to 1.
            generator: where the noise comes from.
            keep: whether the canvas of each step is returned.

        Returns:
            A DRAWOutput.

        Raises:
            ValueError: if the shape is another, a pixel is no number from 0 to 1, or `steps` is below 1.

        Source: Gregor et al. (2015), eq. 1 to 12; slides 24 and 25.
        """
        self._check(x)
        c, mu, log_sigma, aims, canvases = self._steps(x, self._noise(len(x), generator), keep)
        with _no_autocast(x.device.type):
            kl = kl_from_standard(mu, log_sigma)  # eq. 10, 11
            nll = bernoulli_nats(c, x.to(c.dtype)) + kl.sum(0)  # eq. 9, 12
            return DRAWOutput(nll, kl, c, *self._boxes(aims), canvases if keep else None)

    @torch.no_grad()
    def importance_nats(self, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """A tighter bound of -log p(x) from k draws: -log of the mean weight p(x, z) / q(z | x).

        The weights hold the SAMPLED log p(z) - log q(z | x) of all steps, not the closed-form KL.

        Args:
            x: images, shape (B, C, H, W).
            k: draws for each image, at least 1.
            generator: where the noise comes from.

        Returns:
            Nats, shape (B,).

        Raises:
            ValueError: if k is below 1, the shape is another, or a pixel is no number from 0 to 1.

        Source: Burda et al. (2016), eq. 8.
        """
        if k < 1:
            raise ValueError(f"DRAW.importance_nats: k={k}, expected at least 1")
        self._check(x)
        log_weights = []
        for _ in range(k):
            noise = self._noise(len(x), generator)
            c, mu, log_sigma, *_ = self._steps(x, noise, keep=False)
            z = mu + log_sigma.exp() * noise
            log_ratio = (0.5 * (noise.square() - z.square()) + log_sigma).sum((0, 2))  # log p(z) - log q(z | x)
            log_weights.append(log_ratio - bernoulli_nats(c, x.to(c.dtype)))
        return math.log(k) - torch.logsumexp(torch.stack(log_weights), 0)

    @torch.no_grad()
    def film(self, n: int, generator: torch.Generator | None = None) -> Film:
        """Draw pictures from the prior, and keep every canvas on the way.

        Args:
            n: how many pictures.
            generator: where the noise comes from.

        Returns:
            A Film.

        Raises:
            ValueError: if n is negative or `steps` below 1.

        Source: Gregor et al. (2015), eq. 13 to 16.
        """
        if n < 0 or self.steps < 1:
            raise ValueError(f"DRAW.film: n={n}, steps={self.steps}; expected n of 0 or more, steps of 1 or more")
        c = self.canvas.expand(n, -1, -1, -1)
        h, cell = (s.expand(n, -1) for s in self.start[2:])
        canvases, aims = [], []
        for z in self._noise(n, generator):  # z_t ~ N(0, 1)
            h, cell = self.decoder(z, (h, cell))
            told = self._tell(h)
            c = c + self.write(told)
            canvases.append(c)
            aims.append(told[:, 5:10])
        boxes = torch.stack([self.writer.box(_bounded(aim)) for aim in aims]) if self.attention else None
        return Film(torch.stack(canvases), boxes)

    def generate(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw pictures from the prior.

        Args:
            n: how many pictures.
            generator: where the noise comes from.

        Returns:
            Probability of ink, shape (n, C, H, W).

        Raises:
            ValueError: if n is negative or `steps` below 1.

        Source: Gregor et al. (2015), eq. 13 to 16.
        """
        return torch.sigmoid(self.film(n, generator).canvases[-1])


# -- By hand, for the third time --
def _filters_back(grids, F: Tensor, about: Tensor, mu: Tensor, dF: Tensor, dgamma: Tensor, slopes: Tensor) -> Tensor:
    """Take the gradients of all filters and of log gamma (B, 2) back to both aims, (B, 2, 5); see _Grids.

    `about` holds the sums of F a and F a^2 over each row, `mu` its centre.
    """
    sums = ((F * dF).flatten(0, -2) @ grids.powers).view(*mu.shape, 3)  # of F dF, F dF a, F dF a^2
    v = torch.addcmul(sums[..., 1:], sums[..., :1], about, value=-1)  # of v a, v a^2
    v[..., 1].addcmul_(v[..., 0], mu, value=-2)  # of v (a - mu)^2: v sums to 0
    back = (v.flatten(1) @ grids.gather).view(len(dgamma), grids.channels, 2, 5).sum(1)  # over channels
    back[..., 4] = dgamma
    return back * slopes


# -- By hand, for the third time --
_CHUNK = 8  # steps in one product, on the way back


class _Grids:
    """Both grids at once: the reader's rows first, then the writer's; each channel is a picture of its own."""

    def __init__(self, reader: Filterbank, writer: Filterbank, channels: int, like: Tensor):
        self.channels, self.sides, self.sizes = channels, (reader.width, reader.height), (reader.n, writer.n)
        self.length, rows = max(self.sides), sum(self.sizes)
        half, self.middle = [(side + 1) / 2 for side in self.sides], (self.length + 1) / 2
        lay = torch.zeros(2, 5, 3, rows)  # from (grid, number) to (x, y or width; row)
        gather = torch.zeros(2, rows, 2, 2, 5)  # from (axis, row, power) to (grid, number)
        for k, n in enumerate(self.sizes):
            mine, reach = self.of(k), torch.arange(1, n + 1) - n / 2 - 0.5  # reach: in strides
            lay[k, 2, 2, mine] = gather[:, mine, 1, k, 2] = 1
            for axis in (0, 1):
                lay[k, axis, axis, mine] = gather[axis, mine, 0, k, axis] = half[axis]
                lay[k, 3, axis, mine] = gather[axis, mine, 0, k, 3] = reach
        self.lay, self.gather = lay.view(10, -1).to(like), gather.view(-1, 10).to(like)
        self.offset = like.new_tensor([*half, self.middle]).sub(self.middle).repeat_interleave(rows)
        self.signs = like.new_tensor([-BOUND, BOUND, BOUND])
        # 1 / (2 sigma^2) = exp(log 0.5 - log sigma^2), delta = stride exp(log delta~)
        self.units = like.new_tensor([[math.log(0.5), math.log((self.length - 1) / (n - 1)), 0] for n in self.sizes])
        a = torch.arange(1, self.length + 1) - self.middle
        self.powers = torch.stack([a**0, a, a * a], 1).to(like)

    def of(self, k: int) -> slice:
        """The rows of one grid: 0 is the reader's."""
        return slice(0, self.sizes[0]) if k == 0 else slice(self.sizes[0], None)

    def parts(self, F: Tensor, k: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """F_x and F_y of one grid, step by step."""
        (width, height), F = self.sides, F[:, :, :, self.of(k)]
        return F[:, :, 0, :, :width].unbind(0), F[:, :, 1, :, :height].unbind(0)

    def lay_out(self, told: Tensor, numbers: Tensor, F: Tensor, mu: Tensor) -> None:
        """Fill the last three with what the hand was told, both aims (B, 2, 5), their last three as shares of BOUND.

        These are bounded in `told`. `numbers` (B, 2, 5) get g~_x, g~_y, 1 / (2 sigma^2), delta and gamma; mu
        (B C, 2, N + M) the centres, in pixels from the middle of the longer side; F (B C, 2, N + M, L) the filters, x
        first. What lies outside a picture that is not square stays as it is.
        """
        sizes = torch.addcmul(self.units, told[..., 2:].tanh_(), self.signs).exp_()
        rows = torch.cat([told[..., :2], sizes], 2, out=numbers).flatten(1)
        rows = torch.addmm(self.offset, rows, self.lay).unflatten(1, (3, -1))
        rows = rows if self.channels == 1 else rows.repeat_interleave(self.channels, 0)
        centres, scale = mu.copy_(rows[:, :2]) + self.middle, -rows[:, 2:, :, None]
        if self.sides[0] == self.sides[1]:
            F.copy_(Filterbank._rows(centres, scale, self.length))
            return
        for axis, side in enumerate(self.sides):
            F[:, axis, :, :side] = Filterbank._rows(centres[:, axis], scale[:, 0], side)

    def slopes(self, told: Tensor, numbers: Tensor) -> Tensor:
        """What _filters_back multiplies with, (..., 2, 5): 1 / sigma^2 and the like, and the slope of the bound."""
        slope, (half, delta) = BOUND * (1 - told[..., 2:].square()), numbers[..., 2:4].split(1, -1)
        by = [2 * half, 2 * half, half * slope[..., :1], 2 * half * delta * slope[..., 1:2], slope[..., 2:]]
        return torch.cat(by, -1)


def _parts(Z: int, H: int, R: int) -> dict[str, slice | int]:
    """Where things lie in a row of the state, [z, 1, h_dec, r, h_enc, 1]: what is read together lies together."""
    z, one, h_d, r, h_e, last = itertools.accumulate([0, Z, 1, H, R, H])
    return {
        "z": slice(z, one), "one": one, "h_d": slice(h_d, r), "r": slice(r, h_e), "h_e": slice(h_e, last), "last": last,
        "decoder": slice(z, r), "hand": slice(one, r), "encoder": slice(one, last), "guess": slice(h_e, last + 1),
    }  # fmt: skip


def _open_sigmoids(z: Tensor, minus_one: Tensor) -> tuple[Tensor, ...]:
    """Open the gates z (B, 4, H) in place, where g comes doubled: tanh(a) = 2 sigma(2 a) - 1."""
    i, f, g, o = z.sigmoid_().unbind(1)
    return i, f, torch.add(minus_one, g, alpha=2, out=g), o


class _DRAWFunction(torch.autograd.Function):
    """All the steps of DRAW with attention, with their backward pass; x and the noise get no gradient."""

    @staticmethod
    def forward(ctx, x, noise, canvas, start, w_e, w_d, w_q, w_y, reader, writer, dtype, keep):
        (T, B, Z), C, H, N, M = noise.shape, x.shape[1], w_e.shape[1] // 4, reader.n, writer.n
        ctx.dtypes = [a.dtype for a in (canvas, start, w_e, w_d, w_q, w_y)]
        exact = torch.promote_types(dtype, torch.float32)  # float32 where the products are bfloat16
        w_e, w_d, w_q = (w.to(dtype) for w in (w_e, w_d, w_q))
        x, noise, w_y, start = (a.to(exact) for a in (x, noise, w_y, start))
        shape, x = x.shape[1:], x.reshape(B * C, *x.shape[2:])  # each channel is a picture
        grids, low, R, width = _Grids(reader, writer, C, x), dtype != exact, len(w_e) - 1 - 2 * H, x.shape[2]

        def new(*shape, dtype=exact):
            return x.new_empty(*shape, dtype=dtype)

        def steps(a, *names):
            """The parts of a (T, B, .), each as a list over the steps."""
            return [a[..., parts[name]].unbind(0) for name in names]

        parts = _parts(Z, H, R)
        state = x.new_zeros(T + 1, B, -(-(parts["last"] + 1) // 32) * 32, dtype=dtype)
        state[..., parts["one"]] = state[..., parts["last"]] = 1
        spoken = state[..., parts["hand"]] if not low else new(T + 1, B, 1 + H).fill_(1)  # [1, h_dec], never rounded
        zs, h_ds, rs, h_es, into_e, into_d, into_q = steps(state, "z", "h_d", "r", "h_e", "encoder", "decoder", "guess")
        into_y, said = spoken.unbind(0), spoken[..., 1:].unbind(0)
        e_z, d_z = ([new(B, 4, H, dtype=dtype) for _ in range(T)] for _ in range(2))
        e_c, d_c, q, shift = new(T + 1, B, H), new(T + 1, B, H), new(T, B, 2 * Z), new(T, B, Z)
        ys, numbers = new(T + 1, B, w_y.shape[1]), new(T + 1, B, 2, 5)
        F, mu = x.new_zeros(T + 1, B * C, 2, N + M, grids.length), new(T + 1, B * C, 2, N + M)
        inks, downs, canvases = new(T, *x.shape), new(T, B * C, N, 2 * width), new(T if keep else 0, B, *shape)
        gates, tanh_c, minus_one, both = new(B, 4, H), new(B, H), -x.new_ones(()), torch.cat([x, x], 2)
        told, patches = ys[..., :10].unflatten(-1, (2, 5)).unbind(0), ys[..., 10:].unflatten(-1, (C, M, M)).unbind(0)
        (look_x, look_y), (hand_x, hand_y) = grids.parts(F, 0), grids.parts(F, 1)
        gammas, strengths = numbers[:, :, :1, 4].unbind(0), numbers[:, :, 1:, 4, None, None].unbind(0)
        beside, every = both[..., width:], [a.unbind(0) for a in (e_c, d_c, inks, downs, ys, q, shift, numbers, F, mu)]
        e_cs, d_cs, every_ink, every_down, every_y, qs, shifts, *laid = every

        def cell(inputs, w, z, c, c_next, h):
            """One step of an LSTM: fills z, c_next and h."""
            torch.mm(inputs, w, out=z.view(B, 4 * H))
            i, f, g, o = _open_sigmoids(z if not low else gates.copy_(z), minus_one)
            torch.mul(f, c, out=c_next).addcmul_(i, g)
            torch.mul(torch.tanh(c_next, out=tanh_c), o, out=h)

        def tell(t):
            """What the hand is told by the decoder's state, and from it the filters."""
            torch.mm(into_y[t], w_y, out=every_y[t])
            grids.lay_out(told[t], *(a[t] for a in laid))

        twice = w_e.new_tensor([1, 1, 2, 1]).repeat_interleave(H)
        wide_e, wide_d = w_e * twice, w_d * twice
        for a, value in zip((h_es[0], e_c[0], said[0], d_c[0]), start, strict=True):
            a.copy_(value.expand_as(a))
        h_ds[0].copy_(said[0])
        c = canvas.to(exact).repeat(B, 1, 1).view(x.shape)
        tell(0)
        for t in range(T):
            beside.copy_(torch.sigmoid(c, out=every_ink[t]))  # both: [x, ink]
            down = torch.bmm(look_y[t], both, out=every_down[t]).view(B * C, 2 * N, width)
            torch.mul(torch.bmm(down, look_x[t].mT).view(B, R), gammas[t], out=rs[t])
            cell(into_e[t], wide_e, e_z[t], e_cs[t], e_cs[t + 1], h_es[t + 1])
            if low:
                qs[t].copy_(into_q[t + 1] @ w_q)
            else:
                torch.mm(into_q[t + 1], w_q, out=qs[t])
            mean, log_sigma = qs[t].chunk(2, 1)
            torch.add(mean, torch.mul(log_sigma.exp(), noise[t], out=shifts[t]), out=zs[t])
            cell(into_d[t], wide_d, d_z[t], d_cs[t], d_cs[t + 1], said[t + 1])
            if low:
                h_ds[t + 1].copy_(said[t + 1])
            tell(t + 1)
            patch = (patches[t + 1] / strengths[t + 1]).view(B * C, M, M)
            c.baddbmm_(hand_y[t + 1].mT, torch.bmm(patch, hand_x[t + 1]))
            if keep:
                canvases[t] = c.view(B, *shape)
        aims = ys[..., :10].unflatten(-1, (2, 5)) * x.new_tensor([1, 1, BOUND, BOUND, BOUND])
        ctx.save_for_backward(
            x, w_e, w_d, w_q, w_y, state, spoken, e_c, d_c, shift, ys, numbers, F, mu, inks, downs, *e_z, *d_z
        )
        ctx.grids, ctx.parts, ctx.shape, ctx.low = grids, parts, shape, low
        ctx.mark_non_differentiable(aims, canvases)
        return c.view(B, *shape), q, aims, canvases

    @staticmethod
    @once_differentiable
    def backward(ctx, dc, dq, *_):
        x, w_e, w_d, w_q, w_y, state, spoken, e_c, d_c, shift, ys, numbers, F, mu, inks, downs, *zs = ctx.saved_tensors
        e_z, d_z = zs[: len(zs) // 2], zs[len(zs) // 2 :]
        (T, B, Z), H, grids, parts, low, width = shift.shape, e_c.shape[2], ctx.grids, ctx.parts, ctx.low, x.shape[2]
        C, (N, M) = grids.channels, grids.sizes
        back_e, back_d, back_q, back_y = (w.t().contiguous() for w in (w_e, w_d, w_q[:-1], w_y[1:]))
        dc, dq, dys = dc.reshape(x.shape).clone(), dq.clone(), torch.zeros_like(ys)
        dw_e, dw_d = (torch.zeros_like(w, dtype=dc.dtype) for w in (w_e, w_d))
        de_z, dd_z = (state.new_empty(min(T, _CHUNK), B, 4, H) for _ in range(2))
        de_c, dd_c, dstate, dgamma, dF = (
            dc.new_zeros(s) for s in ((B, H), (B, H), (B, state.shape[2]), (B, 2), F.shape[1:])
        )
        gates, dz, tanh_c, work = (dc.new_empty(s) for s in ((B, 4, H), (B, 4, H), (B, H), (B, H)))
        minus_one, both, rows = -dc.new_ones(()), torch.cat([x, x], 2), state.flatten(0, 1)
        about, slopes = (
            (F.flatten(0, -2) @ grids.powers[:, 1:]).view(*mu.shape, 2),
            grids.slopes(ys[..., :10].unflatten(-1, (2, 5)), numbers),
        )
        (look_x, look_y), (hand_x, hand_y) = grids.parts(F, 0), grids.parts(F, 1)
        ((dlook_x,), (dlook_y,)), ((dhand_x,), (dhand_y,)) = grids.parts(dF[None], 0), grids.parts(dF[None], 1)
        dtold = dys[..., :10].unflatten(-1, (2, 5)).unbind(0)
        patches, dpatches = (a[..., 10:].unflatten(-1, (C, M, M)).unbind(0) for a in (ys, dys))
        gammas, strengths = numbers[:, :, :1, 4].unbind(0), numbers[:, :, 1:, 4, None, None].unbind(0)
        every = [
            a.unbind(0)
            for a in (e_c, d_c, inks, downs.view(T, B * C, 2 * N, width), shift, dys, dq, state[..., parts["r"]])
        ]
        e_cs, d_cs, every_ink, every_down, shifts, dy, dqs, rs = every
        laid = [a.unbind(0) for a in (F, about, mu)]
        slopes, beside = slopes.unbind(0), both[..., width:]
        dz_t, dh_d, dr, dh_e, d_in, e_in = (dstate[:, parts[p]] for p in ("z", "h_d", "r", "h_e", "decoder", "encoder"))
        e_new = dstate[:, parts["r"].start : parts["h_e"].stop]
        kept_e, kept_d = de_z.unbind(0), dd_z.unbind(0)

        def cell_back(z, c, c_next, dh, dcell, kept):
            """Take dh and dcell of one step back to its gates' sums, in `kept`; dcell becomes that of t - 1."""
            if low:
                _open_sigmoids(z := gates.copy_(z), minus_one)
            _close_gates(z, c, c_next, None, dh, dcell, dz if low else kept, None, tanh_c, work)
            if low:
                kept.copy_(dz)

        def add_back(into, dout, w, back):
            """Add dout w^T to `into`."""
            into.add_((w @ dout.t()).t()) if low else into.addmm_(dout, back)

        def add_chunk(dw, inputs, dzs, t):
            """Add the gradient of a weight, all steps since t in one product."""
            n = min(_CHUNK, T - t)
            inputs, dout = rows[t * B : (t + n) * B, inputs].t(), dzs[:n].view(n * B, 4 * H)
            dw.add_(inputs @ dout) if low else dw.addmm_(inputs, dout)

        with _no_autocast(x.device.type):
            for t in reversed(range(T)):
                k = t % _CHUNK
                patch = (patches[t + 1] / strengths[t + 1]).view(B * C, M, M)
                seen = torch.bmm(dc, hand_x[t + 1].mT)  # (B C, H, M)
                dpatch = torch.bmm(hand_y[t + 1], seen).view(B, C, M, M)  # writing's gradient is a read
                torch.div(dpatch, strengths[t + 1], out=dpatches[t + 1])
                torch.sum(dpatches[t + 1] * patches[t + 1], (1, 2, 3), out=dgamma[:, 1]).neg_()
                dhand_x.copy_(torch.bmm(torch.bmm(hand_y[t + 1].mT, patch).mT, dc))
                dhand_y.copy_(torch.bmm(patch, seen.mT))
                dtold[t + 1].copy_(_filters_back(grids, *(a[t + 1] for a in laid), dF, dgamma, slopes[t + 1]))
                dh_d.addmm_(dy[t + 1], back_y)
                cell_back(d_z[t], d_cs[t], d_cs[t + 1], dh_d, dd_c, kept_d[k])
                add_back(d_in.zero_(), kept_d[k].view(B, 4 * H), w_d, back_d)
                dmean, dlog = dqs[t].chunk(2, 1)
                dmean.add_(dz_t)
                dlog.addcmul_(dz_t, shifts[t])
                add_back(dh_e, dqs[t].to(w_q.dtype), w_q[:-1], back_q)
                cell_back(e_z[t], e_cs[t], e_cs[t + 1], dh_e, de_c, kept_e[k])
                e_new.zero_()
                add_back(e_in, kept_e[k].view(B, 4 * H), w_e, back_e)
                torch.sum(dr * rs[t], 1, out=dgamma[:, 0])
                dpatch = (dr * gammas[t]).view(B * C, 2 * N, N)
                dboth = torch.bmm(dpatch, look_x[t]).view(B * C, N, 2 * width)
                beside.copy_(every_ink[t])
                dlook_x.copy_(torch.bmm(dpatch.mT, every_down[t]))
                dlook_y.copy_(torch.bmm(dboth, both.mT))
                dink = torch.bmm(look_y[t].mT, dboth[..., width:])  # reading's gradient is a write
                dc.add_(_sigmoid_slope(dink, every_ink[t], grad_input=dink))
                if k == 0:
                    add_chunk(dw_e, parts["encoder"], de_z, t)
                    add_chunk(dw_d, parts["decoder"], dd_z, t)
            dhand_x.zero_(), dhand_y.zero_(), dgamma[:, 1].zero_()  # nothing was written with the first aims
            dtold[0].copy_(_filters_back(grids, *(a[0] for a in laid), dF, dgamma, slopes[0]))
            dh_d.addmm_(dy[0], back_y)
            dq = dq.view(T * B, 2 * Z).to(rows.dtype)
            grads = (
                dc.view(B, *ctx.shape).sum(0), torch.stack([a.sum(0) for a in (dh_e, de_c, dh_d, dd_c)]), dw_e, dw_d,
                rows[B:, parts["guess"]].t() @ dq, spoken.flatten(0, 1).t() @ dys.flatten(0, 1),
            )  # fmt: skip
        return None, None, *(a.to(d) for a, d in zip(grads, ctx.dtypes, strict=True)), None, None, None, None
