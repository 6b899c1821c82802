"""How well light of several fluorophores can be told apart: the Cramér–Rao bound and the unmixing matrix."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cramer_rao_bound", "unmixing_matrix"]

WORST_CONDITION = 1e6  # of a mixing matrix: beyond it the bound is off by percents; real ones stay below thousands


def cramer_rao_bound(mixing: Tensor, abundance: Tensor, read_noise_electrons: float | Tensor = 0.0) -> Tensor:
    r"""Smallest variance that any unbiased estimate of the abundances can have.

    .. math::
        \mathrm{CRLB} = \mathrm{diag}\bigl[(M^\top \Sigma^{-1} M)^{-1}\bigr], \qquad
        \Sigma = \mathrm{diag}(M a + \sigma_r^2)

    For photon noise as a Gaussian of the same variance, without what the variance itself tells: beside read noise the
    exact bound is 2 to 6 % lower where a channel collects no more electrons than :math:`\sigma_r^2`. The sum over
    fluorophores is the trace that filters are designed by; it has a gradient to the mixing matrix.

    Args:
        mixing: :math:`M`, ``(K, F)``, electrons in each channel per unit of abundance.
        abundance: :math:`a`, ``(…, F)``, 0 and above. read_noise_electrons: :math:`\sigma_r`, electrons rms.

    Shape:
        ``(…, F)``, abundance squared.

    Raises:
        ValueError: if the fluorophores cannot be told apart, as when there are fewer channels.

    References:
        Kay 1993, Fundamentals of Statistical Signal Processing: Estimation Theory, chapter 3; Neher & Neher 2004,
        Journal of Microscopy 213:46–62 (channels for several fluorophores).

    Example:
        >>> cramer_rao_bound(torch.diag(torch.tensor([100.0, 400.0])), torch.tensor([1.0, 1.0]))
        tensor([0.0100, 0.0025])
    """
    _require_full_rank(mixing)
    double = mixing.double()
    variance = abundance.double() @ double.T + torch.as_tensor(read_noise_electrons, device=mixing.device).double() ** 2
    # a channel without light and noise says nothing
    weight = torch.where(variance > 0, 1 / variance.clamp(min=1e-30), torch.zeros_like(variance))
    information = torch.einsum("kf,...k,kg->...fg", double, weight, double)
    covariance, failed = torch.linalg.inv_ex(information)
    if bool(failed.any()):
        raise ValueError("Expected light of every fluorophore in some channel, but got none; raise the abundance.")
    return covariance.diagonal(dim1=-2, dim2=-1).to(mixing.dtype)


def unmixing_matrix(mixing: Tensor) -> Tensor:
    r"""Abundances from readings by least squares, :math:`(M^\top M)^{-1} M^\top`, ``(F, K)``.

    Args:
        mixing: :math:`M`, ``(K, F)``.

    Raises:
        ValueError: if the fluorophores cannot be told apart, as when there are fewer channels.

    Example:
        >>> unmixing_matrix(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    _require_full_rank(mixing)
    double = mixing.double()
    return torch.linalg.solve(double.T @ double, double.T).to(mixing.dtype)


def _require_full_rank(mixing: Tensor) -> None:
    if mixing.ndim != 2:
        raise ValueError(f"Expected mixing to be (K, F), channels by fluorophores, but got {tuple(mixing.shape)}.")
    channels, count = mixing.shape
    if channels < count:
        raise ValueError(
            f"Expected as many channels as fluorophores or more, but got {channels} for {count}, and their mixing "
            f"matrix is singular; add filters."
        )
    values = torch.linalg.svdvals(mixing.detach().double())
    if not float(values[-1]) * WORST_CONDITION > float(values[0]):
        raise ValueError(
            "Expected fluorophores that the channels can tell apart, but got a singular mixing matrix; move the "
            "filters or take fluorophores of other colours."
        )
