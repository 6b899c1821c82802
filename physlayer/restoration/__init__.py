"""Digital deconvolution with a kernel per pixel: no physical layer, but what often follows one."""
