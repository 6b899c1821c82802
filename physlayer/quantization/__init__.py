"""Analogue-to-digital converters: bits fixed, learned, per pixel or under a budget."""

from physlayer.quantization.bit_budget import BitBudget, quantize_bits
from physlayer.quantization.bit_depth import BitDepth, effective_bits
from physlayer.quantization.converter import Converter
from physlayer.quantization.learned_step import LearnedStep, quantize_lsq
from physlayer.quantization.quantizers import midrise, midtread, nearest_code, quantize, straight_through
from physlayer.quantization.staircase import SoftStaircase, soft_staircase

__all__ = [
    "BitBudget",
    "BitDepth",
    "Converter",
    "LearnedStep",
    "SoftStaircase",
    "effective_bits",
    "midrise",
    "midtread",
    "nearest_code",
    "quantize",
    "quantize_bits",
    "quantize_lsq",
    "soft_staircase",
    "straight_through",
]
