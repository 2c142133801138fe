"""`python -m documentation`: write what follows from the declarations, and build the site.

With `--check`, nothing is written or drawn: it fails if a link leads nowhere, or if the
navigation does not have all pages.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from documentation.blocks import ROOT, write
from documentation.entities import diagrams
from documentation.site import build
from documentation.tables import tables

OUTPUT = Path("output", "docs")

if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        with tempfile.TemporaryDirectory(prefix="docs-") as folder:
            build(Path(folder), draws=False)
        print("Every link of the documentation leads somewhere, and its navigation has all pages")
    else:
        write(tables() | diagrams())
        build(ROOT / OUTPUT, draws=True)
        print(f"Built {OUTPUT}/site/index.html")
