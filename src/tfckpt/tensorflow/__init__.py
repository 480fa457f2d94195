"""Live TensorFlow: its variables, models and sessions, saved and restored by tfckpt.

Importing this imports TensorFlow. `tfckpt.Saver` and `tfckpt.Checkpoint` do it by themselves
when they meet an object of TensorFlow's.
"""
