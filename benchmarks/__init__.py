"""`make bench`: the tap beside what users would pick instead, measured as whole processes.

`cases.py` declares what is compared and what must be reached, and `peers/` holds the programs that
the tap is compared with. `server.py` feeds them all, since the sandbox would be slower than they
are. Nothing here imports the tests, and neither the tap nor the sandbox imports anything from here.
"""
