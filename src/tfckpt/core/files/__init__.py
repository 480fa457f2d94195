"""Files that aren't TensorFlow's: one module each, with its `Source` and its writer.

A writer executes a plan as `tfckpt.core.writer` does; `tfckpt.core.files.writing` publishes
what it made after it was read again and compared.
"""
