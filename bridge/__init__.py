"""markbridge: the bridge between SystemTap and LTT, as a library.

Public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"
