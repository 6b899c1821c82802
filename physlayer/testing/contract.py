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
from torch import Tensor

from physlayer.core.quantity import summary
from physlayer.core.randomness import noise_draw
from physlayer.testing.layer_cases import LayerCase

__all__ = ["CHECKS", "ContractError", "check_layer"]


class ContractError(AssertionError):
    """A layer breaks the contract; the message says which promise."""


def check_layer(case: LayerCase) -> None:
    """Run every check on one layer.

    Raises:
        ContractError: naming the first broken promise.
    """
    for check in CHECKS:
        check(case)


def scene(case: LayerCase, *, images: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scenes that use the whole range 0…1, the same at every call."""
    return torch.rand((images, *case.shape), generator=torch.Generator().manual_seed(1)).to(dtype)


def _require(condition: bool, case: LayerCase, message: str) -> None:
    if not condition:
        raise ContractError(f"{case.name}: {message}")


def check_everything_is_learned(case: LayerCase) -> None:
    layer = case.build()
    _require(bool(layer.learned()) == case.learns, case, "the registry's example must learn at least one quantity")
    for name in layer.learned():
        _require(layer.free_parameter(name).requires_grad, case, f"{name} is learned but takes no gradient")


def check_shape_and_dtype(case: LayerCase) -> None:
    for dtype in (torch.float32, torch.float64):
        layer, x = case.build().to(dtype), scene(case, dtype=dtype)
        for mode in (True, False):
            y = layer.train(mode)(x)
            expected = (len(x), *layer.output_shape(case.shape))
            _require(tuple(y.shape) == expected, case, f"output is {tuple(y.shape)}, output_shape says {expected}")
            _require(y.dtype == dtype, case, f"{dtype} in, {y.dtype} out")


def check_device(case: LayerCase) -> None:
    """Every tensor the layer owns must follow ``.to(device)``; the meta device shows it without an accelerator."""
    layer = case.build().to("meta")
    for name, value in vars(layer).items():
        stray = isinstance(value, Tensor) and value.device.type != "meta"
        _require(not stray, case, f"attribute {name} is a plain tensor: it stays behind on .to(device)")
    for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
        _require(value.device.type == "meta", case, f"{name} stays on {value.device} on .to(device)")


def check_state_dict(case: LayerCase) -> None:
    """A layer restored from ``state_dict`` reads what the original read, after every quantity was changed."""
    layer = case.build()
    with torch.no_grad():
        for name in layer.learned():
            layer.free_parameter(name).add_(0.3 * torch.rand_like(layer.free_parameter(name)))
    state = copy.deepcopy(layer.state_dict())
    restored = case.build()
    restored.load_state_dict(state)
    for name, value in layer.physical().items():
        _require(torch.equal(value, restored.physical()[name]), case, f"state_dict loses {name}")
    x = scene(case)
    _require(torch.equal(layer.eval()(x), restored.eval()(x)), case, "state_dict does not restore the reading")


def check_gradients(case: LayerCase) -> None:
    """Finite, non-zero gradient to the input and to every learned quantity, in both modes."""
    for mode in (True, False):
        layer, x = case.build().train(mode), scene(case).requires_grad_()
        weights = torch.randn(len(x), *layer.output_shape(case.shape), generator=torch.Generator().manual_seed(2))
        (layer(x) * weights).sum().backward()
        grads = {"the input": x.grad} | {n: layer.free_parameter(n).grad for n in layer.learned()}
        for name, grad in grads.items():
            where = f"in {'train' if mode else 'eval'}()"
            _require(grad is not None, case, f"no gradient reaches {name} {where}")
            _require(bool(torch.isfinite(grad).all()), case, f"the gradient of {name} is not finite {where}")
            _require(bool(grad.any()), case, f"the gradient of {name} is zero {where}")


def check_parameters_move(case: LayerCase) -> None:
    """A few steps of an ordinary optimiser move every quantity and leave it inside its bounds."""
    layer = case.build().train()
    held = {name: layer.quantities[name].stored for name in layer.learned()}
    start = {name: getattr(layer, stored.name).detach().clone() for name, stored in held.items()}
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.5)
    x = scene(case)
    weights = torch.randn(len(x), *layer.output_shape(case.shape), generator=torch.Generator().manual_seed(2))
    for _ in range(10):
        optimizer.zero_grad()
        (layer(x) * weights).sum().backward()
        optimizer.step()
    for name, stored in held.items():
        moved = not torch.equal(getattr(layer, stored.name).detach(), start[name])
        _require(moved, case, f"{name} did not move in ten steps")
        for quantity in (stored, layer.quantities[name]):  # a choice may be the same again, but is in its range too
            value = getattr(layer, quantity.name).detach()
            _require(bool(torch.isfinite(value).all()), case, f"{quantity.name} is not finite after ten steps")
            inside = bool(((value >= quantity.low) & (value <= quantity.high)).all())
            _require(inside, case, f"{quantity.name} left {quantity.span} in ten steps")


def check_eval_is_deterministic(case: LayerCase) -> None:
    layer, x = case.build().eval(), scene(case)
    _require(torch.equal(layer(x), layer(x)), case, "eval() gives two readings for one scene")
    together, alone = layer(x)[:1], layer(x[:1])
    # sums may be taken in another order, codes may not
    same = torch.allclose(together, alone, atol=1e-5) if case.n_levels is None else torch.equal(together, alone)
    _require(same, case, "eval() reads an image differently beside others")


def check_noise_is_fresh_in_train_and_repeatable_in_eval(case: LayerCase) -> None:
    layer, x = case.build().train(), scene(case)
    if not layer.noisy:
        return
    _require(not torch.equal(layer(x), layer(x)), case, "train() gives one noise twice")
    with noise_draw(layer, draw=1):
        once, again = layer.eval()(x), layer(x)
    _require(torch.equal(once, again), case, "eval() gives one draw two noises")
    _require(not torch.equal(once, layer(x)), case, "two draws have one noise")
    with noise_draw(layer, first=1):
        _require(
            torch.equal(layer(x[1:]), case.build().eval()(x)[1:]), case, "noise depends on the batch, not the image"
        )


def check_hard_is_eval(case: LayerCase) -> None:
    layer, x = case.build(), scene(case)
    expected = copy.deepcopy(layer).eval()(x)
    layer.train()
    _require(torch.equal(layer.hard(x), expected), case, "hard(x) is not the eval() reading")
    _require(layer.training, case, "hard(x) leaves the layer in eval()")


def check_levels(case: LayerCase) -> None:
    """At b bits no pixel ever shows more than 2^b values, and a code says all that the reading says."""
    if case.n_levels is None:
        return
    layer = case.build().eval()
    ramp = torch.linspace(max(-0.2, layer.accepts.low), 1.2, 801).view(-1, 1, 1, 1).expand(-1, *case.shape)
    with torch.no_grad():
        reading, codes = layer(ramp), layer.codes(ramp)
    _require(codes.dtype == torch.int64, case, f"codes() gives {codes.dtype}, not int64")
    for name, values in (("reading", reading), ("codes()", codes)):
        changes = (values.sort(0).values.diff(dim=0) != 0).sum(0) + 1
        _require(int(changes.max()) <= case.n_levels, case, f"{name} shows {int(changes.max())} values at one pixel")
    _require(int(codes.min()) >= 0 and int(codes.max()) < case.n_levels, case, "a code is outside 0 … levels − 1")
    rising = layer.noisy or bool((reading.diff(dim=0) >= 0).all())
    _require(rising, case, "more light gives a lower reading")


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
            _require(spent <= allowed + 1e-9, case, f"the budget is broken: {spent:g} spent, {allowed:g} allowed")


def check_export_and_cost(case: LayerCase) -> None:
    layer = case.build()
    exported = json.loads(json.dumps(layer.export(full=True), allow_nan=False))
    for name in layer.quantities:
        entry = exported["quantities"].get(name)
        _require(entry is not None and bool(entry["unit"]), case, f"export() lacks {name} or its unit")
        value = torch.tensor(entry["value"])
        _require(torch.allclose(value, layer.physical()[name].to(value)), case, f"export() changes {name}")
    cost = layer.cost(case.shape)
    _require(0 < cost["n_samples"] <= math.prod(layer.output_shape(case.shape)), case, "cost() miscounts samples")
    _require(case.n_levels is None or cost.get("bits_per_image", 0) > 0, case, "cost() lacks bits_per_image")


def check_one_value_under_one_name(case: LayerCase) -> None:
    """``layer.q`` in ``eval()``, ``physical()["q"]`` in both modes and the ``repr`` are what the hardware has."""
    layer = case.build()
    before = layer.train().physical()
    shown = layer.eval().physical()
    for name, value in shown.items():
        _require(torch.equal(before[name], value), case, f"physical() gives another {name} in train() than in eval()")
        own = getattr(layer, name).detach()
        _require(torch.equal(own, value), case, f"{name} of eval() is {summary(own)}, physical() says {summary(value)}")


def check_repr_shows_hardware_and_units(case: LayerCase) -> None:
    layer = case.build()
    text, values = repr(layer), layer.physical()
    for name, quantity in layer.quantities.items():
        unit = "" if quantity.unit == "1" else f" {quantity.unit}"
        expected = f"{name}={summary(values[name])}{unit} ("
        _require(expected in text, case, f"repr lacks {name}, its value or its unit: {expected}…) is not in it")


def check_half_precision(case: LayerCase) -> None:
    """Autocast does not reach into a layer, and coarse images are refused rather than read wrongly."""
    layer, x = case.build().eval(), scene(case).requires_grad_()
    found = []
    for half in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            y = layer(x)
        learned = [layer.free_parameter(name) for name in layer.learned()]
        found.append([y, *torch.autograd.grad(y.sin().sum(), [x, *learned])])
    for name, full, half in zip(("the reading", "the gradient of the input", *layer.learned()), *found, strict=True):
        _require(half.dtype == full.dtype, case, f"autocast changes {name} to {half.dtype}")
        _require(torch.allclose(half, full, rtol=1e-4, atol=1e-5), case, f"autocast rounds {name}")
    for dtype in (torch.float16, torch.bfloat16):
        try:
            layer(x.detach().to(dtype))
        except TypeError as error:
            _require(str(error).startswith("Expected "), case, f"{dtype} input: the message is {error}")
        else:
            raise ContractError(f"{case.name}: {dtype} input is accepted silently")


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
            _require(str(error).startswith("Expected "), case, f"{name} input: the message is {error}")
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
