"""Singer tap for the applicant tracking systems connected through Truto's unified ATS API.

Imports go one way: tap → streams → run → report → sync, singer → api → settings → model.
"""
