"""The programs that make the documentation: tables, pages, diagrams and screens.

In come the pages of `docs/`, the READMEs, the changelog, the declarations of streams, and runs of
the tap against the sandbox. Out go parts of those pages, and a site in `output/docs/site`. The
tap does not know of it.
"""
