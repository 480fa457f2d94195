"""tfckpt on graph variables in sessions, in TensorFlow's own process. See live_snippets.py."""

import os

import numpy as np
import tensorflow as tf
from live_snippets import content

import tfckpt

tf1 = tf.compat.v1


def session_saver(folder, use_resource):
    """A Saver without a list, in a finalized graph: both kinds of variables, parts, a table."""
    with tf1.Graph().as_default() as graph, tf1.variable_scope("", use_resource=use_resource):
        a = tf1.get_variable("a", [2, 3], initializer=tf1.zeros_initializer)
        with tf1.variable_scope("scoped"):
            tf1.get_variable("text", initializer=tf.constant(["x", "y"]))
        tf1.get_variable("small", [4], tf.bfloat16, initializer=tf1.ones_initializer)
        parts = tf1.get_variable("parts", [5, 2], partitioner=tf1.fixed_size_partitioner(2))
        shared = tf.constant(3.0)  # one initial value for two
        first, second = (tf1.get_variable(name, initializer=shared) for name in ("s1", "s2"))
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, name="table")
        grow, more = table.insert(["k"], [5]), table.insert(["z"], [6])
        step = tf1.train.get_or_create_global_step()
        size = table.size()
        ours, theirs = tfckpt.Saver(), tf1.train.Saver()
        train = [tf1.assign(a, a + 1), tf1.assign(first, 7.0), tf1.assign(second, 8.0),
                 tf1.assign(step, 4)]
        init = tf1.global_variables_initializer()
        graph.finalize()
        with tf1.Session() as session:
            try:
                ours.save(session, os.path.join(folder, "none"))
                refused = None
            except tfckpt.VariableError as error:
                refused = error.message, bool(error.tensor)
            session.run(init)
            session.run([train, grow])
            mine = ours.save(session, os.path.join(folder, "ours"), global_step=step)
            other = theirs.save(session, os.path.join(folder, "theirs"), write_meta_graph=False)
            watched = [a, first, second, *parts]
            before = session.run(watched)
            operations = len(graph.get_operations())
            session.run([init, more])
            ours.restore(session, other)
            equal = all(map(np.array_equal, before, session.run(watched)))
            in_table = int(session.run(size))
            session.run([init, more])
            theirs.restore(session, mine)
            equal_there = all(map(np.array_equal, before, session.run(watched)))
            ours.save(session, os.path.join(folder, "again"))
            return {"refused": refused, "path": os.path.basename(mine),
                    "same": content(mine) == content(other), "restored": equal, "table": in_table,
                    "restored there": equal_there,
                    "added": len(graph.get_operations()) - operations}


def two_variables(value):
    return (tf1.get_variable("v", initializer=tf.constant([value, value])),
            tf1.get_variable("w", initializer=tf.constant(value)))


def session_checkpoint(folder):
    """Object-based checkpoints between sessions and eager code, both ways."""
    found = {}
    with tf1.Graph().as_default():
        v, w = two_variables(3.0)
        ours, theirs = tfckpt.Checkpoint(v=v, w=w), tf1.train.Checkpoint(v=v, w=w)
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            mine = ours.save(os.path.join(folder, "ours"))
            found["same"] = content(mine) == content(theirs.save(os.path.join(folder, "theirs")))
    eager = tf.Variable([0.0, 0.0]), tf.Variable(0.0)
    tfckpt.Checkpoint(v=eager[0], w=eager[1]).restore(mine).assert_consumed()
    found["eager"] = [eager[0].numpy().tolist(), float(eager[1])]
    eager[1].assign(9.0)
    from_eager = tfckpt.Checkpoint(v=eager[0], w=eager[1]).save(os.path.join(folder, "eager"))
    by_name = tfckpt.Saver({"v": eager[0], "w": eager[1]}).save(None, os.path.join(folder, "name"))
    with tf1.Graph().as_default():
        v, w = two_variables(0.0)
        checkpoint = tfckpt.Checkpoint(v=v, w=w)
        status = checkpoint.restore(from_eager).assert_consumed()
        try:
            status.run_restore_ops()
        except tfckpt.GraphStateError as error:
            found["without a session"] = error.message
        for name, path in (("object", from_eager), ("name", by_name)):
            with tf1.Session() as session:  # given, not the default one
                status = checkpoint.restore(path).assert_existing_objects_matched()
                status.run_restore_ops(session)
                found[name] = [value.tolist() for value in session.run([v, w])]
                operations = len(session.graph.get_operations())
                checkpoint.write(os.path.join(folder, "again"), session=session)
                found["added"] = len(session.graph.get_operations()) - operations
        reader = tfckpt.load_checkpoint(by_name)
        with tf1.Session() as session:
            session.run([tf1.assign(w, reader.get_tensor("w"))])
            found["load_checkpoint"] = float(session.run(w))
    return found


