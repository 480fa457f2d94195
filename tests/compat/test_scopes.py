"""Names, reuse and errors of scopes, compared step by step with TensorFlow 1.15.

`scope_scripts` runs the same scripts in both.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import scope_scripts

from tfckpt.train import getting, globalstep, graphs, initializers, scopes, store, variables

API = SimpleNamespace(
    Graph=graphs.Graph, name_scope=graphs.name_scope, global_variables=graphs.global_variables,
    trainable_variables=graphs.trainable_variables, local_variables=graphs.local_variables,
    Variable=variables.Variable, get_variable=getting.get_variable,
    get_local_variable=getting.get_local_variable, variable_scope=scopes.variable_scope,
    get_variable_scope=scopes.get_variable_scope, AUTO_REUSE=store.AUTO_REUSE,
    zeros_initializer=initializers.zeros_initializer,
    ones_initializer=initializers.ones_initializer,
    constant_initializer=initializers.constant_initializer,
    fixed_size_partitioner=initializers.fixed_size_partitioner,
    train=SimpleNamespace(get_global_step=globalstep.get_global_step,
                          get_or_create_global_step=globalstep.get_or_create_global_step),
    reset_default_graph=graphs.reset_default_graph,
    float32="float32", float64="float64", int32="int32")


def get(name, shape=(), **options):
    return ["get", {"name": name, **options, **({} if shape is None else {"shape": list(shape)})}]


def var(name, **options):
    return ["var", {"name": name, **options}]


def scope(name, *steps, **options):
    return ["scope", {"name": name, "steps": list(steps), **options}]


def kept(key, *steps, **options):
    return ["scope", {"scope": key, "steps": list(steps), **options}]


def default(name, *steps, **options):
    return ["scope", {"default_name": name, "steps": list(steps), **options}]


def again(key, *steps):
    return ["again", {"manager": f"{key} manager", "steps": list(steps)}]


def names(name, *steps):
    return ["name_scope", {"name": name, "steps": list(steps)}]


def thread(*steps):
    return ["thread", {"steps": list(steps)}]


def simple(kind, **arguments):
    return [kind, arguments]


ODD = ["_a", "-a", ".a", "a:b", "a b", "é", "a\\b", "/a", "a//b", "a/b/", "a/", "", "A", "9", "a_1"]

SCRIPTS = {
    "unique names": [simple("unique_name", name=name) for name in (
        "foo", "foo", "foo_1", "foo", "FOO", "foo_1", "bar_2", "bar", "bar", "bar", "baz_1",
        "baz", "baz")],
    "unnamed variables": [var(None), var(None), names("s", var(None), var(None))],
    "names inside a variable": [var("a"), get("b"), *(
        var(f"{name}/{inner}") for name in "ab"
        for inner in ("read", "Assign", "initial_value", "Initializer", "other"))],
    "a value and its dtype": [get("a", None, init=1.5, dtype="float32"), var("Const")],
    "entered twice": [scope("s", get("a"), var("v")), scope("s", get("b"), var("v")),
                      scope("s", get("a"))],
    "nested": [scope("o", get("a"), scope("i", get("a"), var("v")), scope("i", var("v")))],
    "a scope object elsewhere": [
        scope("o", scope("i", get("a"), keep="k")),
        scope("x", kept("k", get("b"), var("v"), scope("y", get("c"), var("v"))), get("d")),
        names("n", kept("k", get("e"), var("v")))],
    "the same manager again": [
        scope("a", get("x"), var("v"), keep="k"), again("k", get("y"), var("v")),
        scope("b", again("k", get("x"), var("v"))), again("k", get("x"))],
    "the same manager of a default name": [
        default("d", get("x"), keep="k"), default("d", get("x")), again("k", get("y"), var("v"))],
    "reuse is inherited": [
        scope("s", get("a")),
        scope("s", get("a"), scope("t", get("a"), reuse=False), keep="k", reuse=True),
        kept("k", get("a"), get("b")), kept("k", get("b"), reuse=False),
        kept("k", get("b"), reuse="auto")],
    "automatic reuse": [
        scope("s", get("a"), get("a"), scope("t", get("a")), reuse="auto"),
        scope("s", get("a"), scope("t", get("a"), reuse=True), reuse="auto"), scope("s", get("a"))],
    "reuse_variables": [
        scope("s", get("a"), simple("reuse_variables"), get("a"), get("b"),
              scope("t", get("a"))), get("s/a"), simple("reuse_variables"), get("s/a")],
    "default names": [
        default("d", get("a")), default("d", get("a")), scope("d_2", get("a")),
        default("d", get("a")), default("d", get("a")), default("D", get("a")),
        default("d_1", get("a")), scope("o", default("d", get("a")), default("d", get("a"))),
        scope("o", default("d", get("b")), default("d", get("b")))],
    "default names interleaved": [
        scope("d", default("defScope1", get("w"))), scope("d", default("defScope1", get("w2"))),
        scope("d", default("defScope", get("w")), default("defScope1", get("w3")))],
    "default names and scope objects": [
        scope("o", default("d", get("a")), keep="k"),
        kept("k", default("d", get("b")), default("d", get("c"))),
        kept("k", default("d", get("b")), reuse=True), scope("o", default("d", get("e")))],
    "a default name with reuse": [default("d", get("a"), reuse=True),
                                  default("d", get("a"), reuse="auto"),
                                  scope("s", default("d", get("a")), reuse=True),
                                  scope("s", default("d", get("a")), reuse="auto")],
    "a name beside a default name": [scope("s", get("a"), default_name="d"),
                                     scope(None, default_name=None)],
    "without a name scope": [
        scope("a", get("x"), var("x"), auxiliary_name_scope=False),
        names("n", scope("a", get("y"), var("y"), keep="k", auxiliary_name_scope=False),
              default("a", get("y"), var("y"), auxiliary_name_scope=False),
              kept("k", get("z"), var("y"), auxiliary_name_scope=False))],
    "empty names": [scope("", get("a"), var("a"), keep="k"), default("", get("b"), var("b")),
                    scope("s", scope("", get("a"), var("a")), get(""), get(""), get("a/"),
                          get("a"), var("")), kept("k", get("c"), var("c"))],
    "a slash at the end": [var("a/"), var("a"), var("a"), var("a/"), var("b"), var("b/"), var("b")],
    "name scopes": [
        names("a", var("x"), names("b", var("x"), names("a/", var("x"), get("x")),
                                   names("", var("x")), names(None, var("x")))),
        names("a", var("x"))],
    "the wrong shape or dtype": [
        get("a", [2]), *(scope("", get("a", shape, **options), reuse=True)
                         for shape, options in (([3], {}), ([2, 1], {}), (None, {}), ([2], {}),
                                                ([2], {"dtype": "int32"}),
                                                (None, {"dtype": "float64"})))],
    "values": [
        get("a", None, init=1), get("b", None, init=2.5), get("c", None, init=[1.0, 2.0]),
        get("d", None, init=[True]), get("e", None, init=1, dtype="float32"),
        get("f", None, init=1, dtype="int32"), get("g", [], init=1), get("h", None),
        get("i", None, init="zeros"), get("j", [2], init={"constant": [1.0]}),
        scope("", get("a", None, init=1), get("c", None, init=[1.0, 2.0]),
              get("c", None, init=[3.0]), reuse=True)],
    "what comes down": [
        scope("s", get("a", [2]), scope("t", get("a", [2]), get("b", None, init=1.0),
                                        get("c", [2], dtype="int32"), get("d", None)),
              scope("u", get("a", []), dtype="float64", init="ones"),
              dtype="int32", init="zeros", keep="k"),
        kept("k", get("z", [2])), get("a", [2])],
    "a value comes down": [scope("s", get("a", None), get("b", [2]), init=1.5)],
    "in parts": [
        get("a", [5, 2], part=3), get("a", [5, 2]), get("a", [5, 2], part=3), var("a"),
        scope("", get("a", None), get("a", [5, 2], part=3), get("a", [5, 2], part=2),
              get("a", [5, 3]), get("a", None, dtype="int32"), get("a/part_0", [2, 2]),
              get("zz", [5, 2], part=3), get("a", None, part=3), reuse=True),
        scope("", get("a", [5, 2]), get("a", [5, 2], part=3), get("n", [4], part=2),
              get("n", [4], part=2), reuse="auto"),
        get("s", [], part=3), get("t", None, part=3), get("u", [4], part=9), get("v", [0], part=9),
        get("s", [4], part=3), get("w", [1], part=3), get("x", [2], part=2, init=[1.0, 2.0]),
        get("y", [3], part=2, init="ones"), simple("list")],
    "a partitioner comes down": [
        scope("s", get("a", [4]), get("b", []), scope("t", get("a", [6, 2]), part=3), part=2),
        scope("s", get("a", [4]), reuse=True), scope("s", get("a", [4]), part=2, reuse=True),
        scope("s", get("a", [4]), part=3, reuse=True)],
    "parts made one by one": [
        get("a/part_0", [2]), get("a/part_1", [2]), get("a", [4], part=2), get("a", [4]),
        scope("", get("a", [4], part=2), get("a", [6], part=3), get("a", [2], part=1),
              reuse="auto")],
    "custom getters": [
        scope("s", get("a"), scope("t", get("b"), getter="in_scope"), scope("u", get("c")),
              getter="suffixed", keep="k"),
        kept("k", get("d"), getter="in_scope"), get("e", getter="suffixed"),
        scope("s", get("a_got"), reuse=True)],
    "lists": [
        get("a"), scope("s", get("b", trainable=False), var("v"), get("c", local=True),
                        simple("list"), scope("s", get("d"), simple("list"))),
        scope("s_", get("e"), simple("list")), scope("s", simple("list")), simple("list")],
    "local variables": [get("l", local=True), get("l"), scope("", get("l"), reuse=True)],
    "threads": [
        scope("main", get("a"), thread(get("a"), scope("main", get("b"), var("v")), var("v")),
              get("c"), keep="k"),
        thread(kept("k", get("d"), default("d", get("a"))), scope("main", get("a"), reuse=True)),
        thread(default("d", get("a"))), thread(default("d", get("a"))), default("d", get("b")),
        names("n", thread(var("x")), var("x"))],
    "the global step": [simple("step", make=False), simple("step"), simple("step"),
                        simple("step", make=False), var("global_step")],
    "the global step in a scope": [scope("s", names("n", simple("step"))), simple("step")],
    "a wrong global step": [var("global_step", value=0.0), simple("step")],
    "finalized": [var("a"), get("e"), simple("finalize"), var("b"), get("c"),
                  scope("", get("d"), reuse="auto")],
    **{f"odd name {name!r}": [
        var(name), get(name), scope(name, get("q"), var("q")), names(name, get("p"), var("p")),
        default(name, get("q"), var("q")),
        scope("o", get(name), var(name), scope(name, get("q"), var("q")),
              names(name, var(name)))] for name in ODD},
}


def different(ours: list, theirs: list) -> list:
    """The first entry in which two logs differ; ours may raise an error of more kinds."""
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        raised = [entry[1][1] for entry in (our, their)
                  if isinstance(entry[1], list) and entry[1][:1] == ["raised"]]
        if our != their and not (len(raised) == 2 and set(raised[1]) <= set(raised[0])):
            return [number, our, their]
    return [] if len(ours) == len(theirs) else ["length", len(ours), len(theirs)]


def run(script: list) -> list:
    return scope_scripts.run(script, API)


@pytest.fixture(scope="module")
def theirs():
    """TensorFlow's log of each script; all of them run in one process, at once."""
    from live import live

    logs = live("tf1.15")("in_tensorflow", module="scope_scripts", scripts=list(SCRIPTS.values()))
    return dict(zip(SCRIPTS, logs, strict=True))


