# Generated from book/vae.md by tools/export.py. Edit the chapter, not this file.
"""Variational auto-encoder: the picture in one shot.

A whole picture in one shot, and a bound on how likely it is.

The chapter book/vae.md builds this module and explains each line.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from softattn.images import from_chance, real, told, whole

__all__ = ["VAE", "VAEOutput", "bernoulli_nats", "kl_from_standard", "reparametrise"]


# -- Learning through noise --
def _pair(name: str, mu: Tensor, log_sigma: Tensor) -> None:
    """Raise ValueError unless both are floats of one shape, Z last."""
    for what, x in (("mu", mu), ("log_sigma", log_sigma)):
        right = isinstance(x, Tensor) and x.is_floating_point()
        if not right or x.ndim == 0:
            raise ValueError(f"{name}: {what} is {told(x)}, expected floats of shape (..., Z)")
    if mu.shape != log_sigma.shape:
        raise ValueError(f"{name}: mu is {told(mu)} and log_sigma {told(log_sigma)}, expected one shape for both")


# -- Learning through noise --
def kl_from_standard(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)), summed over the last dimension.

    Args:
        mu, log_sigma: floats, shape (..., Z).

    Returns:
        Nats, shape (...).

    Source: Kingma and Welling (2014), appendix B; Gregor et al. (2015),
    eq. 11, where -T/2 is for one latent dimension.
    """
    _pair("kl_from_standard", mu, log_sigma)
    square = mu.square() + torch.exp(2 * log_sigma)
    return 0.5 * (square - 1 - 2 * log_sigma).sum(-1)


