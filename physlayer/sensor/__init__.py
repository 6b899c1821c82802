"""From photons to electrons to codes, with their noise, and the laboratory that measures it."""
