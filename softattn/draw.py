# Generated from book/draw.md by tools/export.py. Edit the chapter, not this file.
"""The attentive writer.

A network that makes a picture in steps, by looking and writing in places.

The chapter book/draw.md builds this module and explains each line.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softattn.filterbank import Filterbank
from softattn.lstm import LSTMCell, _close_gates, _no_autocast, _open_gates, _sigmoid_slope
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
        e, d = self.encoder, self.decoder
        with _no_autocast(kind):
            c, q, aims, canvases = _DRAWFunction.apply(
                x, noise, self.canvas, self.start, torch.cat([e.weight_x, e.weight_h]), e.bias,
                torch.cat([d.weight_x, d.weight_h]), d.bias, self.guess.weight.t(), self.guess.bias,
                self.hand.weight.t(), self.hand.bias, self.reader, self.writer, low or x.dtype, keep,
            )  # fmt: skip
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
def _axis_back(F: Tensor, dF: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Take the gradient of filters F (..., L) at mu (...) back: the sums of v (a - mu) and of v (a - mu)^2 over a."""
    off = torch.arange(1, F.shape[-1] + 1, dtype=F.dtype, device=F.device) - mu[..., None]  # a - mu
    v = F * dF
    v.addcmul_(F, v.sum(-1, keepdim=True), value=-1).mul_(off)  # softmax, times a - mu
    return v.sum(-1), v.mul_(off).sum(-1)


def _filters_back(grids, filters: list, mu: Tensor, dfilters: list, dgamma: Tensor, slopes: Tensor) -> Tensor:
    """Take the gradients of all filters and of log gamma (B C, 2) back to both aims, (B, 2, 5); see _Grids."""
    centres = [mu] if len(filters) == 1 else [mu[:, :1], mu[:, 1:]]
    parts = [_axis_back(*axis) for axis in zip(filters, dfilters, centres, strict=True)]
    dmu, dwidth = parts[0] if len(parts) == 1 else (torch.cat(two, 1) for two in zip(*parts, strict=True))
    sums = (torch.stack([dmu, dwidth], 1) @ grids.sums).unflatten(-1, (2, 2))  # (B C, mu or width, axis, grid, 2)
    both = sums.sum(2)
    back = torch.cat([sums[:, 0, ..., 0].mT, both[:, 1, :, :1], both[:, 0, :, 1:], dgamma[..., None]], 2)
    return (back if grids.channels == 1 else back.unflatten(0, (-1, grids.channels)).sum(1)) * slopes


def _write_back(F_x: Tensor, F_y: Tensor, gamma: Tensor, patch: Tensor, dimage: Tensor) -> tuple[Tensor, ...]:
    """Take the gradient of written images (B, H, W) back to the patch (B, N, N), to F_x, to F_y and to log gamma."""
    seen = torch.bmm(dimage, F_x.mT)  # (B, H, N)
    dpatch = torch.bmm(F_y, seen) / gamma  # writing's gradient is a read
    scaled = patch / gamma
    dF_x = torch.bmm(torch.bmm(F_y.mT, scaled).mT, dimage)
    return dpatch, dF_x, torch.bmm(scaled, seen.mT), -(dpatch * patch).sum((1, 2))


def _read_back(F_x: Tensor, F_y: Tensor, gamma: Tensor, x: Tensor, ink: Tensor, down: Tensor, dpatch: Tensor) -> tuple:
    """Take the gradient of the patches of x and ink (B, 2 N, N) back to ink (B, H, W), F_x, F_y and log gamma."""
    patch = torch.bmm(down, F_x.mT)  # down: F_y x, F_y ink; (B, 2 N, W)
    dgamma = (dpatch * patch).sum((1, 2), keepdim=True) * gamma
    dpatch = dpatch * gamma
    of_x, of_ink = torch.bmm(dpatch, F_x).chunk(2, 1)
    dF_y = torch.bmm(of_x, x.mT) + torch.bmm(of_ink, ink.mT)
    return (
        torch.bmm(F_y.mT, of_ink),
        torch.bmm(dpatch.mT, down),
        dF_y,
        dgamma.flatten(),
    )  # reading's gradient is a write


# -- By hand, for the third time --
_CHUNK = 8  # steps in one product, on the way back


