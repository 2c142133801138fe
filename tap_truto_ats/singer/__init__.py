"""Streams that are read in pages, their writer, and the command line, built on singer-sdk.

Pages of records come in, and Singer messages go out. All private parts of singer-sdk that the tap
uses are used here. Nothing here knows of Truto.
"""
