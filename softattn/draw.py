# Generated from book/draw.md by tools/export.py. Edit the chapter, not this file.
"""DRAW: the attentive writer.

A network that makes a picture in steps, by looking and writing in places.

The chapter book/draw.md builds this module and explains each line.
"""

import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from softattn.filterbank import BOUND, Filterbank, bounded
from softattn.fused_draw import DrawSteps, fused_draw
from softattn.fused_lstm import no_autocast
from softattn.hub import shaped, whole
from softattn.lstm import LSTMCell
from softattn.training import use_fused
from softattn.vae import _check_images, bernoulli_nats, kl_from_standard

__all__ = ["DRAW", "DRAWOutput", "DrawTrajectory"]


# -- The module --
class DRAWOutput(NamedTuple):
    """What one pass of DRAW knows about a batch; T steps.

    Args:
        nll_bound: upper bound of -log p(x) in nats, shape (B,):
            -log p(x | canvas) + the KL of all steps, one draw.
        kl: its second part, step by step, shape (T, B).
        logits: the last canvas, log odds of ink, shape (B, C, H, W).
        read_boxes, write_boxes: where each step looks and writes: centre x,
            centre y, width, height in pixels from 0, shape (T, B, 4),
            without gradient; None without attention.
        canvases: the canvas after each step, shape (T, B, C, H, W), without
            gradient; None unless asked for.
        mu, log_sigma, noise: each step's posterior, and the standard normal
            numbers that were drawn, shape (T, B, Z).

    Source: Gregor et al. (2015), eq. 3 to 12.
    """

    nll_bound: Tensor
    kl: Tensor
    logits: Tensor
    read_boxes: Tensor | None
    write_boxes: Tensor | None
    canvases: Tensor | None
    mu: Tensor
    log_sigma: Tensor
    noise: Tensor

    @property
    def reconstruction(self) -> Tensor:
        """Probability of ink, shape (B, C, H, W)."""
        return torch.sigmoid(self.logits)

    @property
    def z(self) -> Tensor:
        """What the decoder heard at each step, shape (T, B, Z)."""
        return self.mu + self.log_sigma.exp() * self.noise


class DrawTrajectory(NamedTuple):
    """Pictures in the making.

    Args:
        canvases: the canvas after each step, log odds of ink, shape
            (T, n, C, H, W).
        write_boxes: where each step writes: centre x, centre y, width,
            height in pixels from 0, shape (T, n, 4); None without attention.
    """

    canvases: Tensor
    write_boxes: Tensor | None


# -- The module --
def draw_sizes(image_shape: Any, **sizes: Any) -> tuple[int, ...]:
    """Judge the sizes of a DRAW; returns C, H, W and the others as ints."""
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(f"DRAW: image_shape is {image_shape!r}, expected (C, H, W)")
    sizes = dict(zip(("C", "H", "W"), image_shape, strict=True)) | sizes
    found = [whole("DRAW", name, value, 1) for name, value in sizes.items()]
    C, H, W, _, hidden, latent, N, M = found
    widest = 2 * C * max(H * W, N * N, M * M) + 2 * hidden + latent
    if 8 * hidden * widest > 2**31:
        raise ValueError(f"DRAW: {sizes} make more than 2^31 weights; expected fewer")
    return tuple(found)


@torch.no_grad()
def start_aim(bias: Tensor, bank: Filterbank, zoom: float) -> None:
    """Start a grid in the middle, over `zoom` of the image, wide and soft."""
    delta = zoom * (max(bank.height, bank.width) - 1) / (bank.n - 1)
    log_gamma = -2 * math.log(delta) if zoom == 1 else 1.5
    aim = torch.tensor([2 * math.log(delta / 2), math.log(zoom), log_gamma])
    raw = BOUND * torch.atanh((aim / BOUND).clamp(-0.95, 0.95))
    bias.copy_(torch.cat([torch.zeros(2), raw]))


