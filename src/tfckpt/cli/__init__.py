"""The ``tfckpt`` command: one file per subcommand, each of which parses, calls and prints.

Nothing outside this room prints, reads the environment, or exits.
"""
