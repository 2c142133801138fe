"""The unified ATS model as data: resources, providers, columns; and how values are normalised.

Rows come in as Truto gives them, and records that fit a stream's schema go out. Nothing here
imports anything else of the package, makes a request or knows how streams are read.
"""
