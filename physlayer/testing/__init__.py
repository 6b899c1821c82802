"""The contract that every physical layer keeps, and the cases it is checked on."""
