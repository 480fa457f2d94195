"""Live JAX: arrays in dicts, lists and modules of Flax, saved and restored by tfckpt.

`tfckpt.Saver` and `tfckpt.Checkpoint` take them by themselves, once the program has imported JAX.
Importing this imports nothing.
"""
