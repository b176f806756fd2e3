"""Other processes of Python's: what they need to find the product.

One rule: no test depends on how the one before it was begun.
"""

import os
import sys


def python_environment() -> dict[str, str]:
    """The environment of a process that imports what this one can."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
