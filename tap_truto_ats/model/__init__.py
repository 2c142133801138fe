"""The unified ATS model as data: resources, providers, columns; and how values are normalised.

Rows come in as Truto gives them, and records that fit a stream's schema go out. Nothing here knows
of HTTP, of Singer or of settings.
"""
