"""Which packages there are: ``tasks/`` and ``sweeps/`` stand at the top and are installed inside ``physlayer``."""

from setuptools import find_packages, setup

packages = find_packages(include=["physlayer", "physlayer.*"])
for folder in ("tasks", "sweeps"):
    packages += [f"physlayer.{name}" for name in find_packages(include=[folder, f"{folder}.*"])]
setup(packages=packages)
