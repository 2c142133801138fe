"""`python -m documentation`: write what follows from the declarations, and build the site.

With `--check`, nothing is written into pages or drawn: it fails if a link leads nowhere.
"""

from __future__ import annotations

import sys

from documentation.blocks import ROOT, write
from documentation.entities import diagram
from documentation.site import OUTPUT, build
from documentation.tables import tables

if __name__ == "__main__":
    checks = sys.argv[1:] == ["--check"]
    if not checks:
        write(tables() | {"entities": diagram()})
    build(draws=not checks)
    print(f"Built {(OUTPUT / 'site').relative_to(ROOT)}/index.html; no link leads nowhere")
