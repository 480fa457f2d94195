"""Small scripts of saving and keeping, run the same way in TensorFlow and in tfckpt.

A script is a list of steps in JSON; the log has what is there after each of them: the state
file, the checkpoints, and what the program knows. This runs on Python 3.7 too.
"""

import os
import time
from contextlib import contextmanager


class Clock:
    """Moved by the script."""

    def __init__(self):
        self.now = 1e6

    def __call__(self):
        return self.now


def run(parent, relative, script, player):
    """Log of one script in the folder ``run`` of this one."""
    before = os.getcwd()
    os.chdir(parent)
    try:
        folder = "run" if relative else os.path.join(parent, "run")
        os.makedirs(folder)
        log = []
        for kind, arguments in script:
            known = getattr(player, "do_" + kind)(folder, **arguments)
            log.append([kind, known and [os.path.basename(path) for path in known],
                        _state(folder), sorted(name for name in os.listdir(folder)
                                               if name.endswith(".index"))])
        return log
    finally:
        os.chdir(before)


def _state(folder):
    try:
        with open(os.path.join(folder, "checkpoint")) as file:
            return file.read().replace(os.path.abspath(folder), "<folder>")
    except OSError:
        return None


class Managers:
    """Plays scripts of a CheckpointManager.

    Args:
        make: Makes a manager of a folder with these options, and another checkpoint.
    """

    def __init__(self, make, clock):
        self.make, self.clock, self.manager = make, clock, None

    def do_start(self, folder, **options):
        self.manager = self.make(folder, **options)
        self.manager.restore_or_initialize()
        return [*self.manager.checkpoints, self.manager.latest_checkpoint or ""]

    def do_save(self, folder, after, number=None):
        self.clock.now += after
        path = self.manager.save(number)
        return [*self.manager.checkpoints, path, self.manager.latest_checkpoint]


class Savers:
    """Plays scripts of a Saver.

    Args:
        make: Makes one with these options.
        save: Saves with it under this path.
    """

    def __init__(self, make, save, clock):
        self.make, self.save, self.clock, self.saver = make, save, clock, None

    def do_start(self, folder, **options):
        self.saver = self.make(**options)
        return self.saver.last_checkpoints

    def do_save(self, folder, after, name):
        self.clock.now += after
        path = os.path.join(folder, name)
        self.save(self.saver, path)
        if os.path.exists(path + ".index"):
            os.utime(path + ".index", (self.clock.now, self.clock.now))
        return self.saver.last_checkpoints

    def do_recover(self, folder, names):
        self.saver.recover_last_checkpoints([os.path.join(folder, name) for name in names])
        return self.saver.last_checkpoints

    def do_set(self, folder, names):
        self.saver.set_last_checkpoints([os.path.join(folder, name) for name in names])
        return self.saver.last_checkpoints


@contextmanager
def _time(clock):
    before = time.time
    time.time = clock
    try:
        yield
    finally:
        time.time = before


def managers_in_tensorflow(parent, relative, script):
    """Log of a script with TensorFlow 2's CheckpointManager."""
    import tensorflow as tf

    def make(folder, **options):
        return tf.train.CheckpointManager(tf.train.Checkpoint(v=tf.Variable(1.0)), folder,
                                          **options)

    clock = Clock()
    with _time(clock):
        return run(parent, relative, script, Managers(make, clock))


def savers_in_tensorflow(parent, relative, script):
    """Log of a script with TensorFlow 1's Saver."""
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session:
        session.run(tf.Variable(1.0, name="v", use_resource=True).initializer)
        clock = Clock()
        with _time(clock):
            return run(parent, relative, script, Savers(
                tf.train.Saver,
                lambda saver, path: saver.save(session, path, write_meta_graph=False), clock))


def _management():
    try:
        from tensorflow.python.checkpoint import checkpoint_management
    except ImportError:
        from tensorflow.python.training import checkpoint_management
    return checkpoint_management


def write_states(cwd, calls):
    """Write a state file with each of these arguments."""
    before = os.getcwd()
    os.chdir(cwd)
    try:
        for call in calls:
            os.makedirs(call["save_dir"] or ".", exist_ok=True)
            _management().update_checkpoint_state_internal(**call)
    finally:
        os.chdir(before)


def read_states(cwd, folders):
    """What the state file of each folder says, and the newest checkpoint."""
    before = os.getcwd()
    os.chdir(cwd)
    try:
        out = []
        for folder in folders:
            state = _management().get_checkpoint_state(folder)
            out.append([state.model_checkpoint_path, list(state.all_model_checkpoint_paths),
                        list(state.all_model_checkpoint_timestamps),
                        state.last_preserved_timestamp, _management().latest_checkpoint(folder)])
        return out
    finally:
        os.chdir(before)


def existing(paths):
    """Whether there is a checkpoint at each of these paths."""
    return [bool(_management().checkpoint_exists(path)) for path in paths]


def remove(path, version):
    """Remove a checkpoint of this path."""
    _management().remove_checkpoint(path, version)