class _Grids:
    """Both grids at once: the reader's rows first, then the writer's; each channel is a picture of its own."""

    def __init__(self, reader: Filterbank, writer: Filterbank, channels: int, like: Tensor):
        self.channels, self.height, self.width, sizes = channels, reader.height, reader.width, (reader.n, writer.n)
        self.reach = like.new_tensor([i - n / 2 - 0.5 for n in sizes for i in range(1, n + 1)])  # in strides
        self.stride = like.new_tensor([(max(self.height, self.width) - 1) / (n - 1) for n in sizes])
        self.half = like.new_tensor([(self.width + 1) / 2, (self.height + 1) / 2])
        self.owner = torch.tensor([k for k in (0, 1) for _ in range(sizes[k])], device=like.device)
        mine = like.new_tensor([[k == 0, k == 1] for k in (0, 1) for _ in range(sizes[k])])  # (N + M, 2)
        self.sums = torch.stack([mine, mine * self.reach[:, None]], 2).flatten(1)  # over the rows of each grid

    def filters(self, aims: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Take aims (B, 2, 5) to filters, centres (B C, 2, N + M), x first, and gamma (B C, 2).

        The filters are (B C, 2, N + M, L), x first, or x and y in two tensors where the image is not square.
        """
        if self.channels > 1:
            aims = aims.repeat_interleave(self.channels, 0)
        width, delta, gamma = aims[..., 2:].exp().unbind(-1)
        told = torch.cat(
            [((aims[..., :2] + 1) * self.half).mT, (delta * self.stride)[:, None], (-0.5 / width)[:, None]], 1
        )
        g, delta, scale = told.index_select(2, self.owner).split([2, 1, 1], 1)  # for each row
        mu = torch.addcmul(g, delta, self.reach)
        if self.height == self.width:
            return [Filterbank._rows(mu, scale[..., None], self.width)], mu, gamma
        sides = ((mu[:, :1], self.width), (mu[:, 1:], self.height))
        return [Filterbank._rows(centres, scale[..., None], side) for centres, side in sides], mu, gamma

    def slopes(self, aims: Tensor) -> Tensor:
        """What _filters_back multiplies with, (..., 2, 5), with the slope of _bounded."""
        precision, slope = torch.exp(-aims[..., 2:3]), 1 - (aims[..., 2:] / BOUND).square()
        delta = aims[..., 3:4].exp() * self.stride[:, None]
        by_rows = torch.cat(
            [self.half * precision, precision / 2 * slope[..., :1], delta * precision * slope[..., 1:2]], -1
        )
        return torch.cat([by_rows, slope[..., 2:]], -1)


class _DRAWFunction(torch.autograd.Function):
    """All the steps of DRAW with attention, with their backward pass; x and the noise get no gradient."""

    @staticmethod
    def forward(ctx, x, noise, canvas, start, w_e, b_e, w_d, b_d, w_q, b_q, w_y, b_y, reader, writer, dtype, keep):
        (T, B, Z), C, H = noise.shape, x.shape[1], len(w_q)
        N, M, rows, columns = reader.n, writer.n, reader.height, reader.width
        ctx.dtypes = [a.dtype for a in (canvas, start, w_e, b_e, w_d, b_d, w_q, b_q, w_y, b_y)]
        exact = torch.promote_types(dtype, torch.float32)  # float32 where the products are bfloat16
        w_e, b_e, w_d, b_d, w_q, b_q = (a.to(dtype) for a in (w_e, b_e, w_d, b_d, w_q, b_q))
        x, noise, w_y, b_y, start = (a.to(exact) for a in (x, noise, w_y, b_y, start))
        x = x.reshape(B * C, rows, columns)  # each channel is a picture

        def new(*shape, dtype=exact):
            return x.new_empty(*shape, dtype=dtype)

        e_in, d_in, e_h = new(T, B, len(w_e), dtype=dtype), new(T, B, len(w_d), dtype=dtype), new(T, B, H, dtype=dtype)
        e_z, d_z = ([new(B, 4, H, dtype=dtype) for _ in range(T)] for _ in range(2))
        e_c, d_c, d_h = new(T + 1, B, H), new(T + 1, B, H), new(T + 1, B, H)
        q, shift, ys, aims = new(T, B, 2 * Z), new(T, B, Z), new(T + 1, B, len(b_y)), new(T + 1, B, 2, 5)
        inks, downs, canvases = (
            new(T, *x.shape),
            new(T, B * C, 2 * N, columns),
            new(T if keep else 0, B, C, rows, columns),
        )
        gates, tanh_c, laid = new(B, 4, H), new(B, H), []
        grids = _Grids(reader, writer, C, x)

        def cell(inputs, w, b, zs, cs, t):
            """One step of an LSTM on [input, h]: fills zs[t] and cs[t + 1], returns h."""
            z = torch.addmm(b, inputs[t], w, out=zs[t].view(B, 4 * H)).view(B, 4, H)
            opened = z if dtype == exact else gates.copy_(z)
            torch.tanh(_open_gates(opened, cs[t], None, out=cs[t + 1]), out=tanh_c)
            return tanh_c.mul_(opened[:, 3])

        def tell(t):
            """Both aims, the patch and both grids' filters from the decoder's state, all in full precision."""
            told = torch.addmm(b_y, d_h[t], w_y, out=ys[t])
            laid.append(grids.filters(aims[t].copy_(_bounded(told[:, :10].view(B, 2, 5)))))
            filters, _, gamma = laid[-1]
            return filters[0][:, 0], filters[-1][:, -1], gamma[..., None, None]  # F_x, F_y, gamma

        h_e, e_c[0], d_h[0], d_c[0] = start[0].expand(B, H), start[1], start[2], start[3]
        c = canvas.to(exact).repeat(B, 1, 1).view(x.shape)
        F_x, F_y, gamma = tell(0)
        for t in range(T):
            ink, look = torch.sigmoid(c, out=inks[t]), F_y[:, :N]
            down = torch.cat([torch.bmm(look, x), torch.bmm(look, ink)], 1, out=downs[t])
            seen, inked = (torch.bmm(down, F_x[:, :N].mT) * gamma[:, 0]).view(B, C, 2, N * N).unbind(2)
            error = seen - inked  # read(x^) = read(x) - read(ink)
            torch.cat([seen.flatten(1), error.flatten(1), d_h[t], h_e], 1, out=e_in[t])
            h_e = e_h[t].copy_(cell(e_in, w_e, b_e, e_z, e_c, t))
            mu, log_sigma = q[t].copy_(torch.addmm(b_q, h_e, w_q)).chunk(2, 1)
            torch.mul(log_sigma.exp(), noise[t], out=shift[t])
            torch.cat([mu + shift[t], d_h[t]], 1, out=d_in[t])
            d_h[t + 1] = cell(d_in, w_d, b_d, d_z, d_c, t)
            F_x, F_y, gamma = tell(t + 1)
            patch = ys[t + 1, :, 10:].reshape(B * C, M, M)
            c += torch.bmm(F_y[:, N:].mT, torch.bmm(patch / gamma[:, 1], F_x[:, N:]))
            if keep:
                canvases[t] = c.view(B, C, rows, columns)
        ctx.save_for_backward(
            x, w_e, w_d, w_q, w_y, e_in, d_in, e_h, e_c, d_c, d_h, shift, ys, aims, inks, downs, *e_z, *d_z
        )
        ctx.grids, ctx.laid, ctx.sizes = grids, laid, (N, M)
        ctx.mark_non_differentiable(aims, canvases)
        return c.view(B, C, rows, columns), q, aims, canvases

    @staticmethod
    @once_differentiable
    def backward(ctx, dc, dq, *_):
        x, w_e, w_d, w_q, w_y, e_in, d_in, e_h, e_c, d_c, d_h, shift, ys, aims, inks, downs, *zs = ctx.saved_tensors
        (T, B, Z), C, H, grids, (N, M) = shift.shape, dc.shape[1], e_h.shape[2], ctx.grids, ctx.sizes
        e_z, d_z, low, R = zs[:T], zs[T:], e_h.dtype != e_c.dtype, C * N * N
        transposed = [w.t().contiguous() for w in (w_e, w_d, w_q, w_y)]
        slopes, across = grids.slopes(aims), x.mT.contiguous()
        shape, dc = dc.shape[1:], dc.reshape(x.shape).clone()
        dys, dq, dq_low = torch.zeros_like(ys), dq.clone(), e_h.new_empty(T, B, 2 * Z) if low else None
        dw_e, dw_d = (torch.zeros_like(w, dtype=dc.dtype) for w in (w_e, w_d))
        de_z, dd_z = (e_h.new_empty(min(T, _CHUNK), B, 4, H) for _ in range(2))
        db_e, db_d, dgamma = dc.new_zeros(B, 4, H), dc.new_zeros(B, 4, H), dc.new_zeros(B * C, 2)
        dh_e, de_c, dh_d, dd_c = (dc.new_zeros(B, H) for _ in range(4))
        gates, dz, tanh_c, work = dc.new_empty(B, 4, H), dc.new_empty(B, 4, H), dc.new_empty(B, H), dc.new_empty(B, H)
        dfilters = [torch.zeros_like(F) for F in ctx.laid[0][0]]
        dF_x, dF_y = dfilters[0][:, 0], dfilters[-1][:, -1]

        def cell_back(zs, cs, t, dh, dcell, w, w_t, dzs, db):
            """Take dh and dcell of one step back to its input [input, h], (B, I + H); dcell becomes that of t - 1."""
            k = t % _CHUNK
            if not low:
                _close_gates(zs[t], cs[t], cs[t + 1], None, dh, dcell, dzs[k], None, tanh_c, work)
                db.add_(dzs[k])
                return dzs[k].view(B, 4 * H) @ w_t
            _open_gates(gates.copy_(zs[t]), cs[t], None, out=work)
            _close_gates(gates, cs[t], cs[t + 1], None, dh, dcell, dz, None, tanh_c, work)
            db.add_(dz)
            dzs[k] = dz
            return (w @ dzs[k].view(B, 4 * H).t()).t().to(dc.dtype, memory_format=torch.contiguous_format)

        def add_chunk(dw, inputs, dzs, t):
            """Add the gradient of a weight, all steps since t in one product."""
            n = min(_CHUNK, T - t)
            inputs, dout = inputs[t : t + n].flatten(0, 1).t(), dzs[:n].view(n * B, 4 * H)
            dw.add_(inputs @ dout) if low else dw.addmm_(inputs, dout)

        def at(t):
            """The filters that were told at t: both grids', and F_x, F_y, gamma."""
            filters, mu, gamma = ctx.laid[t]
            return filters, mu, filters[0][:, 0], filters[-1][:, -1], gamma[..., None, None]

        with _no_autocast(x.device.type):
            filters, mu, F_x, F_y, gamma = at(T)
            for t in reversed(range(T)):
                patch = ys[t + 1, :, 10:].reshape(B * C, M, M)
                dpatch, dF_x[:, N:], dF_y[:, N:], dgamma[:, 1] = _write_back(
                    F_x[:, N:], F_y[:, N:], gamma[:, 1], patch, dc
                )
                dy = dys[t + 1]
                dy[:, :10] = _filters_back(grids, filters, mu, dfilters, dgamma, slopes[t + 1]).view(B, 10)
                dy[:, 10:] = dpatch.view(B, C * M * M)
                dh_d = torch.addmm(dh_d, dy, transposed[3])
                dz_h = cell_back(d_z, d_c, t, dh_d, dd_c, w_d, transposed[1], dd_z, db_d)
                dlatent, dh_d = dz_h.split([Z, H], 1)
                both = dq[t].add_(torch.cat([dlatent, dlatent * shift[t]], 1))
                dh_e = dh_e + (both if not low else dq_low[t].copy_(both)) @ transposed[2]
                dr_hh = cell_back(e_z, e_c, t, dh_e, de_c, w_e, transposed[0], de_z, db_e)
                dseen, derror, dh, dh_e = dr_hh.split([R, R, H, H], 1)
                dh_d = dh_d + dh
                dpatch = torch.cat([(dseen + derror).view(B * C, N, N), (-derror).view(B * C, N, N)], 1)
                filters, mu, F_x, F_y, gamma = at(t)
                dink, dF_x[:, :N], dF_y[:, :N], dgamma[:, 0] = _read_back(
                    F_x[:, :N], F_y[:, :N], gamma[:, 0], across.mT, inks[t], downs[t], dpatch
                )
                dc.add_(_sigmoid_slope(dink, inks[t], grad_input=dink))
                if t % _CHUNK == 0:
                    add_chunk(dw_e, e_in, de_z, t)
                    add_chunk(dw_d, d_in, dd_z, t)
            dF_x[:, N:], dF_y[:, N:], dgamma[:, 1] = 0, 0, 0  # nothing was written with the first aims
            dys[0, :, :10] = _filters_back(grids, filters, mu, dfilters, dgamma, slopes[0]).view(B, 10)
            dh_d = dh_d + dys[0] @ transposed[3]
            db_q = dq.sum((0, 1))
            dq, dys = ((dq_low if low else dq).view(T * B, 2 * Z), dys.flatten(0, 1))
            grads = (
                dc.view(B, *shape).sum(0), torch.stack([dh_e.sum(0), de_c.sum(0), dh_d.sum(0), dd_c.sum(0)]),
                dw_e, db_e.sum(0).flatten(), dw_d, db_d.sum(0).flatten(),
                e_h.flatten(0, 1).t() @ dq, db_q, d_h.flatten(0, 1).t() @ dys, dys.sum(0),
            )  # fmt: skip
        return None, None, *(a.to(d) for a, d in zip(grads, ctx.dtypes, strict=True)), None, None, None, None
