"""Bytes to values and back, without any I/O: the formats of TensorFlow's checkpoints.

A V2 checkpoint ("bundle") is a table file (`table`, made of `block`) whose first row is
a header and whose other rows are entries (`bundle`), beside data files that hold the
tensors' bytes (`dtypes`, `strings`). An object-based checkpoint carries its structure as
one string tensor (`objectgraph`), and keys that are paths through it (`objectkeys`).
Nothing in this room opens a file, prints, or reads the environment.
"""
