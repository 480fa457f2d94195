"""What a checkpoint means: an opened `Source`, its `Index`, and a `Plan` that is written.

    path ─discover─▶ Source ─▶ Index {key → Entry} ─rules─▶ Plan [Output …] ─write─▶ files

Every job of tfckpt is this flow. The rules are next door, in `tfckpt.convert`.
"""
