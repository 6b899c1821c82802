"""Intervals and tests against analytic values, scipy, slow loops and simulated coverage."""

import time
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
import scipy.stats

from physlayer import metrics
from physlayer.metrics import cluster_bootstrap, paired_difference


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [
        (90, 100, (0.826, 0.945)),
        (900, 1000, (0.880, 0.917)),
        (0, 10, (0.0, 0.278)),
        (62, 71, (0.776, 0.932)),
    ],
)
def test_wilson_interval_has_the_published_values(successes, n, expected):
    assert metrics.wilson_interval(successes, n) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_interval_agrees_with_scipy_and_mirrors(level):
    for successes in range(8):
        low, high = metrics.wilson_interval(successes, 7, level)
        expected = scipy.stats.binomtest(successes, 7).proportion_ci(level, method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert metrics.wilson_interval(7 - successes, 7, level) == pytest.approx((1 - high, 1 - low))
        assert 0 <= low < high <= 1


def clustered(random, sources, copies, correlation, rate=0.8):
    """Correct or not, with a success probability per source and a set correlation within a source."""
    scale = 1 / correlation - 1
    per_source = random.beta(rate * scale, (1 - rate) * scale, sources)
    return (random.random((sources, copies)) < per_source[:, None]).astype(float).ravel()


def slow_bootstrap(scores, groups, statistic, classes, resamples, seed):
    """The definition, image by image."""
    random = np.random.default_rng(seed)
    names, draws = np.unique(groups), []
    for _ in range(resamples):
        rows = random.choice(len(scores), len(scores))
        chosen = [np.flatnonzero(groups == g) for g in random.choice(names, len(names))]
        images = np.concatenate(chosen)
        if statistic == "mean":
            values = [scores[row, images].mean() for row in rows]
        elif statistic == "group_mean":
            values = [np.mean([scores[row, one].mean() for one in chosen]) for row in rows]
        else:
            drawn = [images[classes[images] == c] for c in np.unique(classes[images])]
            values = [np.mean([scores[row, one].mean() for one in drawn]) for row in rows]
        draws.append(np.mean(values))
    return np.quantile(draws, [0.025, 0.975])


@pytest.mark.parametrize("statistic", ["mean", "group_mean", "class_mean"])
def test_cluster_bootstrap_matches_a_slow_loop_over_images(statistic):
    random = np.random.default_rng(0)
    groups = random.integers(14, size=90)  # unequal sources
    classes = (groups % 3 == 0) * 1 if statistic == "class_mean" else None
    chance = np.linspace(0.5, 0.9, 4)[:, None] * np.linspace(0.6, 1.1, 14)[groups]
    scores = (random.random((4, 90)) < chance).astype(float)
    fast = cluster_bootstrap(scores, groups, statistic=statistic, classes=classes, resamples=20000)
    slow = slow_bootstrap(scores, groups, statistic, classes, 8000, seed=1)
    assert [fast.low, fast.high] == pytest.approx(slow.tolist(), abs=0.01)
    images = {
        "mean": scores.mean(),
        "group_mean": np.mean([scores[:, groups == g].mean() for g in np.unique(groups)]),
        "class_mean": classes is not None and np.mean([scores[:, classes == c].mean() for c in (0, 1)]),
    }
    assert fast.estimate == pytest.approx(images[statistic])
    assert fast.n_groups == len(np.unique(groups))


def test_independent_images_and_one_seed_reduce_to_the_ordinary_bootstrap():
    scores = np.random.default_rng(2).normal(size=120)
    ours = cluster_bootstrap(scores, np.arange(120), resamples=20000)
    method = {"method": "percentile", "n_resamples": 20000, "rng": np.random.default_rng(3)}
    expected = scipy.stats.bootstrap((scores,), np.mean, batch=2000, **method).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_interval_width_is_that_of_the_source_means():
    scores = clustered(np.random.default_rng(4), 60, 8, 0.4)
    groups = np.repeat(np.arange(60), 8)
    interval = cluster_bootstrap(scores, groups, resamples=20000)
    deviation = scores.reshape(60, 8).mean(1).std() / np.sqrt(60)
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(deviation, rel=0.04)


def test_seeds_that_differ_widen_the_interval_by_their_spread():
    scores = np.linspace(-1, 1, 6)[:, None] + np.zeros((6, 200))
    interval = cluster_bootstrap(scores, np.arange(200), resamples=20000)
    deviation = np.linspace(-1, 1, 6).std() / np.sqrt(6)
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(deviation, rel=0.05)
    one = cluster_bootstrap(scores[0], np.arange(200))
    assert one.low == one.high == one.estimate == -1


def test_coverage_needs_resampling_of_sources_not_of_images():
    random, trials = np.random.default_rng(5), 400
    groups, images = np.repeat(np.arange(40), 10), np.arange(400)
    covered = np.zeros(2)
    for trial in range(trials):
        scores = clustered(random, 40, 10, correlation=0.5)
        for i, labels in enumerate((groups, images)):
            interval = cluster_bootstrap(scores, labels, resamples=400, seed=trial)
            covered[i] += interval.low <= 0.8 <= interval.high
    by_source, by_image = covered / trials
    assert 0.91 <= by_source <= 0.98
    assert by_image < 0.75  # width too small by √(1 + 9·0.5)


def test_coverage_holds_when_seeds_and_sources_both_vary():
    random, trials = np.random.default_rng(6), 300
    groups, covered = np.repeat(np.arange(30), 4), 0
    for trial in range(trials):
        source, seed, both = (0.3 * random.normal(size=s) for s in ((1, 30), (6, 1), (6, 30)))
        scores = np.repeat(source + 0.2 * seed + both, 4, axis=1) + 0.3 * random.normal(size=(6, 120))
        interval = cluster_bootstrap(scores, groups, resamples=400, seed=trial)
        covered += interval.low <= 0 <= interval.high
    assert 0.9 <= covered / trials <= 0.985


def test_strata_keep_a_class_of_four_sources_in_every_resample():
    classes = np.repeat([0, 1], [40, 4])
    scores = (classes == 0) * 1.0  # class 0 right, class 1 wrong: 0.5 unless class 1 vanishes
    groups = np.arange(44)
    options = {"statistic": "class_mean", "classes": classes, "level": 0.99}
    loose = cluster_bootstrap(scores, groups, **options)
    strict = cluster_bootstrap(scores, groups, strata=classes, **options)
    assert (strict.low, strict.high) == (0.5, 0.5)
    assert loose.estimate == strict.estimate == 0.5
    assert loose.high == 1  # (1 - 4/44)^44: one resample of 66 has only the easy class left


def test_stratified_mean_keeps_the_mixture_fixed():
    classes, groups = np.repeat([0, 1], 30), np.arange(60)
    scores = classes + 0.01 * np.random.default_rng(7).normal(size=60)
    loose = cluster_bootstrap(scores, groups)
    strict = cluster_bootstrap(scores, groups, strata=classes)
    assert strict.high - strict.low < 0.1 * (loose.high - loose.low)


def test_names_and_order_of_sources_do_not_matter():
    random = np.random.default_rng(8)
    scores, groups = random.random((3, 50)), random.integers(9, size=50)
    plain = cluster_bootstrap(scores, groups, seed=3)
    named = cluster_bootstrap(scores, np.array([f"slide {g}" for g in groups]), seed=3)
    order = random.permutation(50)
    mixed = cluster_bootstrap(scores[:, order], groups[order], seed=3)
    assert list(asdict(plain).values()) == pytest.approx(list(asdict(named).values()))
    assert list(asdict(plain).values()) == pytest.approx(list(asdict(mixed).values()))
    assert cluster_bootstrap(scores, groups, seed=4) != plain


def test_unbalanced_chunks_of_resamples_are_all_used():
    random = np.random.default_rng(9)
    scores, groups = random.random((2, 30)), np.arange(30)
    few = cluster_bootstrap(scores, groups, resamples=1, seed=1)
    assert few.low == few.high
    wide = cluster_bootstrap(scores, groups, resamples=251, level=0.999)
    narrow = cluster_bootstrap(scores, groups, resamples=251, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_bootstrap_of_six_seeds_costs_a_few_times_the_drawing_of_its_resamples():
    scores = np.random.default_rng(10).random((6, 5000)) < 0.9
    seconds = {"bootstrap": [], "drawing": []}
    for _ in range(3):
        start = time.perf_counter()
        cluster_bootstrap(scores, np.arange(5000), resamples=2000)
        seconds["bootstrap"].append(time.perf_counter() - start)
        start = time.perf_counter()
        np.random.default_rng(0).integers(5000, size=(2000, 5000))
        seconds["drawing"].append(time.perf_counter() - start)
    assert min(seconds["bootstrap"]) < 30 * min(
        seconds["drawing"]
    )  # 8; a loop over seeds, images or sources is far off


def test_pairing_removes_what_both_arms_share():
    random = np.random.default_rng(11)
    shared = random.normal(size=(6, 80)) + 3 * random.normal(size=(6, 1)) + 2 * random.normal(size=(1, 80))
    gain = 0.1 + 0.02 * random.normal(size=(6, 80))
    groups = np.arange(80)
    paired = paired_difference(shared + gain, shared, groups)
    alone = cluster_bootstrap(shared, groups)
    assert paired.high - paired.low < 0.05 * (alone.high - alone.low)
    assert paired.low < 0.1 < paired.high
    assert paired.estimate == pytest.approx(gain.mean())
    assert paired.per_seed == pytest.approx(gain.mean(1))
    assert paired.p_sign_flip == 2 / 2**6


def test_difference_changes_sign_with_its_arms_and_vanishes_for_equal_ones():
    random = np.random.default_rng(12)
    a, b = random.random((2, 5, 60))
    groups, classes = np.arange(60) // 2, np.arange(60) // 2 % 3
    options = {"statistic": "class_mean", "classes": classes, "strata": classes, "seed": 2, "level": 0.9}
    forward, backward = paired_difference(a, b, groups, **options), paired_difference(b, a, groups, **options)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.p_sign_flip == backward.p_sign_flip
    of_differences = cluster_bootstrap(a - b, groups, **options)
    assert (forward.low, forward.high) == (of_differences.low, of_differences.high)
    one, two = (cluster_bootstrap(x, groups, **options).estimate for x in (a, b))
    assert forward.estimate == pytest.approx(one - two)
    none = paired_difference(a, a, groups)
    assert (none.estimate, none.low, none.high, none.p_sign_flip) == (0, 0, 0, 1)


def test_single_seed_gives_an_interval_but_no_evidence_over_seeds():
    difference = paired_difference(np.arange(10.0), np.zeros(10), np.arange(10))
    assert difference.low > 0
    assert difference.p_sign_flip == 1


@pytest.mark.parametrize(("seeds", "expected"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_smallest_sign_flip_p_is_set_by_the_number_of_seeds(seeds, expected):
    assert metrics.sign_flip_p(np.linspace(0.1, 0.3, seeds)) == expected


def test_sign_flip_p_agrees_with_enumeration_and_with_scipy():
    differences = np.random.default_rng(13).normal(0.4, 1, 9)
    flips = np.array(list(product((-1, 1), repeat=9)))
    sums = np.abs(flips @ differences)
    p = metrics.sign_flip_p(differences)
    assert p == np.mean(sums >= abs(differences.sum()) - 1e-12)
    assert p == metrics.sign_flip_p(-3 * differences)
    test = scipy.stats.permutation_test(
        (differences, np.zeros(9)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=10**4
    )
    assert p == pytest.approx(test.pvalue)
    assert metrics.sign_flip_p([0.1] * 10) == 2 / 2**10  # sums that differ in the last bit


def test_holm_adjusts_stepwise_and_never_reorders():
    assert metrics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    p_values = np.random.default_rng(14).random(20) ** 3
    adjusted = metrics.holm(p_values)
    assert (np.argsort(adjusted[np.argsort(p_values)], kind="stable") == np.arange(20)).all()
    assert adjusted.min() == pytest.approx(min(1, 20 * p_values.min()))
    assert (adjusted <= np.minimum(1, 20 * p_values) + 1e-15).all()


def test_mcnemar_counts_discordant_images_only():
    a, b = np.ones(10), np.zeros(10)
    assert metrics.mcnemar_exact(a, b) == pytest.approx(2 / 2**10)
    both = np.concatenate([np.ones(500), np.zeros(500)])
    padded = metrics.mcnemar_exact(np.concatenate([a, both]), np.concatenate([b, both]))
    assert padded == pytest.approx(2 / 2**10)
    assert metrics.mcnemar_exact(b, a) == pytest.approx(2 / 2**10)
    assert metrics.mcnemar_exact(both, both) == 1
    only_a, only_b = np.repeat([1, 0], [9, 3]), np.repeat([0, 1], [9, 3])
    tail = scipy.stats.binom.cdf(3, 12, 0.5)
    assert metrics.mcnemar_exact(only_a, only_b) == pytest.approx(2 * tail)


def test_seed_correlation_is_one_for_scaled_maps_and_zero_for_unrelated_ones():
    random = np.random.default_rng(15)
    map_ = random.normal(size=(64, 64))
    assert metrics.seed_correlation([map_, 3 * map_ + 1, 0.1 * map_]) == pytest.approx(1)
    assert metrics.seed_correlation([map_, -map_]) == pytest.approx(-1)
    assert abs(metrics.seed_correlation(random.normal(size=(4, 64, 64)))) < 0.03
    maps = random.normal(size=(3, 5, 7)) + random.normal(size=(5, 7))
    pairs = [scipy.stats.pearsonr(maps[i].ravel(), maps[j].ravel())[0] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert metrics.seed_correlation(maps) == pytest.approx(np.mean(pairs))


def test_knee_is_the_smallest_setting_before_quality_is_lost():
    assert metrics.knee([8, 1, 3, 2], [0.0, -0.2, -0.004, -0.02]) == 3
    assert metrics.knee([8, 1, 3, 2], [0.0, -0.2, -0.004, -0.02], margin=0.05) == 2
    assert metrics.knee([1, 2, 3], [-0.001, -0.3, 0.0]) == 3  # a lucky small setting beyond a failure
    assert metrics.knee([1, 2], [0.0, -0.01]) is None  # at the margin is not above it


GROUPS = ["a", "a", "b"]
ONES = [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.wilson_interval(11, 10), "successes to lie in 0…n"),
        (lambda: metrics.wilson_interval(0, 0), "successes to lie in 0…n"),
        (lambda: metrics.wilson_interval(-1, 10), "successes to lie in 0…n"),
        (lambda: metrics.wilson_interval(1, 10, level=95), "level to lie"),
        (lambda: cluster_bootstrap(ONES, GROUPS, level=1.0), "level to lie"),
        (lambda: cluster_bootstrap(ONES, GROUPS, resamples=0), "resamples to be"),
        (lambda: cluster_bootstrap([1, np.nan, 0], GROUPS), "scores to be finite"),
        (lambda: cluster_bootstrap([[ONES]], GROUPS), "scores to be finite, of shape"),
        (lambda: cluster_bootstrap(ONES, GROUPS[:2]), "groups to have shape"),
        (lambda: cluster_bootstrap([ONES, ONES], [GROUPS, GROUPS]), "share one test set"),
        (lambda: cluster_bootstrap(ONES, ["a"] * 3), "at least 2 sources"),
        (lambda: cluster_bootstrap(ONES, GROUPS, statistic="median"), "statistic to be"),
        (lambda: cluster_bootstrap(ONES, GROUPS, statistic="class_mean"), "classes to go with"),
        (lambda: cluster_bootstrap(ONES, GROUPS, classes=[0, 0, 1]), "classes to go with"),
        (lambda: cluster_bootstrap(ONES, GROUPS, statistic="class_mean", classes=[0]), "classes to have"),
        (lambda: cluster_bootstrap(ONES, GROUPS, strata=[0, 1, 1]), "strata to be constant"),
        (lambda: cluster_bootstrap(ONES, GROUPS, strata=[0, 1]), "strata to have shape"),
        (lambda: paired_difference(ONES, ONES[:2], GROUPS), "a and b to have one shape"),
        (lambda: paired_difference([ONES], [ONES, ONES], GROUPS), "a and b to have one shape"),
        (lambda: metrics.sign_flip_p([]), "differences to be finite"),
        (lambda: metrics.sign_flip_p([np.nan]), "differences to be finite"),
        (lambda: metrics.sign_flip_p(np.ones(21)), "at most 20"),
        (lambda: metrics.holm([0.1, 1.2]), "p_values to lie"),
        (lambda: metrics.holm([[0.1]]), "p_values to be finite"),
        (lambda: metrics.mcnemar_exact([1, 0], [1]), "true or false"),
        (lambda: metrics.mcnemar_exact([1, 0], [0.5, 1]), "true or false"),
        (lambda: metrics.seed_correlation(np.ones((1, 4))), "maps to be finite, of shape"),
        (lambda: metrics.seed_correlation([[1, 2], [3, 3]]), "maps to vary"),
        (lambda: metrics.knee([1, 1], [0, 0]), "one bound a value"),
        (lambda: metrics.knee([1, 2], [0]), "one bound a value"),
        (lambda: metrics.knee([1], [0], margin=0), "margin to be above"),
    ],
)
def test_bad_input_is_refused_with_the_fix(call, message):
    with pytest.raises(ValueError, match=message):
        call()
