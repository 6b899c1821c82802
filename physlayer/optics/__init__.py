"""Light before it reaches the sensor: blur, lenses and their pupils, coherent light, illumination."""
