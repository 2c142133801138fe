"""What users would pick instead of the tap: each a program with an environment of its own.

Called with the API's URL, the accounts' ids (separated by commas), the rows of a page, and how many
accounts to read at the same time; those that read one after another pass over that.
"""
