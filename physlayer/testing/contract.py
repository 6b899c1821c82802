"""The promises every physical layer keeps, as checks that raise ``ContractError`` with a sentence.

Run by ``tests/test_contract.py`` over ``physlayer.testing.layer_cases.LAYERS``; use them on a layer of your own with
``check_layer(LayerCase("Mine", lambda: Mine(nn.Parameter(...))))``.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable

import torch

from physlayer.core.quantity import summary
from physlayer.core.randomness import noise_draw
from physlayer.testing.layer_case import LayerCase
from physlayer.testing.module_checks import (
    ContractError,
    check_device,
    check_everything_is_learned,
    check_gradients,
    check_half_precision,
    check_parameters_move,
    check_shape_and_dtype,
    check_state_dict,
    require,
    scene,
)

__all__ = ["CHECKS", "ContractError", "check_layer"]


def check_layer(case: LayerCase) -> None:
    """Run every check on one layer.

    Raises:
        ContractError: naming the first broken promise.
    """
    for check in CHECKS:
        check(case)


def check_eval_is_deterministic(case: LayerCase) -> None:
    layer, x = case.build().eval(), scene(case)
    require(torch.equal(layer(x), layer(x)), case, "eval() gives two readings for one scene")
    together, alone = layer(x)[:1], layer(x[:1])
    # sums may be taken in another order, codes may not
    same = torch.allclose(together, alone, atol=1e-5) if case.n_levels is None else torch.equal(together, alone)
    require(same, case, "eval() reads an image differently beside others")


def check_noise_is_fresh_in_train_and_repeatable_in_eval(case: LayerCase) -> None:
    layer, x = case.build().train(), scene(case)
    if not layer.noisy:
        return
    require(not torch.equal(layer(x), layer(x)), case, "train() gives one noise twice")
    with noise_draw(layer, draw=1):
        once, again = layer.eval()(x), layer(x)
    require(torch.equal(once, again), case, "eval() gives one draw two noises")
    require(not torch.equal(once, layer(x)), case, "two draws have one noise")
    with noise_draw(layer, first=1):
        require(
            torch.equal(layer(x[1:]), case.build().eval()(x)[1:]), case, "noise depends on the batch, not the image"
        )


def check_hard_is_eval(case: LayerCase) -> None:
    layer, x = case.build(), scene(case)
    expected = copy.deepcopy(layer).eval()(x)
    layer.train()
    require(torch.equal(layer.hard(x), expected), case, "hard(x) is not the eval() reading")
    require(layer.training, case, "hard(x) leaves the layer in eval()")


def check_levels(case: LayerCase) -> None:
    """At b bits no pixel ever shows more than 2^b values, and a code says all that the reading says."""
    if case.n_levels is None:
        return
    layer = case.build().eval()
    ramp = torch.linspace(max(-0.2, layer.accepts.low), 1.2, 801).view(-1, 1, 1, 1).expand(-1, *case.shape)
    with torch.no_grad():
        reading, codes = layer(ramp), layer.codes(ramp)
    require(codes.dtype == torch.int64, case, f"codes() gives {codes.dtype}, not int64")
    for name, values in (("reading", reading), ("codes()", codes)):
        changes = (values.sort(0).values.diff(dim=0) != 0).sum(0) + 1
        require(int(changes.max()) <= case.n_levels, case, f"{name} shows {int(changes.max())} values at one pixel")
    require(int(codes.min()) >= 0 and int(codes.max()) < case.n_levels, case, "a code is outside 0 … levels − 1")
    rising = layer.noisy or bool((reading.diff(dim=0) >= 0).all())
    require(rising, case, "more light gives a lower reading")


def check_budget(case: LayerCase) -> None:
    """A hard total holds in both modes, also after the demands were driven far."""
    if case.total is None:
        return
    for push in (0.0, 3.0, -3.0):
        layer = case.build()
        with torch.no_grad():
            for name in layer.learned():
                layer.free_parameter(name).add_(push * torch.rand_like(layer.free_parameter(name)))
        for mode in (True, False):
            spent, allowed = case.total(layer.train(mode))
            require(spent <= allowed + 1e-9, case, f"the budget is broken: {spent:g} spent, {allowed:g} allowed")


def check_export_and_cost(case: LayerCase) -> None:
    layer = case.build()
    exported = json.loads(json.dumps(layer.export(full=True), allow_nan=False))
    for name in layer.quantities:
        entry = exported["quantities"].get(name)
        require(entry is not None and bool(entry["unit"]), case, f"export() lacks {name} or its unit")
        value = torch.tensor(entry["value"])
        require(torch.allclose(value, layer.physical()[name].to(value)), case, f"export() changes {name}")
    cost = layer.cost(case.shape)
    require(0 < cost["n_samples"] <= math.prod(layer.output_shape(case.shape)), case, "cost() miscounts samples")
    require(case.n_levels is None or cost.get("bits_per_image", 0) > 0, case, "cost() lacks bits_per_image")


def check_one_value_under_one_name(case: LayerCase) -> None:
    """``layer.q`` in ``eval()``, ``physical()["q"]`` in both modes and the ``repr`` are what the hardware has."""
    layer = case.build()
    before = layer.train().physical()
    shown = layer.eval().physical()
    for name, value in shown.items():
        require(torch.equal(before[name], value), case, f"physical() gives another {name} in train() than in eval()")
        own = getattr(layer, name).detach()
        require(torch.equal(own, value), case, f"{name} of eval() is {summary(own)}, physical() says {summary(value)}")


def check_repr_shows_hardware_and_units(case: LayerCase) -> None:
    layer = case.build()
    text, values = repr(layer), layer.physical()
    for name, quantity in layer.quantities.items():
        unit = "" if quantity.unit == "1" else f" {quantity.unit}"
        expected = f"{name}={summary(values[name])}{unit} ("
        require(expected in text, case, f"repr lacks {name}, its value or its unit: {expected}…) is not in it")


def check_bad_input_is_refused(case: LayerCase) -> None:
    """HWC arrays, 8-bit codes, NaN and missing axes get a sentence, not a wrong number."""
    layer = case.build().eval()
    good = scene(case)
    nan = good.clone()
    nan[0, 0, 0, 0] = float("nan")
    bad = {
        "HWC": good.permute(0, 2, 3, 1),
        "0…255": good * 255,
        "NaN": nan,
        "no batch": good[0],
        "uint8": good.byte(),
    }
    for name, x in bad.items():
        try:
            layer(x)
        except (ValueError, TypeError) as error:
            require(str(error).startswith("Expected "), case, f"{name} input: the message is {error}")
        else:
            raise ContractError(f"{case.name}: {name} input is accepted silently")


CHECKS: tuple[Callable[[LayerCase], None], ...] = (
    check_everything_is_learned,
    check_shape_and_dtype,
    check_device,
    check_state_dict,
    check_gradients,
    check_parameters_move,
    check_eval_is_deterministic,
    check_noise_is_fresh_in_train_and_repeatable_in_eval,
    check_hard_is_eval,
    check_levels,
    check_budget,
    check_export_and_cost,
    check_one_value_under_one_name,
    check_repr_shows_hardware_and_units,
    check_half_precision,
    check_bad_input_is_refused,
)
