"""Digital deconvolution with a kernel per pixel: no physical layer, but what often follows one."""

from physlayer.restoration.least_squares import local_least_squares, local_lmmse
from physlayer.restoration.local_convolution import LocallyConnected2d, locally_connected, noise_gain, window_size

__all__ = ["LocallyConnected2d", "local_least_squares", "local_lmmse", "locally_connected", "noise_gain", "window_size"]
