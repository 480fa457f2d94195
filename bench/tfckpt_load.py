"""Loads every tensor of a checkpoint with tfckpt, each checked against its CRC."""

import sys

import tfckpt

with tfckpt.open(sys.argv[1]) as checkpoint:
    held = dict(checkpoint.items())
print(len(held))