def given_sessions(folder):
    """Saves in a session that is no default one, given wherever one can be; what each wrote."""
    with tf1.Graph().as_default():
        v, _ = two_variables(3.0)
        step = tf1.train.get_or_create_global_step()
        checkpoint, saver = tfckpt.Checkpoint(v=v), tfckpt.Saver({"v": v})
        manager = tfckpt.CheckpointManager(checkpoint, folder + "/kept", None, step_counter=step,
                                           checkpoint_interval=1)
        session = tf1.Session()
        session.run(tf1.global_variables_initializer())
        session.run(tf1.assign(step, 7))  # not in the same run, which may assign first
        paths = [checkpoint.save(folder + "/o/a", session),  # as in TensorFlow 1
                 checkpoint.write(folder + "/o/b", session),
                 checkpoint.save(folder + "/o/c", session=session),
                 saver.save(session, folder + "/n/d", global_step=step),
                 *tfckpt.save_both(saver, checkpoint, folder + "/n/e", folder + "/o/f", step,
                                   session=session),
                 manager.save(checkpoint_number=step, options=session)]
        session.run(tf1.assign(step, 8))
        with tfckpt.BackgroundSaves() as background:
            paths += [background.save(checkpoint, folder + "/o/g", session),
                      background.save(manager, step, options=session),
                      *background.save_both(saver, checkpoint, folder + "/n/h", folder + "/o/i",
                                            step, session=session)]
        session.close()
        values = [tf.train.load_variable(path, "v" if name == "n" else
                                         "v/.ATTRIBUTES/VARIABLE_VALUE").tolist()
                  for path in paths for name in [os.path.basename(os.path.dirname(path))]]
        return {"paths": [os.path.relpath(path, folder) for path in paths],
                "values": [value == [3.0, 3.0] for value in values]}


def initialize_or_restore(folder):
    found = {}
    with tf1.Graph().as_default():
        v, w = two_variables(3.0)
        checkpoint, only_v = tfckpt.Checkpoint(v=v, w=w), tfckpt.Checkpoint(v=v)
        with tf1.Session() as session:
            checkpoint.restore(None).initialize_or_restore()
            found["no file"] = [value.tolist() for value in session.run([v, w])]
            session.run([tf1.assign(v, [5.0, 5.0]), tf1.assign(w, 5.0)])
            path = only_v.write(os.path.join(folder, "v"))
        with tf1.Session() as session:
            checkpoint.read(path).initialize_or_restore()
            found["part of it"] = [value.tolist() for value in session.run([v, w])]
        with tf1.Session() as session:
            earlier = tfckpt.Checkpoint(v=v).read(None)
            checkpoint.read(path).initialize_or_restore()
            earlier.initialize_or_restore()
            found["asked later"] = [value.tolist() for value in session.run([v, w])]
        with tf1.Session() as session:
            earlier = tfckpt.Checkpoint(v=v).read(None)
            tf.train.Checkpoint(v=v).read(path).expect_partial().run_restore_ops(session)
            earlier.initialize_or_restore(session)
            found["of TensorFlow's, asked later"] = session.run(v).tolist()
    return found


def init_from_graph(folder, use_resource):
    """Values that come before the initializers are run, and are not undone by them."""
    path = tfckpt.Saver({"old/a": tf.Variable([1.0, 2.0]),
                         "old/p": tf.Variable([[1.0], [2.0], [3.0]]),
                         "old/t": tf.Variable(4)}).save(None, os.path.join(folder, "m"))
    with tf1.Graph().as_default(), tf1.variable_scope("new", use_resource=use_resource):
        a = tf1.get_variable("a", [2])
        p = tf1.get_variable("p", [3, 1], partitioner=tf1.fixed_size_partitioner(2))
        t = tf1.get_variable("t", initializer=0)
        b = tf1.get_variable("b", initializer=7.0)
        first = tfckpt.init_from_checkpoint(path, [("old/a", "new/a"), ("old/p", p),
                                                   ("old/t", t)])
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            session.run(tf1.global_variables_initializer())
            values = session.run([a, p.as_tensor(), t, b])
        try:
            tfckpt.init_from_checkpoint(path, {"old/none": t, "old/a": b, "old/t": "new/none"})
        except tfckpt.RestoreError as error:
            refused = error.message
        return {"matched": sorted(first.matched), "values": [value.tolist() for value in values],
                "refused": refused}


def scopes(folder):
    """A scope of TensorFlow's get_variable filled from a scope, parts among it."""
    path = tfckpt.Saver({"old/a": tf.Variable([1.0, 2.0]), "old/p": tf.Variable([3.0, 4.0, 5.0]),
                         "old2/a": tf.Variable(0.0)}).save(None, os.path.join(folder, "m"))
    with tf1.Graph().as_default():
        with tf1.variable_scope("new"):
            a = tf1.get_variable("a", [2])
            p = tf1.get_variable("p", [3], partitioner=tf1.fixed_size_partitioner(3))
        with tf1.variable_scope("new2"):
            other = tf1.get_variable("a", initializer=9.0)
        tfckpt.init_from_checkpoint(path, {"old/": "new/"})
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            return [value.tolist() for value in session.run([a, p.as_tensor(), other])]


def position_in_session(folder):
    """A dataset's position, saved and restored in sessions; TensorFlow reads ours."""
    with tf1.Graph().as_default():
        dataset = tf.data.Dataset.range(20).shuffle(5, seed=1)
        iterator = tf1.data.make_initializable_iterator(dataset)
        following = iterator.get_next()
        ours, theirs = tfckpt.Checkpoint(it=iterator), tf1.train.Checkpoint(it=iterator)
        with tf1.Session() as session:
            session.run(iterator.initializer)
            for _ in range(3):
                session.run(following)
            path = ours.write(os.path.join(folder, "ours"))
            expected = [int(session.run(following)) for _ in range(4)]
        answers = []
        for checkpoint in (ours, theirs):
            with tf1.Session() as session:
                session.run(iterator.initializer)
                checkpoint.restore(path).run_restore_ops()
                answers.append([int(session.run(following)) for _ in range(4)] == expected)
        return answers
