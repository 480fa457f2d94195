"""Warm start in real TensorFlow: what a graph's variables begin with."""

import numpy as np
from snippets import tf1


def filler(value):
    """An initializer; TensorFlow gives it a shape that is a tensor."""
    return lambda shape: tf1.fill(shape, value)


def warm_started(path, variables, settings):
    """Value of each variable after tf1.train.warm_start, or the kind of its error.

    Args:
        path: The checkpoint.
        variables: Name, shape, in how many parts, whether it is trained.
        settings: Arguments of warm_start; vocabularies as lists of VocabInfo's arguments.
    """
    settings = dict(settings)
    settings["var_name_to_vocab_info"] = {
        name: tf1.train.VocabInfo(*info[:5], filler(info[5]), info[6])
        for name, info in settings.get("var_name_to_vocab_info", {}).items()}
    with tf1.Graph().as_default(), tf1.Session() as session:
        made = {}
        for name, shape, parts, trainable in variables:
            made[name] = tf1.get_variable(
                name, shape, initializer=tf1.constant_initializer(-1.0), trainable=trainable,
                partitioner=tf1.fixed_size_partitioner(parts) if parts else None)
        try:
            tf1.train.warm_start(path, **settings)
        except (ValueError, tf1.errors.NotFoundError) as error:
            return type(error).__name__
        session.run(tf1.global_variables_initializer())
        return {name: np.asarray(session.run(
            variable.as_tensor() if hasattr(variable, "as_tensor") else variable)).tolist()
            for name, variable in made.items()}
