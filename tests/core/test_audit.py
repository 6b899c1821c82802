"""Is every physical parameter wired, and did it move?"""

import pytest
import torch
from torch import nn

from physlayer import (
    BitDepth,
    MovementAudit,
    PixelLayout,
    audit_gradients,
    export_camera,
    parameter_groups,
    physical_layers,
)


def camera(bits=2):
    return BitDepth(bits, gain=nn.Parameter(torch.ones(3, 1, 1)), offset=nn.Parameter(torch.zeros(3, 1, 1)))


def model():
    return nn.Sequential(camera(), nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def step(net, optimizer):
    optimizer.zero_grad()
    net(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimizer.step()


def test_groups_hold_every_parameter_exactly_once():
    net = model()
    groups = parameter_groups(net, lr=1e-3, weight_decay=0.1)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())
    physics, network = groups
    assert physics["lr"] == pytest.approx(1e-2) and physics["weight_decay"] == 0
    assert network["weight_decay"] == 0.1


def test_groups_of_a_frozen_camera_hold_the_network_alone():
    net = model()
    net[0].requires_grad_(False)
    assert [group["name"] for group in parameter_groups(net)] == ["network"]


def test_trained_camera_passes_both_audits():
    net = model()
    audit, optimizer = MovementAudit(net), torch.optim.Adam(parameter_groups(net, lr=1e-2))
    for _ in range(3):
        step(net, optimizer)
    assert set(audit_gradients(net, optimizer).values()) == {"ok"}
    assert audit.sentence(net) == ""
    assert all(movement.moved for movement in audit.report(net).values())


def test_camera_left_out_of_the_optimiser_is_named():
    net = model()
    audit, optimizer = MovementAudit(net), torch.optim.Adam(net[1].parameters())
    step(net, optimizer)
    assert audit_gradients(net, optimizer) == {
        "0.gain": "not in the optimizer",
        "0.offset": "not in the optimizer",
    }
    assert "0.gain did not move" in audit.sentence(net)


def test_camera_read_through_numpy_has_no_gradient():
    net = model()
    net[1](net[0](torch.rand(1, 3, 8, 8)).detach()).sum().backward()
    assert audit_gradients(net) == {"0.gain": "no gradient", "0.offset": "no gradient"}


def test_forgotten_parameter_frozen_camera_and_unregistered_parameter_are_told():
    plain = nn.Sequential(BitDepth(2), nn.Flatten())
    assert "no physical quantity is learned" in MovementAudit(plain).sentence(plain)
    net = model()
    net[0].requires_grad_(False)
    assert "0.gain is frozen." in MovementAudit(net).sentence(net)

    class Sloppy(BitDepth):
        def __init__(self):
            super().__init__(2)
            self.tilt = nn.Parameter(torch.zeros(1))

    sloppy = nn.Sequential(Sloppy())
    assert "0.tilt is an nn.Parameter that no quantity owns" in MovementAudit(sloppy).sentence(sloppy)


def test_weight_decay_is_left_to_the_optimiser_unless_given():
    optimizer = torch.optim.AdamW(parameter_groups(model()), weight_decay=0.3)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.3]


def test_shape_of_a_batch_is_refused_where_one_scene_is_meant():
    with pytest.raises(ValueError, match=r"use x\.shape\[1:\]"):
        export_camera(model(), (4, 3, 6, 5))


def test_zero_and_nan_gradients_are_told_apart():
    net = model()
    net[0].free_parameter("gain").grad = torch.zeros(3, 1, 1)
    net[0].free_parameter("offset").grad = torch.full((3, 1, 1), float("nan"))
    assert audit_gradients(net) == {"0.gain": "zero gradient", "0.offset": "not finite"}


def test_transmission_that_moved_less_than_a_thousandth_is_flagged():
    net = model()
    audit = MovementAudit(net)
    with torch.no_grad():
        net[0].free_parameter("offset").add_(1e-4)
        net[0].free_parameter("gain").add_(0.1)
    report = audit.report(net)
    assert not report["0.offset"].moved and report["0.gain"].moved


def test_chain_exports_one_camera_whose_cost_is_the_last_stage():
    from physlayer import Response

    chain = nn.Sequential(Response(nn.Parameter(torch.tensor(0.5))), camera(4), nn.Identity())
    exported = export_camera(chain, (3, 6, 5))
    assert [layer["layer"] for layer in exported["layers"]] == ["Response", "BitDepth"]
    assert exported["cost"] == {"n_parameters": 7, "n_samples": 90, "bits_per_image": 360}
    assert [name for name, _ in physical_layers(chain)] == ["0", "1"]


def test_parameter_keeps_its_identity_for_an_optimiser_made_before():
    gain = nn.Parameter(torch.tensor(1.0))
    layer = BitDepth(2, gain=gain)
    assert layer.free_parameter("gain") is gain


def test_state_of_other_hardware_is_refused():
    with pytest.raises(ValueError, match=r"Expected the state of BitDepth with .*'bits': 4.*got that of BitDepth"):
        camera(4).load_state_dict(camera(2).state_dict())
    restored = camera(2)
    restored.load_state_dict(camera(2).state_dict())


def test_learned_state_into_a_fixed_layer_is_said_in_the_users_words():
    with pytest.raises(
        RuntimeError, match="Expected gain to be fixed as in this layer, but got a state where it is learned"
    ):
        BitDepth(2, gain=torch.ones(3, 1, 1)).load_state_dict(camera(2).state_dict())


def test_bare_tensors_without_the_layers_description_are_welcome():
    state = {name: value for name, value in camera(2).state_dict().items() if not name.endswith("_extra_state")}
    assert camera(4).load_state_dict(state)


def test_what_follows_from_a_free_tensor_is_named_after_the_hardware_everywhere():
    """The optimiser moves logits; every account of it says which quantity of the hardware they are behind."""
    net = nn.Sequential(PixelLayout(nn.Parameter(torch.zeros(3)), torch.zeros(4)), nn.Flatten(), nn.Linear(36, 2))
    audit, optimizer = MovementAudit(net), torch.optim.Adam(parameter_groups(net))
    step(net, optimizer)
    assert audit_gradients(net, optimizer) == {"0.rows": "ok"}
    movement = audit.report(net)["0.rows"]
    assert movement.moved and movement.unit == "1" and audit.sentence(net) == ""
    layer = net[0]
    assert torch.equal(layer.rows, layer.row_logits.softmax(0)) and torch.equal(layer.physical()["rows"], layer.rows)
    assert export_camera(net, (3, 8, 8))["layers"][0]["quantities"]["rows"]["unit"] == "share of the height"
    restored = nn.Sequential(PixelLayout(nn.Parameter(torch.zeros(3)), torch.zeros(4)), nn.Flatten(), nn.Linear(36, 2))
    restored.load_state_dict(net.state_dict())
    assert torch.equal(restored[0].rows, layer.rows)
