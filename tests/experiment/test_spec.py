"""A sweep that cannot run as it is written is refused where it is written, in one sentence."""

from dataclasses import replace

import pytest

from physlayer.experiment import Sweep, Variant, no_layer
from physlayer.experiment.run import make_runs
from physlayer.experiment.spec import retrained

ARMS = (
    Variant("fixed", "fixed", no_layer),
    Variant("learned", "learned", no_layer, learned=True),
    Variant("shuffled", "learned, shuffled", no_layer, camera_from="learned"),
    Variant("none", "no layer", no_layer, swept=False),
)
SWEEP = Sweep("mine", "bits", "bit depth / bit", 1, 16, "1..8", ARMS, ("fixed", "learned"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": "cubic"}, "Expected scale to be one of linear, log, halves, but got 'cubic'."),
        ({"bound": "nothing"}, "Expected bound to be one of fixed, learned, shuffled, none, but got 'nothing'."),
        ({"baseline": "fxed"}, "Expected baseline to be one of fixed, learned, shuffled, none, but got 'fxed'."),
        (
            {"chosen": ("fixed", "lerned")},
            "Expected chosen to be one of fixed, learned, shuffled, none, but got 'lerned'.",
        ),
        ({"minimum": 17}, "Expected minimum to be at most maximum, but got 17 and 16; swap them."),
        ({"default": "0..8"}, "Expected --bits to lie in 1..16, but got 0 in '0..8'."),
        ({"default": "many"}, "Expected --bits to look like 1..8, 1,2,4 or 8, but got 'many'."),
        (
            {"variants": (*ARMS, ARMS[0])},
            "Expected variants to have different names, but got fixed, learned, shuffled, none, fixed; rename one.",
        ),
        (
            {"variants": (*ARMS, Variant("lost", "lost", no_layer, camera_from="lerned"))},
            "Expected camera_from of lost to be one of fixed, learned, but got 'lerned'.",
        ),
        (  # would wait for a run that itself waits
            {"variants": (*ARMS, Variant("twice", "twice", no_layer, camera_from="shuffled"))},
            "Expected camera_from of twice to be one of fixed, learned, but got 'shuffled'.",
        ),
        (  # would wait for a run at a value that the bound has none of
            {"variants": (*ARMS, Variant("bare", "bare", no_layer, camera_from="none"))},
            "Expected camera_from of bare to be one of fixed, learned, but got 'none'.",
        ),
        (  # would wait for the model of a run that nobody trains
            {"variants": (*ARMS, Variant("handed", "handed", no_layer, model_from=("fixed", 2)))},
            "Expected model_from of handed to be an arm and the value it is trained at, among ('none', None), "
            "but got ('fixed', 2).",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_sweep_that_cannot_run_is_refused_where_it_is_written(change, message):
    with pytest.raises(ValueError) as told:
        replace(SWEEP, **change)
    assert str(told.value) == message


def test_every_dependent_run_names_a_run_of_the_same_grid_that_comes_before_it():
    arms = [*ARMS, retrained(ARMS[1]), retrained(replace(ARMS[3], learned=True))]
    shared = {"task": "digits", "data": "", "network": "small", "recipe": {}}
    keys = []
    for run in make_runs(SWEEP, arms, [1, 2], [0, 1], shared):
        assert run.source is None or run.source in keys
        keys.append(run.key)
    assert len(set(keys)) == len(keys) == 4 * 4 + 2 * 2
