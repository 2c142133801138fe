"""A local stand-in for Truto, and what the demo, the tests and the benchmarks need around it.

The stand-in serves Truto's endpoints over HTTP with invented accounts and rows, keeps both of
Truto's rate limits, and misbehaves when told to (`server.py`, and `control.py` to steer it). Beside
it are an embedded Postgres, throw-away Meltano projects, virtual environments, and the demo.

Nothing here imports the tap, the benchmarks or the tests: what Truto does is taken from its
reference pages a second time, so that the tap's own idea of it is checked and not repeated.
"""
