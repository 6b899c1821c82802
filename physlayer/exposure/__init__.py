"""How much light reaches the sensor: transmission, exposure, brackets for a high dynamic range, response curves."""