@pytest.mark.parametrize("title", SCRIPTS)
def test_a_script_gives_the_same_names_and_errors(title, theirs):
    assert different(run(SCRIPTS[title]), theirs[title]) == []


NAMES = ["a", "b", "a_1", "A", "a/b", "b_1", "a/a", "a/read", "_a", "a/", "", "a:b"]


class Generator:
    """Random scripts; the same ones in each run."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.kept: list[str] = []
        self.left: list[str] = []

    def name(self) -> str:
        return self.rng.choices(NAMES, [8, 6, 4, 3, 3, 3, 2, 1, 1, 1, 1, 1])[0]

    def maybe(self, chance: float, *values):
        return self.rng.choice(values) if self.rng.random() < chance else None

    def get(self) -> list:
        options = {"init": self.maybe(0.3, "zeros", 1, 1.0, [1.0, 2.0]),
                   "dtype": self.maybe(0.2, "float32", "int32"),
                   "part": self.maybe(0.15, 1, 2, 3), "local": self.rng.random() < 0.1,
                   "trainable": self.maybe(0.2, False)}
        shape = self.maybe(0.85, [], [2], [2], [3], [4, 2])
        if shape == [3] and options["init"] == [1.0, 2.0]:
            shape = [2]  # in parts TensorFlow fails when it is run, and we at once
        return get(self.name(), shape,
                   **{key: value for key, value in options.items() if value is not None})

    def scope(self, depth: int) -> list:
        options = {"reuse": self.maybe(0.4, True, "auto", "auto", False),
                   "dtype": self.maybe(0.1, "int32"), "init": self.maybe(0.1, "ones"),
                   "part": self.maybe(0.05, 2), "getter": self.maybe(0.05, "suffixed", "in_scope"),
                   "auxiliary_name_scope": self.maybe(0.05, False)}
        options = {key: value for key, value in options.items() if value is not None}
        if self.rng.random() < 0.4:
            self.kept.append(f"k{len(self.kept)}")
            options["keep"] = self.kept[-1]
        steps = self.steps(depth - 1)
        # A manager entered in itself corrupts TensorFlow's name scopes: only those left.
        self.left += [options["keep"]] if "keep" in options else []
        kind, name = self.rng.random(), self.name()
        if name == "_a":  # valid here and not where it may be entered again
            options.pop("keep", None)
        if kind < 0.25:
            options.pop("reuse", None)
            return default(name, *steps, **options)
        if kind < 0.5 and self.kept:
            return kept(self.rng.choice(self.kept), *steps, **options)
        if kind < 0.6 and self.left:
            key = self.rng.choice(self.left)
            self.left.remove(key)
            return again(key, *steps)
        return scope(name, *steps, **options)

    def step(self, depth: int) -> list:
        kinds = ["get"] * 6 + ["var"] * 4 + ["list", "reuse", "unique", "step"]
        if depth:
            kinds += ["scope"] * 9 + ["names"] * 3 + ["thread"]
        match self.rng.choice(kinds):
            case "get":
                return self.get()
            case "var":
                return var(self.maybe(0.9, self.name()), value=self.rng.choice([0, 1.0, [1.0]]),
                           call=self.rng.random() < 0.3)
            case "list":
                return simple("list")
            case "reuse":
                return simple("reuse_variables") if self.rng.random() < 0.3 else self.get()
            case "unique":
                return simple("unique_name", name=self.rng.choice(NAMES[:5]))
            case "step":
                return simple("step")
            case "names":
                return names(self.maybe(0.9, self.name()), *self.steps(depth - 1))
            case "thread":
                return thread(*self.steps(depth - 1))
        return self.scope(depth)

    def steps(self, depth: int) -> list:
        return [self.step(depth) for _ in range(self.rng.randint(1, 5 if depth else 3))]


def test_random_scripts_give_the_same_names_and_errors(tf115):
    scripts = [Generator(seed).steps(4) for seed in range(300)]
    theirs = tf115("in_tensorflow", module="scope_scripts", scripts=scripts)
    differences = [different(run(script), log)
                   for script, log in zip(scripts, theirs, strict=True)]
    assert [(seed, found) for seed, found in enumerate(differences) if found] == []


EAGER = {
    "each call makes a variable": [
        scope("s", get("a"), get("a"), var("v"), names("n", get("c"), var(None)), keep="k"),
        scope("s", get("a"), reuse=True), kept("k", get("b"), var("v")), simple("list")],
    "default names": [
        *[default("d", get("x"), var("v"))] * 3, default("d_1", get("x")),
        scope("p", default("d", get("x"), var("v"), keep="k"), scope("", get("y"), var("y"))),
        scope("q", kept("k", get("y"), var("y")))],
    "name scopes": [names("a", names("b", var("x"), names("", var("x")), names("q/", var("x")),
                                     var("x/y"), var("x/"), var("")), names("b", var("x")))],
    "names are not checked": [var("a b:c"), names("a:", var("x")), get("a b"),
                              names("_x", var("x"))],
    "values": [get("a", None, init=1), get("b", None, init=[1.5]), get("c", [], init=1.0),
               get("d", None, init=1.5, dtype="float64"), get("e", None)],
    "parts": [get("a", [5, 2], part=2), get("a", [5, 2], part=3), get("a", [5, 2])],
    "what comes down": [scope("s", get("a", [2]), scope("t", get("b", [2], init="zeros")),
                              dtype="int32", init="ones")],
    "the global step": [simple("step", make=False), simple("step"), simple("step"),
                        simple("step", make=False)],
    "local variables": [get("a", local=True), simple("list")],
}


def test_outside_a_graph_names_are_those_of_tensorflow_2(tf2):
    scripts = [script if isinstance(script, list) else [script] for script in EAGER.values()]
    theirs = tf2("eagerly_in_tensorflow", module="scope_scripts", scripts=scripts)
    differences = [different(scope_scripts.run_eagerly(script, API), log)
                   for script, log in zip(scripts, theirs, strict=True)]
    graphs.reset_default_graph()
    assert [found for found in zip(EAGER, differences, strict=True) if found[1]] == []
