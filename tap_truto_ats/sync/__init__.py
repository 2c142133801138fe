"""How accounts are read: which pages are requested in which order, and when a bookmark moves.

Accounts, settings and a way to fetch a page come in; rows go out, with the account sync that they
belong to. Nothing here does I/O of its own or imports singer-sdk.
"""
