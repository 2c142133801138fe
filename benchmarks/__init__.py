"""`make bench`: the tap beside what users would pick instead, measured as whole processes."""
