"""The command line: ``recsys-lab`` or ``python -m recsys_lab``. Heavy modules are imported by the command that runs."""

from recsys_lab.cli.main import main

__all__ = ["main"]
