"""Rules: functions from a checkpoint's index to the plan of a new one.

One file per rule. A rule reads no tensor and writes nothing; `tfckpt.core.writer` does.
"""
