"""Base of the layers that take k of N places of their hardware: pixels, k-space lines, views, elements."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.randomness import Noise
from physlayer.core.subset import choose
from physlayer.core.validation import plain_number

__all__ = ["SubsetLayer"]


class SubsetLayer(PhysicalLayer):
    r"""A layer that takes exactly ``keep`` of the places that its ``logits`` have.

    .. math::
        m = \mathrm{TopK}_k(\phi + g) \in \{0, 1\}^N, \qquad \textstyle\sum m = k

    A subclass calls :meth:`register_choice` once and multiplies what it reads by :meth:`masks`; the budget, the export
    and the settings are here. In ``train()`` the Gumbel noise :math:`g` of learned logits is fresh for every
    image, so that the network meets many masks; in ``eval()`` there is none. Surrogate gradient:
    :func:`physlayer.core.subset.choose`.

    Example:
        >>> class Shutters(SubsetLayer):
        ...     def __init__(self, logits, keep):
        ...         super().__init__()
        ...         self.register_choice(logits, keep)
        ...     def forward(self, x):
        ...         self.check(x)
        ...         return x * self.masks(x)[:, None, None]
        >>> Shutters(nn.Parameter(torch.tensor([0.1, 2.0, 1.0])), 2).eval()(torch.ones(1, 1, 1, 3)).detach()
        tensor([[[[0., 1., 1.]]]])
    """

    keep: int
    always_on: Tensor | None

    def register_choice(
        self,
        logits: Tensor | nn.Parameter | None,
        keep: int | None,
        *,
        places: int | None = None,
        always_on: Tensor | None = None,
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ) -> None:
        r"""Register what is chosen from.

        Args:
            logits: :math:`\phi`, any shape, unit 1; ``nn.Parameter`` to learn the choice, a plain 0/1 map with ``keep``
                ones for a given one. ``None``, and ``keep`` too, takes all ``places``.
            keep: :math:`k`, those of ``always_on`` among them.
            places: N, for hardware whose places are a list.
            always_on: 0/1 of the same shape: taken whatever the logits.
            temperature: of the surrogate, unit 1. gumbel: ``False`` for no noise in ``train()``.
            noise_seed: of the Gumbel noise.

        Raises:
            ValueError: if ``keep`` is not in 1…N or less than ``always_on`` holds, a given map has other ones, or the
                logits have another number of places.
        """
        if (logits is None) != (keep is None):
            raise ValueError("Expected logits and keep together, but got only one of them.")
        if logits is None or keep is None:
            if places is None:
                raise ValueError("Expected logits with keep, or places to take them all, but got neither.")
            self.keep = places
            return
        if places is not None and tuple(logits.shape) != (places,):
            raise ValueError(f"Expected logits to be ({places},), but got {tuple(logits.shape)}.")
        self.keep = plain_number("keep", keep, 1, logits.numel(), whole=True)
        if always_on is not None:
            always_on = torch.as_tensor(always_on).to(torch.get_default_dtype())
            if always_on.shape != logits.shape or not _is_map(always_on):
                raise ValueError(f"Expected always_on to hold zeros and ones of shape {tuple(logits.shape)}.")
        self.always = 0 if always_on is None else int(always_on.sum())
        if self.always > self.keep:
            raise ValueError(f"Expected keep to be at least the {self.always} of always_on, but got {keep}.")
        if not isinstance(logits, nn.Parameter) and _is_map(logits):
            if int(logits.sum()) != self.keep:
                raise ValueError(
                    f"Expected logits to hold keep = {keep} ones, but got {int(logits.sum())}; change keep."
                )
            if always_on is not None and bool((always_on > logits).any()):
                raise ValueError("Expected logits to hold a one wherever always_on does, but got a zero; give both.")
        self.temperature = plain_number("temperature", temperature, 1e-3, 1e3)
        self.gumbel, self.noise = bool(gumbel), Noise(noise_seed)
        self.register_physical("mask", logits, unit="1", low=0.0, high=1.0, free=Quantity("logits"))
        self.register_buffer("always_on", always_on)

    @property
    def mask(self) -> Tensor:
        """The places of the hardware, zeros and ones, of the shape of the logits, with their gradient."""
        return self.drawn()

    def drawn(self, gumbel: Tensor | None = None) -> Tensor:
        """What is taken with that noise, with its gradient; it has a batch axis if ``gumbel`` has one."""
        axes, free, candidates = self.logits.ndim, self.keep - self.always, self.logits
        if self.always_on is None:
            return choose(candidates, free, axes=axes, temperature=self.temperature, gumbel=gumbel)
        if free == 0:
            return self.always_on + 0 * candidates
        # what is always on is no candidate: far below all others, whatever the logits
        candidates = torch.where(self.always_on > 0, candidates.detach().amin() - 1e3, candidates)
        return self.always_on + choose(candidates, free, axes=axes, temperature=self.temperature, gumbel=gumbel)

    def masks(self, x: Tensor) -> Tensor:
        """What is taken for every image of a batch, ``(B, …)`` in ``train()`` with noise, else ``(1, …)``."""
        if self.training and self.gumbel and "mask" in self.learned():
            return self.drawn(self.noise.gumbel(x.new_empty(len(x), *self.logits.shape)))
        return self.mask[None]

    @property
    def chooses(self) -> bool:
        """Whether there is anything to choose: otherwise all places are taken."""
        return "mask" in self.quantities

    def settings(self) -> dict:
        names = ("keep", "always", "temperature", "gumbel") if self.chooses else ()
        return {name: getattr(self, name) for name in names}


def _is_map(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())
