"""Where a network looks: maps of the scene, the reading and the physical parameters."""
