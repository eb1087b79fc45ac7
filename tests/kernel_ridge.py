"""The learner without a network of ``examples/own_learner.py``: kernel ridge regression."""

from pathlib import Path

from grokscope.spec.parts import load_plugin, lookup

load_plugin(Path(__file__).resolve().parent.parent / "examples" / "own_learner.py")
KernelRidge = lookup("learner", "kernel_ridge")
KernelMachine = vars(__import__(KernelRidge.__module__))["KernelMachine"]