# -- Learning through noise --
def reparametrise(mu: Tensor, log_sigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw z from N(mu, sigma^2) as mu + sigma * noise: gradients pass.

    Args:
        mu, log_sigma: floats, shape (..., Z).
        generator: where the noise comes from, drawn on its device and then
            moved; None: the default one of mu's device.

    Returns:
        z, the shape of mu.

    Source: Kingma and Welling (2014), section 2.4.
    """
    _pair("reparametrise", mu, log_sigma)
    from_chance("reparametrise", generator, needed=False)
    there = mu.device if generator is None else generator.device
    noise = torch.randn(mu.shape, generator=generator, device=there, dtype=mu.dtype)
    return mu + log_sigma.exp() * noise.to(mu.device)


# -- Pixels, summed --
def _check_pixels(logits: Tensor, x: Tensor) -> None:
    both = isinstance(logits, Tensor) and isinstance(x, Tensor)
    if both and logits.is_floating_point() and not x.is_complex():
        if logits.ndim > 1 and logits.shape == x.shape:
            return
    raise ValueError(
        f"bernoulli_nats: logits are {told(logits)}, x is {told(x)}; expected floats and pixels of one shape"
    )


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Score independent pixels: -log p(x), summed over each image.

    Args:
        logits: log odds of ink, floats, shape (B, C, H, W).
        x: pixels from 0 to 1, the same shape, any type.

    Returns:
        Nats, shape (B,): a sum over pixels, not a mean.

    Raises:
        ValueError: if shapes differ, or the log odds are no floats.
    """
    _check_pixels(logits, x)
    pixels = binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none")
    return pixels.flatten(1).sum(1)


# -- The machine --
def _check_images(name: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x is (B, C, H, W), numbers from 0 to 1."""
    wanted = ", ".join(map(str, shape))
    right = isinstance(x, Tensor) and not x.is_complex() and x.ndim == 4
    if not right or tuple(x.shape[1:]) != tuple(shape):
        came = told(x)
        raise ValueError(f"{name}: images are {came}, expected (B, {wanted})")
    if x.numel() and x.device.type != "meta":
        low, high = x.amin().item(), x.amax().item()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{name}: pixels from {low:g} to {high:g}, expected 0 to 1, without NaN; divide bytes by 255"
            )


def _tower(sizes: list[int], dropout: float) -> nn.Sequential:
    """Linear, SiLU, Dropout for each hidden layer, and a last Linear."""
    parts: list[nn.Module] = []
    for k in range(len(sizes) - 2):
        parts += [nn.Linear(sizes[k], sizes[k + 1]), nn.SiLU()]
        parts += [nn.Dropout(dropout)]
    return nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1]))


# -- The machine --
class ImageCoder(nn.Module):
    """Two towers: an encoder from images to q(z | x), a decoder back."""

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent: int = 50,
        hidden: int = 512,
        layers: int = 2,
        dropout: float = 0.0,
    ):
        super().__init__()
        if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
            raise ValueError(f"VAE: image_shape is {told(image_shape)}, expected (C, H, W)")
        C, H, W = image_shape
        whole("VAE", C=C, H=H, W=W, latent=latent, hidden=hidden)
        whole("VAE", layers=layers)
        real("VAE", 0, 1, dropout=dropout)
        self.image_shape, self.latent = (C, H, W), latent
        between = layers * [hidden]
        self.encoder = _tower([C * H * W, *between, 2 * latent], dropout)
        self.decoder = _tower([latent, *between, C * H * W], dropout)

    def _typed(self, x: Tensor) -> tuple[Tensor, torch.dtype]:
        """x in the type of the weights, and the type of what comes out."""
        dtype = next(self.encoder.parameters()).dtype
        return x.to(dtype), torch.promote_types(dtype, torch.float32)


# -- The machine --
class VAEOutput(NamedTuple):
    """What one pass through a VAE knows about a batch.

    Args:
        nll_bound: upper bound of -log p(x) in nats, shape (B,):
            -log p(x | z) + KL, one draw of z.
        kl: its second part, KL(q(z | x) || p(z)), shape (B,).
        logits: log odds of ink given z, shape (B, C, H, W).
    """

    nll_bound: Tensor
    kl: Tensor
    logits: Tensor

    @property
    def reconstruction(self) -> Tensor:
        """Probability of ink, shape (B, C, H, W).

        Source: Kingma and Welling (2014), appendix C.1.
        """
        return torch.sigmoid(self.logits)


# -- The machine --
class VAE(ImageCoder):
    """A variational auto-encoder; Bernoulli pixels, prior N(0, 1).

    Args:
        image_shape: channels, rows, columns.
        latent: numbers in z.
        hidden: units in each hidden layer.
        layers: hidden layers of the encoder and of the decoder, each.
        dropout: share of hidden units silenced in training.

    Raises:
        ValueError: if a size is no whole number of at least 1.

    Source: Kingma and Welling (2014); Rezende et al. (2014); slide 23.
    """

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Guess the posterior q(z | x).

        Args:
            x: images, shape (B, C, H, W), from 0 to 1, any type.

        Returns:
            Mean and log standard deviation, (B, Z), float32 at least.
        """
        _check_images("VAE", x, self.image_shape)
        x, wide = self._typed(x)
        mu, log_sigma = self.encoder(2 * x.flatten(1) - 1).chunk(2, -1)
        return mu.to(wide), log_sigma.to(wide)

    def decode(self, z: Tensor) -> Tensor:
        """Tell the pixels of each z.

        Args:
            z: shape (B, Z).

        Returns:
            Log odds of ink, shape (B, C, H, W), float32 at least.
        """
        _check_latent(z, self.latent)
        z, wide = self._typed(z)
        return self.decoder(z).to(wide).unflatten(1, self.image_shape)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> VAEOutput:
        """Encode, draw one z for each image, decode.

        Args:
            x: images, shape (B, C, H, W), from 0 to 1.
            generator: where the noise comes from.

        Returns:
            A VAEOutput.
        """
        mu, log_sigma = self.encode(x)
        logits = self.decode(reparametrise(mu, log_sigma, generator))
        kl = kl_from_standard(mu, log_sigma)
        return VAEOutput(bernoulli_nats(logits, x) + kl, kl, logits)

    @torch.no_grad()
    def generate(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z from the prior and decode it.

        Args:
            n: how many images. generator: where the noise comes from.

        Returns:
            Probability of ink, shape (n, C, H, W).
        """
        return _from_prior(self, n, generator)

    @torch.no_grad()
    def importance_nats(self, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """A tighter bound of -log p(x), from k draws an image.

        Args:
            x: images. k: at least 1, the ELBO. generator: of the noise.

        Returns:
            Nats, shape (B,).

        Source: Burda et al. (2016), eq. 8.
        """
        return _importance(self, x, k, generator)


# -- The machine --
def _check_latent(z: Tensor, latent: int) -> None:
    right = isinstance(z, Tensor) and not z.is_complex() and z.ndim == 2
    if not right or z.shape[1] != latent:
        raise ValueError(f"VAE: z is {told(z)}, expected (B, {latent})")


def _from_prior(model: VAE, n: int, generator: torch.Generator | None) -> Tensor:
    whole("VAE.generate", 0, n=n)
    from_chance("VAE.generate", generator, needed=False)
    weight = next(model.decoder.parameters())
    there = weight.device if generator is None else generator.device
    z = torch.randn(n, model.latent, generator=generator, device=there)
    return torch.sigmoid(model.decode(z.to(weight.device)))


# -- How tight is it? --
@torch.no_grad()
def _importance(model: VAE, x: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    """-log of the mean of k weights p(x, z) / q(z | x), nats (B,).

    They hold the SAMPLED log p(z) - log q(z | x), not the closed-form KL:
    a mean has no place inside a log.
    """
    whole("VAE.importance_nats", k=k)
    mu, log_sigma = model.encode(x)
    log_weights = []
    for _ in range(k):
        z = reparametrise(mu, log_sigma, generator)
        noise = (z - mu) * torch.exp(-log_sigma)
        squares = 0.5 * (noise.square() - z.square()).sum(1)
        log_ratio = squares + log_sigma.sum(1)  # log p(z) - log q(z | x)
        log_weights.append(log_ratio - bernoulli_nats(model.decode(z), x))
    return math.log(k) - torch.logsumexp(torch.stack(log_weights), 0)
