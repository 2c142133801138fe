"""HTTP to Truto: a request comes in, and a page or an error with cause and cure goes out.

Rate limits and retries are kept here. Nothing here knows of Singer, of streams or of bookmarks.
"""
