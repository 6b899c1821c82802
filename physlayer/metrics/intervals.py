"""Intervals and tests over images, groups and seeds.

Neither copies of one source nor images seen by one trained network are independent, so an interval resamples
**groups** (source images, patients or slides) and **seeds**. Scores are ``(S, N)``, a row per seed, with the same
test images in the same order; ``(N,)`` is a single seed. Any score works: correct or not, error, log likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physlayer.metrics.significance import sign_flip_p
from physlayer.metrics.statistics_inputs import checked_labels, checked_scores, expect

__all__ = ["STATISTICS", "Difference", "Interval", "cluster_bootstrap", "paired_difference", "wilson_interval"]

STATISTICS = ("mean", "group_mean", "class_mean")
RESAMPLES_AT_ONCE = 250  # bounds the memory


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, in the unit of the scores."""

    estimate: float
    low: float
    high: float
    n_groups: int


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference, its exact p over seeds and its value for each seed."""

    p_sign_flip: float
    per_seed: tuple[float, ...]


def wilson_interval(successes, n, level=0.95) -> tuple[float, float]:
    r"""Interval for a proportion of independent trials, which stays inside 0…1.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n},\quad
              \hat p = k/n

    with k the successes, n the trials and z the normal quantile of ``level``. For copies of few sources pass
    the number of sources, not of images: k and n need not be whole.

    Shapes: scalars. Raises: ValueError unless 0 ≤ successes ≤ n, n > 0 and 0 < level < 1.
    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    >>> [round(bound, 3) for bound in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    from scipy.special import ndtri

    expect(0 < level < 1, "level to lie between 0 and 1", level, "0.95 is usual")
    good = 0 <= successes <= n and 0 < n < np.inf
    expect(good, "successes to lie in 0…n", f"{successes} of {n}", "pass counts, not rates")
    z, rate = ndtri((1 + level) / 2), successes / n
    centre = rate + z**2 / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    bounds = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return max(0.0, float(bounds[0])), min(1.0, float(bounds[1]))


def cluster_bootstrap(
    scores, groups, *, statistic="mean", classes=None, strata=None, resamples=2000, level=0.95, seed=0
) -> Interval:
    r"""Percentile interval of a mean score when both seeds and groups are resampled with replacement.

    .. math:: \theta^* = \sum_s \frac{v_s}{S}\;\frac{\sum_g w_g \sum_{i\in g} x_{si}}{\sum_g w_g n_g},\quad
              v\sim\mathrm{Mult}(S, 1/S),\; w\sim\mathrm{Mult}(G, 1/G)

    with x the scores (any unit), S the seeds, G the groups and n_g the images of group g. ``statistic`` is
    ``"mean"`` over images as above, ``"group_mean"`` (a group counts once) or ``"class_mean"`` (mean over
    ``classes`` of the mean within a class: balanced accuracy). ``strata``, constant within a group, are
    resampled separately, so that a class of four groups never vanishes. With one seed only groups are
    resampled. Few seeds are the weak side: where seeds differ most, a 95 % interval covers about 73 % with 3
    of them and 88 % with 6. Equal scores have no width: use `wilson_interval` on the groups.

    Shapes: scores (S, N) or (N,); groups, classes, strata (N,).
    Raises: ValueError on other shapes, NaN, a single group, an unknown statistic, a group in two strata.
    Source: Owen 2007, doi:10.1214/07-AOAS122; Field, Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x.

    >>> cluster_bootstrap([1, 1, 1, 0], ["a", "a", "b", "b"])
    Interval(estimate=0.75, low=0.5, high=1.0, n_groups=2)
    """
    expect(0 < level < 1, "level to lie between 0 and 1", level, "0.95 is usual")
    expect(resamples >= 1, "resamples to be at least 1", resamples, "2000 is usual")
    scores = checked_scores(scores, "scores")
    total, count, group = _cells(scores, groups, statistic, classes)
    seeds, n_groups = len(scores), len(count)
    strata = _strata(strata, group)
    random = np.random.default_rng(seed)
    draws = []
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, resamples - start)
        values = _statistic(_group_weights(random, strata, n_groups, size), total, count)
        chosen = random.integers(seeds, size=(size, seeds))
        draws.append(np.take_along_axis(values, chosen, 1).mean(1))
    low, high = np.quantile(np.concatenate(draws), ((1 - level) / 2, (1 + level) / 2))
    estimate = _statistic(np.ones((1, n_groups)), total, count).mean()
    return Interval(float(estimate), float(low), float(high), n_groups)


