"""A local Truto: the endpoints the tap reads, invented data, and every way they can go wrong."""