# -- The module --
class DRAWParts(nn.Module):
    """What both halves of a DRAW are made of; see there."""

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        steps: int = 64,
        hidden: int = 256,
        latent: int = 100,
        read_size: int = 2,
        write_size: int = 5,
        attention: bool = True,
    ):
        super().__init__()
        C, H, W, self.steps, hidden, latent, N, M = draw_sizes(
            image_shape,
            steps=steps,
            hidden=hidden,
            latent=latent,
            read_size=read_size,
            write_size=write_size,
        )
        self.image_shape, self.hidden, self.latent = (C, H, W), hidden, latent
        self.attention = bool(attention)
        self.reader = Filterbank(H, W, N) if attention else None
        self.writer = Filterbank(H, W, M) if attention else None
        seen = 2 * C * (N * N if attention else H * W)
        self.said = 10 + C * M * M if attention else C * H * W
        self.encoder = LSTMCell(seen + hidden, hidden, peephole=False)
        self.decoder = LSTMCell(latent, hidden, peephole=False)
        self.posterior = nn.Linear(hidden, 2 * latent)  # mu, log sigma
        self.write_head = nn.Linear(hidden, self.said)  # aims, patch
        self.canvas = nn.Parameter(torch.zeros(C, H, W))  # c_0
        self.start = nn.Parameter(torch.zeros(4, hidden))  # h, s; h, s
        if self.reader is not None and self.writer is not None:
            start_aim(self.write_head.bias[:5], self.reader, zoom=0.5)
            start_aim(self.write_head.bias[5:10], self.writer, zoom=1.0)

    @property
    def wide(self) -> torch.dtype:
        """The type of canvases: float32 at least."""
        return torch.promote_types(self.canvas.dtype, torch.float32)

    def first(self, n: int) -> tuple[Tensor, ...]:
        """c_0; h and s of the encoder, h and s of the decoder; n of each."""
        states = (state.expand(n, -1) for state in self.start)
        return self.canvas.to(self.wide).expand(n, -1, -1, -1), *states

    def say(self, h_dec: Tensor) -> Tensor:
        """What the decoder says, from its h (B, hidden)."""
        aimed = self.attention  # and aims are never rounded
        with no_autocast(h_dec.device.type) if aimed else nullcontext():
            return self.write_head(h_dec.to(self.canvas.dtype)).to(self.wide)

    def together(self, x: Tensor, error: Tensor, decoder_out: Tensor) -> Tensor:
        """Both pictures, shape (B, 2 C, H, W), if all three fit."""
        shaped("DRAW.read", "decoder_out", decoder_out, "B", self.said)
        for name, image in (("x", x), ("error", error)):
            sizes = len(decoder_out), *self.image_shape
            shaped("DRAW.read", name, image, *sizes)
        return torch.cat([x, error], 1)

    def noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Standard normal numbers, shape (T, n, Z)."""
        device = self.canvas.device
        if generator is not None:
            if not isinstance(generator, torch.Generator):
                kind = type(generator).__name__
                raise TypeError(f"DRAW: generator is {kind}, expected a torch.Generator")
            device = generator.device
        shape = whole("DRAW", "steps", self.steps, 1), n, self.latent
        noise = torch.randn(shape, generator=generator, device=device)
        return noise.to(self.canvas.device, self.wide)

    def check(self, x: Tensor) -> None:
        """Raise unless x is (B, C, H, W) with numbers from 0 to 1."""
        inside = torch._C._are_functorch_transforms_active()
        if inside or torch.compiler.is_compiling():
            x = x[:0]  # then no value can be looked at
        _check_images("DRAW", x, self.image_shape)


# -- The module --
class DRAWDecoder(DRAWParts):
    """The half of a DRAW that paints: it hears z and sees no picture."""

    def write(self, decoder_out: Tensor) -> Tensor:
        """Turn what the decoder says into an addition to the canvas.

        Args:
            decoder_out: shape (B, 10 + C M M) with attention: the aim of the
                next look, the aim of this write, the patch. Without: all the
                picture, (B, C H W).

        Returns:
            Log odds to add, shape (B, C, H, W).

        Source: Gregor et al. (2015), eq. 8, 18 and 29; slide 24.
        """
        shaped("DRAW.write", "decoder_out", decoder_out, "B", self.said)
        if self.writer is None:
            return decoder_out.unflatten(1, self.image_shape)
        shape = self.image_shape[0], self.writer.n, self.writer.n
        patch = decoder_out[:, 10:].unflatten(1, shape)
        return self.writer.write(patch, bounded(decoder_out[:, 5:10]))

    def decode(self, z: Tensor) -> DrawTrajectory:
        """Paint what z says: shape (T, n, Z), of any number of steps T.

        Raises:
            ValueError: if z has another shape.

        Source: Gregor et al. (2015), eq. 14 and 15.
        """
        real = isinstance(z, Tensor) and z.is_floating_point() and z.ndim == 3
        if not real or not len(z) or z.shape[2] != self.latent:
            what = f"{tuple(z.shape)}" if isinstance(z, Tensor) else type(z)
            raise ValueError(f"DRAW.decode: z is {what}, expected (T, n, {self.latent})")
        c, _, _, h_dec, s_dec = self.first(z.shape[1])
        canvases, boxes = [], []
        for z_t in z.to(self.wide).unbind(0):
            h_dec, s_dec = self.decoder(z_t, (h_dec, s_dec))  # eq. 14
            decoder_out = self.say(h_dec)
            c = c + self.write(decoder_out)  # eq. 15
            canvases.append(c)
            if self.writer is not None:
                aim = bounded(decoder_out[:, 5:10].detach())
                boxes.append(self.writer.box(aim))
        where = torch.stack(boxes) if boxes else None
        return DrawTrajectory(torch.stack(canvases), where)

    def boxes(self, aims: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Boxes of reading and writing, of aims (T + 1, B, 2, 5)."""
        if self.reader is None or self.writer is None or aims.ndim != 4:
            return None, None
        T, looks, writes = len(aims) - 1, aims[:-1, :, 0], aims[1:, :, 1]
        read = self.reader.box(looks.flatten(0, 1)).unflatten(0, (T, -1))
        write = self.writer.box(writes.flatten(0, 1)).unflatten(0, (T, -1))
        return read, write

    @torch.no_grad()
    def trajectory(self, n: int, generator: torch.Generator | None = None) -> DrawTrajectory:
        """Draw n pictures from the prior, noise from the generator; keep
        every canvas on the way.

        Source: Gregor et al. (2015), eq. 13 to 15.
        """
        n = whole("DRAW.trajectory", "n", n, 0)
        return self.decode(self.noise(n, generator))  # z_t ~ N(0, 1)

    def generate(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n pictures from the prior, noise from the generator:
        probability of ink, shape (n, C, H, W).

        Source: Gregor et al. (2015), eq. 13 to 16.
        """
        n = whole("DRAW.generate", "n", n, 0)
        return torch.sigmoid(self.trajectory(n, generator).canvases[-1])


# -- The module --
def takes_fused(model: "DRAW", x: Tensor, fused: bool | None) -> bool:
    """Whether the engine room has a way through this model."""
    e, d = model.encoder, model.decoder
    q, y = model.posterior, model.write_head
    peep = any(getattr(cell, "peephole", None) is not None for cell in (e, d))
    bare = any(getattr(layer, "bias", None) is None for layer in (q, y))
    if fused and (peep or bare):
        raise ValueError(
            "DRAW: fused=True, but a cell has peepholes or a layer no bias; "
            "leave `fused` away and the plain way is taken"
        )
    return use_fused(
        False if peep or bare else fused,
        model,
        DRAW,
        x,
        encoder=LSTMCell,
        decoder=LSTMCell,
        posterior=nn.Linear,
        write_head=nn.Linear,
        reader=Filterbank,
        writer=Filterbank,
    )


def fused_steps(model: "DRAW", x, noise, keep: bool) -> DrawSteps:
    """Hand the model's tensors to the engine room."""
    e, d = model.encoder, model.decoder
    q, y = model.posterior, model.write_head
    sizes = [bank.n for bank in (model.reader, model.writer) if bank]
    return fused_draw(
        x,
        noise,
        model.canvas,
        model.start,
        (e.weight_x, e.weight_h, e.bias),
        (d.weight_x, d.weight_h, d.bias),
        (q.weight, q.bias),
        (y.weight, y.bias),
        (sizes[0], sizes[1]),
        BOUND,
        keep,
    )


# -- The module --
def plain_steps(c, posteriors, said, canvases) -> DrawSteps:
    """What the plain loop has gathered, in the form of the engine room."""
    aims = torch.stack([out[:, :10].detach() for out in said])
    if aims.shape[2] == 10:
        aims = bounded(aims.unflatten(2, (2, 5)))
    mu, log_sigma = torch.stack(posteriors).chunk(2, 2)
    kept = torch.stack(canvases) if canvases else c.new_empty(0, *c.shape)
    return DrawSteps(c, mu, log_sigma, aims, kept)


@torch.no_grad()
def importance_bound(model: "DRAW", x: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    """-log of the mean weight p(x, z) / q(z | x) of k draws, shape (B,).

    The weights hold the SAMPLED log p(z) - log q(z | x) of all steps, not
    the closed-form KL. Source: Burda et al. (2016), eq. 8.
    """
    log_weights = []
    for _ in range(whole("DRAW.importance_nats", "k", k, 1)):
        out = model(x, generator)
        squares = out.noise.square() - out.z.square()
        log_ratio = (squares / 2 + out.log_sigma).sum((0, 2))
        nll = out.nll_bound - out.kl.sum(0)
        log_weights.append(log_ratio - nll)
    return math.log(k) - torch.logsumexp(torch.stack(log_weights), 0)


# -- The module --
class DRAW(DRAWDecoder):
    """A variational auto-encoder that makes its picture in steps.

    First canvas and first states are learned, as in the paper (section 2.1,
    recalled). That both grids start wide, centred and soft is ours.

    Args:
        image_shape: channels, rows, columns.
        steps: T. No weight belongs to a step: change `model.steps` freely.
        hidden: cells of each LSTM.
        latent: numbers in each z_t.
        read_size, write_size: filters along a side of each grid.
        attention: False reads both pictures whole and writes whole canvases.

    Raises:
        TypeError, ValueError: if a size is none, or a grid does not fit.

    Source: Gregor et al. (2015), sections 2 and 3; slides 21 to 26.
    """

    def read(self, x: Tensor, error: Tensor, decoder_out: Tensor) -> Tensor:
        """Look at the images x and the error, both (B, C, H, W), where
        decoder_out of the step before says (see `write`): shape (B, R).

        Source: Gregor et al. (2015), eq. 4, 17 and 27; slide 24.
        """
        both = self.together(x, error, decoder_out)
        if self.reader is not None:
            both = self.reader.read(both, bounded(decoder_out[:, :5]))
        return both.flatten(1)

    def forward(
        self,
        x: Tensor,
        generator: torch.Generator | None = None,
        keep: bool = False,
        fused: bool | None = None,
    ) -> DRAWOutput:
        """Take all steps: look, guess, write.

        Args:
            x: images, shape (B, C, H, W), from 0 to 1, of any real type.
            generator: where the noise comes from.
            keep: whether the canvas of each step is returned.
            fused: None takes the fast way if no hook, own method or own
                part is there; True insists; False can be differentiated
                twice.

        Returns:
            A DRAWOutput.

        Raises:
            TypeError, ValueError: if x, `steps` or `fused` cannot be so.

        Source: Gregor et al. (2015), eq. 1 to 12; slides 24 and 25.
        """
        self.check(x)
        x, noise = x.to(self.wide), self.noise(len(x), generator)
        if takes_fused(self, x, fused):  # the same numbers, engine room
            steps = fused_steps(self, x, noise, keep)
        else:
            c, h_enc, s_enc, h_dec, s_dec = self.first(len(x))
            said, posteriors, canvases = [self.say(h_dec)], [], []
            for epsilon in noise.unbind(0):
                error = x - torch.sigmoid(c)  # eq. 3
                r = self.read(x, error, said[-1])  # eq. 4
                heard = torch.cat([r, h_dec], 1)
                h_enc, s_enc = self.encoder(heard, (h_enc, s_enc))  # eq. 5
                q = self.posterior(h_enc).to(c.dtype)  # eq. 1, 2
                mu, log_sigma = q.chunk(2, 1)
                z = mu + log_sigma.exp() * epsilon  # eq. 6
                h_dec, s_dec = self.decoder(z, (h_dec, s_dec))  # eq. 7
                said.append(self.say(h_dec))
                c = c + self.write(said[-1])  # eq. 8
                posteriors.append(q)
                canvases.append(c.detach())
            steps = plain_steps(c, posteriors, said, canvases if keep else [])
        with no_autocast(x.device.type):
            c, mu, log_sigma, aims, canvases = steps
            kl = kl_from_standard(mu, log_sigma)  # eq. 10, 11
            nll = bernoulli_nats(c, x) + kl.sum(0)  # eq. 9, 12
            where = *self.boxes(aims), canvases if keep else None
        return DRAWOutput(nll, kl, c, *where, mu, log_sigma, noise)

    def importance_nats(self, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """A tighter bound of -log p(x) by k draws: nats, (B,), of x as in
        `forward`, noise from the generator.

        Source: Burda et al. (2016), eq. 8.
        """
        return importance_bound(self, x, k, generator)
