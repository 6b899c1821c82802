"""An ultrasound array on the complex field, from its beam to the displayed envelope."""
