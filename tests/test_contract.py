"""Every registered layer keeps every promise, and each promise is seen to fail on a layer that breaks it."""

import inspect

import pytest
import torch
from torch import nn

from physlayer import BitBudget, BitDepth, PhysicalLayer
from physlayer.core import Quantity, summary
from physlayer.testing import LAYERS, LayerCase
from physlayer.testing import contract as c


@pytest.mark.parametrize("check", c.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_layer_keeps_its_promise(case, check):
    check(case)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_constructors_have_no_catch_all_and_no_optimiser(case):
    parameters = inspect.signature(type(case.build()).__init__).parameters.values()
    assert not [p for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert not any(isinstance(value, torch.optim.Optimizer) for value in vars(case.build()).values())


COMMON = ("temperature", "gumbel", "noise_seed")  # last everywhere, in this order


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_common_settings_come_last_and_by_name_only(case):
    parameters = list(inspect.signature(type(case.build()).__init__).parameters.values())
    common = [p for p in parameters if p.name in COMMON]
    assert [p.name for p in common] == [name for name in COMMON if name in {p.name for p in common}]
    assert not common or parameters[-len(common) :] == common
    assert all(p.kind is p.KEYWORD_ONLY for p in common)


def test_decoders_are_told_what_a_layer_cannot_know_by_name():
    layers = {type(layer): layer for layer in (case.build() for case in LAYERS) if hasattr(layer, "decoder")}
    assert len({layer.layer_name() for layer in layers.values()}) == 5
    for layer in layers.values():
        parameters = inspect.signature(layer.decoder).parameters.values()
        assert all(p.kind is p.KEYWORD_ONLY and p.name in ("output", "sensor", "size") for p in parameters)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_a_learned_quantity_is_set_with_a_tensor_and_not_with_a_parameter(case):
    layer = case.build()
    for name in (layer.quantities[quantity].stored.name for quantity in layer.learned()):
        if name not in dict(layer.named_parameters(recurse=False)):  # behind a bound
            value = getattr(layer, name).detach()
            with pytest.raises(TypeError, match=f"Expected {name}, which is learned already, to be set with a tensor"):
                setattr(layer, name, nn.Parameter(value))
            setattr(layer, name, value)
            assert torch.allclose(getattr(layer, name), value, rtol=1e-4, atol=1e-6)


class Gain(PhysicalLayer):
    """A sound analogue layer, for the broken ones to derive from."""

    def __init__(self):
        super().__init__()
        self.register_physical("gain", nn.Parameter(torch.tensor(0.9)), unit="1", low=0.0)

    def forward(self, x):
        self.check(x)
        return self.gain * x


class RoundsWithoutSurrogate(Gain):
    def forward(self, x):
        self.check(x)
        return torch.round(self.gain * x)


class AnswersInDouble(Gain):
    def forward(self, x):
        return super().forward(x).double()


class KeepsAPlainTensor(Gain):
    def __init__(self):
        super().__init__()
        self.table = torch.ones(3, 1, 1)


class ForgetsAQuantity(Gain):
    def physical(self):
        return {"gain": self.gain.detach(), "secret": self.secret}

    def __init__(self):
        super().__init__()
        self.secret = torch.rand(1)


class Noisy(Gain):
    def forward(self, x):
        return super().forward(x) + torch.rand_like(x)


class NotANumber(Gain):
    def forward(self, x):
        return super().forward(x) * torch.sqrt(x - x)


class ClampsAfterwards(Gain):
    """The parameter is free and only the reading is clamped: it leaves its range."""

    def __init__(self):
        PhysicalLayer.__init__(self)
        self.register_physical("gain", nn.Parameter(torch.tensor(0.1)), unit="1")
        self.quantities["gain"] = type(self.quantities["gain"])("gain", "1", 0.0, 1.0)


class ReadsAnything(Gain):
    def check(self, x):
        pass


class LeaksInEval(BitDepth):
    def forward(self, x):
        return super().forward(x) + 1e-6 * x


class Overspends(BitBudget):
    @property
    def bits(self):
        return super().bits + 1


class KeepsAnotherValueThanItShows(Gain):
    def physical(self):
        return {"gain": self.gain.detach() / 2}


class ShowsAnotherModesValue(Gain):
    """What is relaxed in ``train()`` must not reach ``physical()``."""

    def physical(self):
        return {"gain": self.gain.detach() * (2 if self.training else 1)}


class HidesItsUnit(Gain):
    def __init__(self):
        PhysicalLayer.__init__(self)
        self.register_physical("gain", nn.Parameter(torch.tensor(0.9)), unit="DN/e⁻", low=0.0)

    def extra_repr(self):
        return super().extra_repr().replace(" DN/e⁻", "")


class Shares(Gain):
    """A sound layer whose value follows from free numbers of another name."""

    def __init__(self, logits=(0.5, -0.5, 0.1)):
        PhysicalLayer.__init__(self)
        logits = nn.Parameter(torch.tensor(logits).view(3, 1, 1)) if isinstance(logits, tuple) else logits
        self.register_physical("gain", logits, unit="1", low=0.0, high=1.0, free=Quantity("gain_logits"))

    @property
    def gain(self):
        return torch.softmax(self.gain_logits, 0)


class ShowsTheFreeNumber(Shares):
    def extra_repr(self):
        return f"gain={summary(self.gain_logits.detach())} (learned)"


class RoundedByAutocast(Gain):
    def forward(self, x):
        self.check(x)
        return torch.einsum("bchw,kc->bkhw", x, self.gain * torch.eye(x.shape[1]))


class TakesCoarseLight(Gain):
    def check(self, x):
        super().check(x.float())


def learned_bits():
    return nn.Parameter(1 + torch.rand(37, 31, generator=torch.Generator().manual_seed(0)))


BROKEN = [
    (c.check_gradients, LayerCase("zero gradient", RoundsWithoutSurrogate)),
    (c.check_gradients, LayerCase("NaN gradient", NotANumber)),
    (c.check_shape_and_dtype, LayerCase("wrong dtype", AnswersInDouble)),
    (c.check_device, LayerCase("left behind", KeepsAPlainTensor)),
    (c.check_state_dict, LayerCase("incomplete state", ForgetsAQuantity)),
    (c.check_eval_is_deterministic, LayerCase("noise in eval", Noisy)),
    (c.check_hard_is_eval, LayerCase("noise in hard", Noisy)),
    (c.check_parameters_move, LayerCase("out of bounds", ClampsAfterwards)),
    (c.check_one_value_under_one_name, LayerCase("two values", KeepsAnotherValueThanItShows)),
    (c.check_one_value_under_one_name, LayerCase("other mode", ShowsAnotherModesValue)),
    (c.check_repr_shows_hardware_and_units, LayerCase("no unit", HidesItsUnit)),
    (c.check_repr_shows_hardware_and_units, LayerCase("free number", ShowsTheFreeNumber)),
    (c.check_half_precision, LayerCase("rounded by autocast", RoundedByAutocast)),
    (c.check_half_precision, LayerCase("coarse light", TakesCoarseLight)),
    (c.check_bad_input_is_refused, LayerCase("no checks", ReadsAnything)),
    (
        c.check_levels,
        LayerCase("analogue leak", lambda: LeaksInEval(2, gain=nn.Parameter(torch.tensor(1.0))), n_levels=4),
    ),
    (
        c.check_budget,
        LayerCase(
            "broken budget",
            lambda: Overspends(learned_bits(), mean_bits=1.0),
            n_levels=256,
            total=lambda layer: (layer.mean_bits_per_sample(), layer.mean_bits),
        ),
    ),
]


@pytest.mark.parametrize(("check", "case"), BROKEN, ids=lambda value: getattr(value, "name", ""))
def test_contract_fails_on_a_broken_layer(check, case):
    with pytest.raises(c.ContractError, match=case.name):
        check(case)


@pytest.mark.parametrize("layer", [Gain, Shares])
def test_a_sound_layer_of_ones_own_passes_the_whole_contract(layer):
    c.check_layer(LayerCase(layer.__name__, layer))


def test_what_follows_from_a_free_number_is_learned_through_it_and_named_by_the_hardware():
    layer = Shares()
    assert layer.learned() == ("gain",) and layer.free_parameter("gain") is layer.gain_logits
    assert torch.allclose(layer.gain.sum(), torch.ones(()))
    assert layer.export()["quantities"]["gain"]["bounds"] == [0.0, 1.0]
    assert repr(layer) == "Shares(gain=3×1×1 from 0.180492 to 0.490629 (learned, in [0, 1]))"
    with pytest.raises(TypeError, match="Expected gain to follow from gain_logits, but got a value; set that one"):
        layer.gain = torch.ones(3, 1, 1)
    fixed = Shares(torch.zeros(3, 1, 1))
    fixed.gain_logits = torch.tensor([0.0, 0.0, 9.0]).view(3, 1, 1)
    assert fixed.learned() == () and float(fixed.gain[2]) > 0.99
    with pytest.raises(ValueError, match="Expected gain_logits to lie in"):
        fixed.gain_logits = float("nan")


def test_a_value_behind_a_free_number_needs_a_property_to_compute_it():
    class Forgets(Gain):
        def __init__(self):
            PhysicalLayer.__init__(self)
            self.register_physical("gain", 0.5, unit="1", free=Quantity("gain_logits"))

    with pytest.raises(TypeError, match="Expected Forgets to compute gain from gain_logits; write it as a property"):
        Forgets()
