"""State of optimizers: one file per layout, one table of optimizers.

`table` has the names of slots and values, `state` is what all layouts are read into, `carry`
fills one layout from another.
"""