def paired_difference(
    a, b, groups, *, statistic="mean", classes=None, strata=None, resamples=2000, level=0.95, seed=0
) -> Difference:
    r"""Interval and exact test for the mean of a minus b when both saw the same seeds and the same images.

    .. math:: \Delta^* = \theta^*(a) - \theta^*(b) = \theta^*(a - b)

    with θ* the resample of `cluster_bootstrap`, drawn once for both (any unit). The p over seeds is 1 for a
    single seed. A one-sided 95 % bound is ``low`` at ``level=0.9``.

    Shapes: a, b (S, N) or (N,); groups, classes, strata (N,). Raises: ValueError as `cluster_bootstrap`, or
    if shapes differ. Source: as `cluster_bootstrap` and `sign_flip_p`.

    >>> difference = paired_difference([[1, 1, 1, 0]] * 6, [[1, 0, 1, 0]] * 6, ["a", "b", "c", "d"])
    >>> difference.estimate, difference.low, round(difference.p_sign_flip, 5)
    (0.25, 0.0, 0.03125)
    """
    a, b = checked_scores(a, "a"), checked_scores(b, "b")
    expect(a.shape == b.shape, "a and b to have one shape", f"{a.shape} and {b.shape}", "pair the runs")
    what = {"statistic": statistic, "classes": classes}
    how = {"strata": strata, "resamples": resamples, "level": level, "seed": seed}
    interval = cluster_bootstrap(a - b, groups, **what, **how)
    total, count, _ = _cells(a - b, groups, **what)
    per_seed = _statistic(np.ones((1, len(count))), total, count)[0]
    return Difference(**vars(interval), p_sign_flip=sign_flip_p(per_seed), per_seed=tuple(per_seed.tolist()))


def _cells(scores, groups, statistic, classes):
    """Sums ``(S, G, K)`` and counts ``(G, K)`` per group and class: all that a resample needs."""
    images = scores.shape[1]
    names, group = checked_labels(groups, "groups", images)
    expect(len(names) > 1, "groups to name at least 2 sources", len(names), "one has no interval")
    expect(statistic in STATISTICS, f"statistic to be in {STATISTICS}", repr(statistic), "correct it")
    given = (statistic == "class_mean") == (classes is not None)
    expect(given, "classes to go with 'class_mean' alone", repr(statistic), "pass both or neither")
    kinds, kind = (range(1), 0) if classes is None else checked_labels(classes, "classes", images)
    shape = len(names), len(kinds)
    cell = group * shape[1] + kind
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    total = np.stack([np.bincount(cell, row, count.size).reshape(shape) for row in scores])
    if statistic == "group_mean":
        return total / count, np.ones_like(count), group
    return total, count, group


def _statistic(weights, total, count):
    """Statistic per resample and seed, ``(B, G)`` to ``(B, S)``: mean over the classes drawn."""
    seeds, n_groups, kinds = total.shape
    weight = weights @ count  # (B, K)
    value = (weights @ total.transpose(1, 0, 2).reshape(n_groups, -1)).reshape(-1, seeds, kinds)
    drawn = weight > 0
    value = np.divide(value, weight[:, None], out=np.zeros_like(value), where=drawn[:, None])
    return value.sum(2) / drawn.sum(1)[:, None]


def _strata(strata, group):
    if strata is None:
        return [np.arange(group.max() + 1)]
    names, stratum = checked_labels(strata, "strata", len(group))
    of_group = np.zeros(group.max() + 1, dtype=np.int64)
    of_group[group] = stratum
    expect((of_group[group] == stratum).all(), "strata to be constant in a group", "two", "split the group")
    return [np.flatnonzero(of_group == index) for index in range(len(names))]


def _group_weights(random, strata, n_groups, resamples):
    """How often each group is drawn, ``(B, G)``, within its stratum."""
    weights = np.zeros((resamples, n_groups))
    row = np.arange(resamples)[:, None]
    for members in strata:
        size = len(members)
        drawn = random.integers(size, size=(resamples, size)) + row * size
        weights[:, members] = np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
    return weights
