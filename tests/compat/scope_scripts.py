"""Small scripts of scopes and variables, run the same way in TensorFlow and in tfckpt.

A script is a list of steps in JSON, `run` keeps a log of what each step gave or that it
raised, and the logs of both libraries are compared. This runs on Python 3.7 too.
"""

import threading


def in_tensorflow(scripts):
    """Logs of these scripts in the TensorFlow of this process, of version 1.15."""
    import tensorflow.compat.v1 as tf

    return [run(script, tf) for script in scripts]


def run(script, api):
    """Log of one script in a graph of its own."""
    graph = api.Graph()
    with graph.as_default():
        return _Script(api, graph).run(script)


class _Script:
    def __init__(self, api, graph):
        self.api, self.graph = api, graph
        self.log, self.seen, self.kept = [], [], {}

    def run(self, script):
        self.steps(script)
        self.log += [["end", self.names(self.api.global_variables()),
                      self.names(self.api.trainable_variables()),
                      self.names(self.api.local_variables())]]
        return self.log

    def steps(self, steps):
        for kind, arguments in steps:
            try:
                answer = getattr(self, "do_" + kind)(**arguments)
            except Exception as error:
                kinds = [kind.__name__ for kind in (ValueError, TypeError, RuntimeError)
                         if isinstance(error, kind)]
                if not kinds:  # neither library refuses with another: a mistake in this file
                    raise
                answer = ["raised", kinds]
            self.log.append([kind, answer])

    def names(self, variables):
        return [variable.name for variable in variables]

    def told(self, variable):
        """What is compared of a variable; its number shows whether it is one seen before."""
        if not any(variable is other for other in self.seen):
            self.seen.append(variable)
        number = [variable is other for other in self.seen].index(True)
        dtype = getattr(variable.dtype, "base_dtype", variable.dtype).name
        parts = []
        if type(variable).__name__ == "PartitionedVariable":
            parts = [[part.name, [int(dim) for dim in part.shape]] for part in variable]
        return [number, variable.name, [int(dim) for dim in variable.shape], dtype, parts]

    def options(self, init=None, part=None, reuse=None, dtype=None, getter=None, **others):
        api, named = self.api, dict(others)
        if init is not None:
            makers = {"zeros": api.zeros_initializer, "ones": api.ones_initializer}
            constant = isinstance(init, dict)
            named["initializer"] = (api.constant_initializer(init["constant"]) if constant
                                    else makers[init]() if isinstance(init, str) else init)
        if part is not None:
            named["partitioner"] = api.fixed_size_partitioner(part)
        if reuse is not None:
            named["reuse"] = api.AUTO_REUSE if reuse == "auto" else reuse
        if dtype is not None:
            named["dtype"] = getattr(api, dtype)
        if getter is not None:
            named["custom_getter"] = getattr(self, getter)
        return named

    def suffixed(self, getter, name, *given, **named):
        return getter(name + "_got", *given, **named)

    def in_scope(self, getter, name, *given, **named):
        return getter("got/" + name, *given, **named)

    def do_get(self, name, local=False, **options):
        make = self.api.get_local_variable if local else self.api.get_variable
        return self.told(make(name, **self.options(**options)))

    def do_var(self, name, value=0.0, call=False, **options):
        return self.told(self.api.Variable((lambda: value) if call else value, name=name,
                                           **options))

    def do_scope(self, steps=(), name=None, scope=None, keep=None, **options):
        target = name if scope is None else self.kept.get(scope, "missing_scope")
        manager = self.api.variable_scope(target, **self.options(**options))
        self.enter(manager, steps, keep)

    def do_again(self, steps, manager):
        """Enter the very context manager of an earlier step."""
        if manager in self.kept:
            self.enter(self.kept[manager], steps, None)

    def enter(self, manager, steps, keep):
        with manager as scope:
            self.log.append(["in", scope.name, scope.original_name_scope,
                             str(scope.reuse).replace("_ReuseMode", "ReuseMode"),
                             self.graph.get_name_scope() or ""])
            if keep is not None:
                self.kept[keep], self.kept[keep + " manager"] = scope, manager
            self.steps(steps)

    def do_name_scope(self, name, steps):
        with self.api.name_scope(name) as scope:
            self.log.append(["in", scope])
            self.steps(steps)

    def do_reuse_variables(self):
        self.api.get_variable_scope().reuse_variables()

    def do_unique_name(self, name):
        return self.graph.unique_name(name)

    def do_list(self):
        scope = self.api.get_variable_scope()
        return [self.names(scope.global_variables()), self.names(scope.trainable_variables()),
                self.names(scope.local_variables())]

    def do_step(self, make=True):
        train = self.api.train
        step = train.get_or_create_global_step() if make else train.get_global_step()
        return step if step is None else self.told(step)

    def do_finalize(self):
        self.graph.finalize()

    def do_thread(self, steps):
        def work():
            with self.graph.as_default():
                self.steps(steps)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def eagerly_in_tensorflow(scripts):
    """Logs of these scripts outside a graph, in the TensorFlow 2 of this process."""
    import types

    import tensorflow as tf

    api = types.SimpleNamespace(**{name: getattr(tf.compat.v1, name) for name in (
        "Graph", "variable_scope", "get_variable", "get_local_variable", "get_variable_scope",
        "AUTO_REUSE", "zeros_initializer", "ones_initializer", "constant_initializer",
        "fixed_size_partitioner", "global_variables", "trainable_variables", "local_variables",
        "reset_default_graph", "train", "int32", "float64")})
    api.Variable, api.name_scope = tf.Variable, tf.name_scope
    return [run_eagerly(script, api) for script in scripts]


def run_eagerly(script, api):
    """Log of one script outside a graph."""
    api.reset_default_graph()
    return _Script(api, api.Graph()).run(script)  # the graph is there and not entered
