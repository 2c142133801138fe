"""What users would pick instead of the tap: each a program with an environment of its own.

Each is called with the API's URL, the accounts' ids (separated by commas), the number of rows of a
page, and the number of accounts to read at the same time. Those that read one account after another
ignore the last.
"""
