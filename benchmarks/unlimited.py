"""The tap's command line with Truto's limits lifted.

For one account, they would be all that its wall time shows: 50 requests in 10 seconds.
"""

from __future__ import annotations

from tap_truto_ats.api import limits
from tap_truto_ats.tap import TapTrutoAts

if __name__ == "__main__":
    limits.PERIOD = 0.0
    TapTrutoAts.cli()
