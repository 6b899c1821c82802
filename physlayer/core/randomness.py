r"""Randomness of noisy hardware: explicit seeds, fresh in ``train()``, fixed per image in ``eval()``.

* ``train()``: every call draws anew, from a stream that the layer owns. :func:`seed_noise` starts it; the order of the
  data, augmentation and dropout draw from other streams, so runs that differ in their noise stay paired.
* ``eval()``: image ``i`` of a set meets the same noise whatever stands beside it. :func:`noise_draw` chooses the
  repetition and says which image is the first of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Noise", "noise_draw", "seed_noise"]


class Noise:
    """The random numbers of one layer; the layer holds it as a plain attribute.

    Example:
        >>> noise, x = Noise(), torch.zeros(4, 1, 2, 2)
        >>> torch.equal(noise.normal(x, training=False)[:2], noise.normal(x[:2], training=False))
        True
        >>> torch.equal(noise.normal(x, training=True), noise.normal(x, training=True))
        False
    """

    def __init__(self, seed: int = 0):
        self.seed, self.draw, self.first, self.place = seed, 0, 0, 0
        self._streams: dict[str, torch.Generator] = {}

    def normal(self, like: Tensor, *, training: bool, stream: str = "read") -> Tensor:
        """Standard normal numbers of the shape of ``like``, ``(B, C, H, W)``."""
        if training:
            return torch.randn(like.shape, generator=self._running(like.device), device=like.device, dtype=like.dtype)
        each = [torch.randn(like.shape[1:], generator=g, dtype=like.dtype) for g in self._fixed(len(like), stream)]
        return torch.stack(each).to(like.device)

    def poisson(self, mean: Tensor, *, training: bool, stream: str = "photons") -> Tensor:
        """Poisson counts of the given mean, ``(B, C, H, W)``; no gradient, see :func:`photon_counts`."""
        mean = mean.detach().clamp(min=0)  # light that an FFT has rounded to just below 0
        if training:
            return torch.poisson(mean, generator=self._running(mean.device))
        held = mean.cpu()
        each = [torch.poisson(m, generator=g) for m, g in zip(held, self._fixed(len(held), stream), strict=True)]
        return torch.stack(each).to(mean.device)

    def binomial(self, count: int, chance: Tensor, *, training: bool, stream: str = "frames") -> Tensor:
        """Successes in ``count`` trials of the given chance, ``(B, C, H, W)``; no gradient."""
        chance = chance.detach().clamp(0, 1)
        if training:
            counts = torch.full_like(chance, count)
            return torch.binomial(counts, chance, generator=self._running(chance.device))
        held = chance.cpu()
        counts = torch.full_like(held[0], count)
        each = [
            torch.binomial(counts, c, generator=g) for c, g in zip(held, self._fixed(len(held), stream), strict=True)
        ]
        return torch.stack(each).to(chance.device)

    def uniform(self, like: Tensor, *, training: bool, stream: str = "defects") -> Tensor:
        """Uniform numbers in 0 ≤ u < 1 of the shape of ``like``, ``(B, C, H, W)``."""
        if training:
            return torch.rand(like.shape, generator=self._running(like.device), device=like.device, dtype=like.dtype)
        each = [torch.rand(like.shape[1:], generator=g, dtype=like.dtype) for g in self._fixed(len(like), stream)]
        return torch.stack(each).to(like.device)

    def gamma(self, shape: Tensor, *, training: bool, stream: str = "speckle") -> Tensor:
        """Gamma numbers of unit scale and the given shape, ``(B, C, H, W)``, with the gradient to it.

        The gradient is pathwise, by implicit reparametrisation (Figurnov 2018, arXiv:1805.08498), to within 1 %.
        """
        # the sampler of torch.distributions.Gamma, which itself takes no generator
        if training:
            return torch._standard_gamma(shape, generator=self._running(shape.device))
        held = shape.cpu()
        each = [
            torch._standard_gamma(s, generator=g) for s, g in zip(held, self._fixed(len(held), stream), strict=True)
        ]
        return torch.stack(each).to(shape.device)

    def gumbel(self, like: Tensor) -> Tensor:
        """Standard Gumbel numbers of the shape of ``like``; for choices that are drawn in ``train()`` only."""
        uniform = torch.rand(like.shape, generator=self._running(like.device), device=like.device, dtype=like.dtype)
        return -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))

    def pattern(self, shape: tuple[int, ...], like: Tensor, name: str) -> Tensor:
        """Standard normal numbers that belong to the device itself, the same for all images and draws."""
        generator = torch.Generator().manual_seed(_seed(self.seed, name))
        return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)

    def restart(self, seed: int, place: int) -> None:
        """Begin the stream of ``train()`` anew; what ``eval()`` draws does not depend on it."""
        self._streams = {}
        self._start = _seed(seed, place, "train")

    def _running(self, device: torch.device) -> torch.Generator:
        key = str(device)
        if key not in self._streams:
            start = getattr(self, "_start", _seed(self.seed, self.place, "train"))
            self._streams[key] = torch.Generator(device).manual_seed(start)
        return self._streams[key]

    def _fixed(self, count: int, stream: str) -> Iterator[torch.Generator]:
        for image in range(self.first, self.first + count):
            yield torch.Generator().manual_seed(_seed(self.seed, self.place, stream, self.draw, image))

    def __deepcopy__(self, memo: dict) -> Noise:
        """A copy with the same seeds, whose stream of ``train()`` begins anew: generators are not shared."""
        other = Noise(self.seed)
        other.__dict__ |= {name: value for name, value in self.__dict__.items() if name != "_streams"}
        return other

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_streams"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state | {"_streams": {}}


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


def _noises(model: nn.Module) -> list[Noise]:
    """Noise of hardware first: a layer that only draws its choices in ``train()`` shifts no sensor's numbers."""
    found = [(module, value) for module in model.modules() for value in vars(module).values()]
    found = [(module, value) for module, value in found if isinstance(value, Noise)]
    return [value for _, value in sorted(found, key=lambda pair: not getattr(pair[0], "noisy", True))]


def seed_noise(model: nn.Module, seed: int) -> None:
    """Start the noise of ``train()`` of every layer from ``seed``, each layer on a stream of its own."""
    for place, noise in enumerate(_noises(model)):
        noise.restart(seed, place)


@contextmanager
def noise_draw(model: nn.Module, draw: int = 0, first: int = 0) -> Iterator[None]:
    """Within the block, ``eval()`` repeats the exposure number ``draw``, and batches begin at image ``first``.

    Each noisy layer of the model draws its own numbers by its place in the model.

    Example:
        >>> from physlayer import Sensor
        >>> camera, x = Sensor(exposure_photons=100.0).eval(), torch.full((1, 1, 2, 2), 0.5)
        >>> with noise_draw(camera, draw=1): again = camera(x)
        >>> torch.equal(camera(x), camera(x)), torch.equal(camera(x), again)
        (True, False)
    """
    found = _noises(model)
    before = [(noise.draw, noise.first, noise.place) for noise in found]
    try:
        for place, noise in enumerate(found):
            noise.draw, noise.first, noise.place = draw, first, place
        yield
    finally:
        for noise, state in zip(found, before, strict=True):
            noise.draw, noise.first, noise.place = state
