"""What distinguishes wavelengths: colour filter arrays, spectral filters, stains, weights of channels."""
