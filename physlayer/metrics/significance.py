"""What may be claimed of a comparison: exact tests, agreement between seeds, and the setting that is good enough."""

from __future__ import annotations

import numpy as np

from physlayer.metrics.statistics_inputs import checked_vector, expect

__all__ = ["holm", "knee", "mcnemar_exact", "seed_correlation", "sign_flip_p"]


def sign_flip_p(differences) -> float:
    r"""Exact two-sided p of a zero mean, if the sign of each paired difference is a coin toss.

    .. math:: p = 2^{-n}\,\#\bigl\{\epsilon\in\{-1,1\}^n : \lvert\textstyle\sum_i\epsilon_i d_i\rvert \ge
              \lvert\sum_i d_i\rvert\bigr\} \ge 2/2^n

    with d the differences of n paired seeds (any unit): 3 seeds cannot go below 0.25, 6 reach 0.031.

    Shapes: (n,), n ≤ 20. Raises: ValueError on NaN, another shape, or more than 20 differences.
    Source: Pitman 1937, doi:10.2307/2984124.

    >>> sign_flip_p([0.02, 0.01, 0.03])
    0.25
    """
    differences = checked_vector(differences, "differences")
    number = len(differences)
    expect(number <= 20, "differences to hold at most 20 values", number, "use a Wilcoxon test")
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    tolerance = 1e-9 * np.abs(differences).sum()
    return float((np.abs(sums) >= np.abs(differences.sum()) - tolerance).mean())


def holm(p_values) -> np.ndarray:
    r"""Adjust p-values so that the chance of any false claim among them stays below the level used.

    .. math:: \tilde p_{(i)} = \min\bigl(1, \max_{j\le i}\,(m-j+1)\,p_{(j)}\bigr)

    with p₍ᵢ₎ the i-th smallest of m p-values, of contrasts declared before looking.

    Shapes: (m,) to (m,). Raises: ValueError on NaN or values outside 0…1.
    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70 (no DOI).

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p_values = checked_vector(p_values, "p_values")
    low, high = p_values.min(), p_values.max()
    expect(low >= 0 and high <= 1, "p_values to lie in 0…1", f"{low}…{high}", "pass probabilities")
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * p_values[order]
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def mcnemar_exact(correct_a, correct_b) -> float:
    r"""Exact two-sided p that two classifiers err equally often on the same, independent images.

    .. math:: p = P\bigl(\lvert X - n/2\rvert \ge \lvert n_{10} - n/2\rvert\bigr),\quad
              X\sim\mathrm{Bin}(n, ½),\; n = n_{10}+n_{01}

    with n₁₀ images that only a, n₀₁ that only b gets right. For copies use `paired_difference`.

    Shapes: (N,) true or false. Raises: ValueError on unequal shapes or other values.
    Source: McNemar 1947, doi:10.1007/BF02295996.

    >>> mcnemar_exact([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1])
    0.0625
    """
    from scipy.stats import binomtest

    a, b = checked_vector(correct_a, "correct_a"), checked_vector(correct_b, "correct_b")
    good = a.shape == b.shape and np.isin((a, b), (0, 1)).all()
    what = "correct_a and correct_b to be true or false for each image"
    expect(good, what, f"{a.shape} and {b.shape}", "compare predictions with targets first")
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def seed_correlation(maps) -> float:
    r"""Mean Pearson correlation over all pairs of seeds: is the learned map the same each time?

    .. math:: \bar r = \frac{2}{S(S-1)}\sum_{s<t}\mathrm{corr}(m_s, m_t)

    with m the map of a seed (any unit) as a vector.

    Shapes: (S, …), S ≥ 2. Raises: ValueError on fewer seeds, NaN, or a constant map.
    Source: Pearson 1895, doi:10.1098/rspl.1895.0041.

    >>> seed_correlation([[[1, 2], [3, 4]], [[2, 4], [6, 8]]])
    1.0
    """
    maps = np.asarray(maps, dtype=np.float64)
    good = maps.ndim > 1 and len(maps) > 1 and np.isfinite(maps).all()
    expect(good, "maps to be finite, of shape (seeds ≥ 2, …)", maps.shape, "stack the maps")
    flat = maps.reshape(len(maps), -1)
    varies = flat.size > 0 and (np.ptp(flat, axis=1) > 0).all()
    expect(varies, "maps to vary over space", "a constant map", "leave that seed out and say so")
    return float(np.corrcoef(flat)[np.triu_indices(len(flat), 1)].mean())


def knee(values, lower_bounds, margin=0.01):
    r"""Smallest setting that is non-inferior to full quality by a margin, or None if none is.

    .. math:: k = \min\{v : L_u > -\delta\ \text{for all settings}\ u \ge v\}

    with L the lower bound of (score at the setting - score at full quality), ``low`` of `paired_difference`
    at ``level=0.9``, and δ the margin, in the unit of the score. Settings are tested from the largest down to
    the first failure, which needs no correction for their number.

    Shapes: values, lower_bounds (n,). Raises: ValueError on other shapes, NaN, repeated values, margin ≤ 0.
    Source: fixed sequence, Westfall, Krishen 2001, doi:10.1016/S0378-3758(01)00077-5.

    >>> knee([1, 2, 3, 8], [-0.2, -0.02, -0.004, 0.0])
    3.0
    """
    values, lower_bounds = checked_vector(values, "values"), checked_vector(lower_bounds, "lower_bounds")
    got = f"{len(np.unique(values))} values and {len(lower_bounds)} bounds"
    expect(len(np.unique(values)) == len(values) == len(lower_bounds), "one bound a value", got, "pair them")
    expect(margin > 0, "margin to be above 0", margin, "0.01 is one point")
    found = None
    for index in np.argsort(-values):
        if lower_bounds[index] <= -margin:
            break
        found = float(values[index])
    return found
