"""Everything that leans on singer-sdk: the command line, streams read in pages, and the writer.

Pages of records come in, and Singer messages go out. Nothing here knows of Truto's accounts.
"""
