"""The programs that write what follows from the tap: documentation, plugin.yml, models for dbt.

In come the declarations of streams and settings, the pages of `docs/`, the READMEs, the changelog,
and runs of the tap against the sandbox. Out go parts of those pages, a site in `output/docs/site`,
`plugin.yml`, and parts of the dbt package. The tap does not know of it.
"""
