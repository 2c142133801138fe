"""The tap's settings: a configuration comes in, and typed settings or lines on errors go out.

Nothing here makes a request or knows of a run.
"""
