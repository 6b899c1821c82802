"""Intervals and tests over images, groups and seeds.

Neither copies of one source nor images seen by one trained network are independent, so an interval resamples
**groups** (source images, patients or slides) and **seeds**. Scores are ``(S, N)``, a row per seed, with the same
test images in the same order; ``(N,)`` is a single seed. Any score works: correct or not, error, log likelihood.
"""

from dataclasses import dataclass

import numpy as np

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


def _expect(condition, what, got, fix):
    if not condition:
        raise ValueError(f"Expected {what}, but got {got}; {fix}.")


def _vector(values, name):
    values = np.asarray(values, dtype=np.float64)
    good = values.ndim == 1 and values.size > 0 and np.isfinite(values).all()
    _expect(good, f"{name} to be finite, of shape (n,)", values.shape, "drop what is NaN")
    return values


def _scores(values, name):
    values = np.asarray(values, dtype=np.float64)
    values = values[None] if values.ndim == 1 else values
    good = values.ndim == 2 and values.size > 0 and np.isfinite(values).all()
    _expect(good, f"{name} to be finite, of shape (seeds, images)", values.shape, "drop diverged runs")
    return values


def _labels(values, name, images):
    values = np.asarray(values)
    what = f"{name} to have shape ({images},)"
    _expect(values.shape == (images,), what, values.shape, "all seeds share one test set")
    return np.unique(values, return_inverse=True)


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

    _expect(0 < level < 1, "level to lie between 0 and 1", level, "0.95 is usual")
    good = 0 <= successes <= n and 0 < n < np.inf
    _expect(good, "successes to lie in 0…n", f"{successes} of {n}", "pass counts, not rates")
    z, rate = ndtri((1 + level) / 2), successes / n
    centre = rate + z**2 / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    bounds = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return max(0.0, float(bounds[0])), min(1.0, float(bounds[1]))


def _cells(scores, groups, statistic, classes):
    """Sums ``(S, G, K)`` and counts ``(G, K)`` per group and class: all that a resample needs."""
    images = scores.shape[1]
    names, group = _labels(groups, "groups", images)
    _expect(len(names) > 1, "groups to name at least 2 sources", len(names), "one has no interval")
    _expect(statistic in STATISTICS, f"statistic to be in {STATISTICS}", repr(statistic), "correct it")
    given = (statistic == "class_mean") == (classes is not None)
    _expect(given, "classes to go with 'class_mean' alone", repr(statistic), "pass both or neither")
    kinds, kind = (range(1), 0) if classes is None else _labels(classes, "classes", images)
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
    names, stratum = _labels(strata, "strata", len(group))
    of_group = np.zeros(group.max() + 1, dtype=np.int64)
    of_group[group] = stratum
    _expect((of_group[group] == stratum).all(), "strata to be constant in a group", "two", "split the group")
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
    _expect(0 < level < 1, "level to lie between 0 and 1", level, "0.95 is usual")
    _expect(resamples >= 1, "resamples to be at least 1", resamples, "2000 is usual")
    scores = _scores(scores, "scores")
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
    a, b = _scores(a, "a"), _scores(b, "b")
    _expect(a.shape == b.shape, "a and b to have one shape", f"{a.shape} and {b.shape}", "pair the runs")
    what = {"statistic": statistic, "classes": classes}
    how = {"strata": strata, "resamples": resamples, "level": level, "seed": seed}
    interval = cluster_bootstrap(a - b, groups, **what, **how)
    total, count, _ = _cells(a - b, groups, **what)
    per_seed = _statistic(np.ones((1, len(count))), total, count)[0]
    return Difference(**vars(interval), p_sign_flip=sign_flip_p(per_seed), per_seed=tuple(per_seed.tolist()))


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
    differences = _vector(differences, "differences")
    number = len(differences)
    _expect(number <= 20, "differences to hold at most 20 values", number, "use a Wilcoxon test")
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
    p_values = _vector(p_values, "p_values")
    low, high = p_values.min(), p_values.max()
    _expect(low >= 0 and high <= 1, "p_values to lie in 0…1", f"{low}…{high}", "pass probabilities")
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

    a, b = _vector(correct_a, "correct_a"), _vector(correct_b, "correct_b")
    good = a.shape == b.shape and np.isin((a, b), (0, 1)).all()
    what = "correct_a and correct_b to be true or false for each image"
    _expect(good, what, f"{a.shape} and {b.shape}", "compare predictions with targets first")
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
    _expect(good, "maps to be finite, of shape (seeds ≥ 2, …)", maps.shape, "stack the maps")
    flat = maps.reshape(len(maps), -1)
    varies = flat.size > 0 and (np.ptp(flat, axis=1) > 0).all()
    _expect(varies, "maps to vary over space", "a constant map", "leave that seed out and say so")
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
    values, lower_bounds = _vector(values, "values"), _vector(lower_bounds, "lower_bounds")
    got = f"{len(np.unique(values))} values and {len(lower_bounds)} bounds"
    _expect(len(np.unique(values)) == len(values) == len(lower_bounds), "one bound a value", got, "pair them")
    _expect(margin > 0, "margin to be above 0", margin, "0.01 is one point")
    found = None
    for index in np.argsort(-values):
        if lower_bounds[index] <= -margin:
            break
        found = float(values[index])
    return found
