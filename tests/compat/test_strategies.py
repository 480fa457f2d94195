"""tfckpt on variables of distribution strategies: on two devices, and in a running cluster.

See strategy_snippets.py and cluster_snippets.py. Each needs a process that is new: devices are made
before TensorFlow has begun, and a process can be connected to one cluster.
"""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from live import Live, live

VERSIONS = ("tf2.15", "tf2.21")


def fresh(module):
    """A fixture that calls functions of a module in a process of its own, for each TensorFlow."""
    @pytest.fixture(scope="module", params=VERSIONS)
    def run(request, tmp_path_factory):
        live(request.param)  # skips without it
        process = Live(request.param)
        yield lambda function, **arguments: process(
            function, module=module, folder=str(tmp_path_factory.mktemp("strategy")), **arguments)
        process.kill()

    return run


run = fresh("strategy_snippets")
run_in_cluster = fresh("cluster_snippets")

# An ON_READ variable has a value on each device, here 4 and 5. Its sum, its mean or the first is
# stored, and restored so that it is read again: the sum is divided among the devices.
TRAINED = {"same": [[4.0, 8.0], [4.0, 8.0]], "SUM": [4.0, 5.0], "MEAN": [4.0, 5.0],
           "ONLY_FIRST_REPLICA": [4.0, 5.0]}
STORED = {"same": [4.0, 8.0], "SUM": 9.0, "MEAN": 4.5, "ONLY_FIRST_REPLICA": 4.0}
RESTORED = {"same": [[4.0, 8.0], [4.0, 8.0]], "SUM": [4.5, 4.5], "MEAN": [4.5, 4.5],
            "ONLY_FIRST_REPLICA": [4.0, 4.0]}


def test_mirrored_and_aggregated_variables_are_saved_as_tensorflow_does(run):
    assert run("mirrored") == {
        "kinds": ["MirroredVariable", "SyncOnReadVariable"], "trained": TRAINED, "same": True,
        "same names": True, "stored": STORED, "without a strategy": STORED, "restored": RESTORED,
        "the same everywhere": True, "background": [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]],
        "shared": True, "shared restored": [7.0, 8.0]}


@pytest.mark.parametrize("old", [False, True], ids=["TF2's strategy", "TF1's strategy"])
def test_mirrored_variables_of_graphs_in_sessions(run, old):
    assert run("mirrored_graph", old=old) == {
        "same": True, "same names": True, "trained": {**TRAINED, "step": [0, 0]},
        "restored": {**RESTORED, "step": [0, 0]}, "the same everywhere": True, "added": 0,
        "initial": True, "warm": [[4.0, 8.0], [4.0, 8.0]],
        "matched": ["MEAN", "ONLY_FIRST_REPLICA", "SUM", "global_step", "same"]}


def test_a_monitored_session_of_a_mirrored_strategy_goes_on_in_the_other_format(run):
    first, second, third = ({"v": [2.0 * n] * 2, "total": [2.0 * n] * 2, "step": [n] * 2}
                            for n in (0, 2, 4))
    assert run("monitored") == {
        "found": [[first, second], 0, [second, third], 0],
        "stored": {"global_step": 4, "total": 16.0, "v": 8.0}}


@pytest.mark.parametrize("run", ["tf2.15"], indirect=True)  # the last with Estimator
def test_an_estimator_of_a_mirrored_strategy(run):
    assert run("estimator") == {"names": ["global_step", "var", "var/Momentum"], "same": True}


def test_two_workers_save_what_they_have_together(tf221, tmp_path):
    with ExitStack() as free:
        ports = [free.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                 for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    workers = [Live(tf221.version, config=json.dumps(
        {"cluster": cluster, "task": {"type": "worker", "index": index}})) for index in range(2)]
    with ThreadPoolExecutor() as threads:  # each waits for the other
        try:
            found = list(threads.map(lambda index: workers[index](
                "one_of_two_workers", module="strategy_snippets", folder=str(tmp_path),
                index=index), range(2), timeout=120))
        finally:
            for worker in workers:
                worker.kill()
    for number, result in enumerate(found):  # to each the first device is its own
        own = {"ONLY_FIRST_REPLICA": 4.0 + number}
        restored = {name: values[:1] for name, values in RESTORED.items()}
        assert result == {"same": True, "stored": {**STORED, **own},
                          "restored": {**restored, "ONLY_FIRST_REPLICA": [4.0 + number]}}


def test_keras_models_of_a_mirrored_strategy(run):
    found = run("keras_models")
    assert set(found) in ({"tf.keras"}, {"tf_keras", "keras"})
    for which, result in found.items():
        assert result == {"same": True, "weights": True, "slot": True, "by name": True}, which


def test_variables_in_shards_of_a_running_cluster(run_in_cluster):
    assert run_in_cluster("coordinated") == {
        "table": "ShardedVariable",
        "places": ["/job:ps/replica:0/task:0", "/job:ps/replica:0/task:1"], "same": True,
        "sliced": [2, 2], "listed": ["bias", "table"],
        "values": [[[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]], 4.0, 3],
        "restored": True, "whole": [True, True], "from whole": True, "background": [4, 6, 8],
        "slots same": True, "slots": [[1.0], [2.0]], "slots made": [[1.0], [2.0]]}


def test_a_graph_on_parameter_servers(run_in_cluster):
    assert run_in_cluster("in_a_graph") == {
        "kinds": ["PartitionedVariable", "ResourceVariable"],
        "places": ["/job:ps/task:0", "/job:ps/task:1", "/job:ps/task:0", "/job:ps/task:1"],
        "same names": True, "same": True, "restored": [True, True], "objects": [2.0]}
