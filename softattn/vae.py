# Generated from book/vae.md by tools/export.py. Edit the chapter, not this file.
"""The picture in one shot.

An auto-encoder with a bound on the likelihood, the picture in one shot.

The chapter book/vae.md builds this module and explains each line.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = ["VAE", "VAEOutput", "bernoulli_nats", "kl_from_standard", "reparametrise"]


# -- Learning through noise --
def kl_from_standard(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)), summed over the last dimension.

    Args:
        mu, log_sigma: shape (..., Z).

    Returns:
        Nats, shape (...).

    Source: Kingma and Welling (2014), appendix B; Gregor et al. (2015), eq. 11, where -T/2 is for one latent dimension.
    """
    return 0.5 * (mu.square() + torch.exp(2 * log_sigma) - 1 - 2 * log_sigma).sum(-1)


def reparametrise(mu: Tensor, log_sigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw z from N(mu, sigma^2) as mu + sigma * noise, so that gradients reach mu and sigma.

    Args:
        mu, log_sigma: shape (..., Z).
        generator: where the noise comes from, drawn on its device and then moved; None: the default one of mu's device.

    Returns:
        z, the shape of mu.

    Source: Kingma and Welling (2014), section 2.4.
    """
    device = mu.device if generator is None else generator.device
    noise = torch.randn(mu.shape, generator=generator, device=device, dtype=mu.dtype).to(mu.device)
    return mu + log_sigma.exp() * noise


# -- Pixels, summed --
def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Score independent pixels: -log p(x), summed over each image.

    Args:
        logits: log odds of ink, shape (B, C, H, W).
        x: pixels from 0 to 1, the same shape.

    Returns:
        Nats, shape (B,): a sum over pixels, not a mean.
    """
    return binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


# -- The machine --
def _check_images(name: str, x: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless x is (B, C, H, W) with numbers from 0 to 1."""
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{name}: images have shape {tuple(x.shape)}, expected (B, {wanted})")
    if x.numel() and x.device.type != "meta" and not (x.amin() >= 0 and x.amax() <= 1):
        low, high = x.amin().item(), x.amax().item()
        raise ValueError(f"{name}: pixels from {low:g} to {high:g}, expected 0 to 1, without NaN; divide bytes by 255")


class VAEOutput(NamedTuple):
    """What one pass through a VAE knows about a batch.

    Args:
        nll_bound: upper bound of -log p(x) in nats, shape (B,): -log p(x | z) + KL, one draw of z.
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


class VAE(nn.Module):
    """A variational auto-encoder that writes the whole image in one shot; pixels are Bernoulli, the prior is N(0, 1).

    Args:
        image_shape: channels, rows, columns.
        latent: numbers in z.
        hidden: units in each hidden layer.
        layers: hidden layers of the encoder and of the decoder, each.
        dropout: share of hidden units silenced in training.

    Raises:
        ValueError: if a size is not positive.

    Source: Kingma and Welling (2014); Rezende et al. (2014); the left of slide 23.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent: int = 50,
        hidden: int = 512,
        layers: int = 2,
        dropout: float = 0.0,
    ):
        super().__init__()
        if len(image_shape) != 3 or min(*image_shape, latent, hidden, layers) < 1:
            raise ValueError(
                f"VAE: image_shape={tuple(image_shape)}, latent={latent}, hidden={hidden}, layers={layers}; "
                "expected (C, H, W) and numbers of at least 1"
            )
        self.image_shape, self.latent = tuple(image_shape), latent
        pixels = math.prod(image_shape)

        def tower(inputs: int, outputs: int) -> nn.Sequential:
            parts = []
            for k in range(layers):
                parts += [nn.Linear(hidden if k else inputs, hidden), nn.SiLU(), nn.Dropout(dropout)]
            return nn.Sequential(*parts, nn.Linear(hidden, outputs))

        self.encoder = tower(pixels, 2 * latent)
        self.decoder = tower(latent, pixels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Guess the posterior q(z | x).

        Args:
            x: images, shape (B, C, H, W), from 0 to 1.

        Returns:
            Mean and log standard deviation, each (B, Z), in float32 at least.

        Raises:
            ValueError: if the shape is another, or a pixel is no number from 0 to 1.
        """
        _check_images("VAE", x, self.image_shape)
        mu, log_sigma = self.encoder(2 * x.flatten(1) - 1).chunk(2, -1)
        wide = torch.promote_types(x.dtype, torch.float32)
        return mu.to(wide), log_sigma.to(wide)

    def decode(self, z: Tensor) -> Tensor:
        """Tell the pixels of each z.

        Args:
            z: shape (B, Z).

        Returns:
            Log odds of ink, shape (B, C, H, W), in float32 at least.

        Raises:
            ValueError: if the shape is another.
        """
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"VAE: z has shape {tuple(z.shape)}, expected (B, {self.latent})")
        wide = torch.promote_types(z.dtype, torch.float32)
        return self.decoder(z).to(wide).unflatten(1, self.image_shape)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> VAEOutput:
        """Encode, draw one z for each image, decode.

        Args:
            x: images, shape (B, C, H, W), from 0 to 1.
            generator: where the noise comes from.

        Returns:
            A VAEOutput.

        Raises:
            ValueError: if the shape is another, or a pixel is no number from 0 to 1.
        """
        mu, log_sigma = self.encode(x)
        logits = self.decode(reparametrise(mu, log_sigma, generator))
        kl = kl_from_standard(mu, log_sigma)
        return VAEOutput(bernoulli_nats(logits, x) + kl, kl, logits)

    @torch.no_grad()
    def importance_nats(self, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """A tighter bound of -log p(x) from k draws: -log of the mean weight p(x, z) / q(z | x); k = 1 is the ELBO.

        The weights hold the SAMPLED log p(z) - log q(z | x), not the closed-form KL: a mean has no place inside a log.

        Args:
            x: images, shape (B, C, H, W), from 0 to 1.
            k: draws for each image, at least 1.
            generator: where the noise comes from.

        Returns:
            Nats, shape (B,).

        Raises:
            ValueError: if k is below 1, the shape is another, or a pixel is no number from 0 to 1.

        Source: Burda et al. (2016), eq. 8.
        """
        if k < 1:
            raise ValueError(f"VAE.importance_nats: k={k}, expected at least 1")
        mu, log_sigma = self.encode(x)
        log_weights = []
        for _ in range(k):
            z = reparametrise(mu, log_sigma, generator)
            noise = (z - mu) * torch.exp(-log_sigma)
            log_ratio = 0.5 * (noise.square() - z.square()).sum(1) + log_sigma.sum(1)  # log p(z) - log q(z | x)
            log_weights.append(log_ratio - bernoulli_nats(self.decode(z), x))
        return math.log(k) - torch.logsumexp(torch.stack(log_weights), 0)

    @torch.no_grad()
    def generate(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z from the prior and decode it.

        Args:
            n: how many images.
            generator: where the noise comes from.

        Returns:
            Probability of ink, shape (n, C, H, W).

        Raises:
            ValueError: if n is negative.
        """
        if n < 0:
            raise ValueError(f"VAE.generate: n={n}, expected 0 or more")
        weight = self.decoder[0].weight
        device = weight.device if generator is None else generator.device
        z = torch.randn(n, self.latent, generator=generator, device=device).to(weight)
        return torch.sigmoid(self.decode(z))
