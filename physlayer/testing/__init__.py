"""The contract that every physical layer keeps, and the cases it is checked on."""

from physlayer.testing.contract import CHECKS, ContractError, check_layer
from physlayer.testing.layer_cases import LAYERS, LayerCase

__all__ = ["CHECKS", "LAYERS", "ContractError", "LayerCase", "check_layer"]
