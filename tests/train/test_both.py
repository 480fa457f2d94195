from __future__ import annotations

import os

import numpy as np
import pytest

import tfckpt


@pytest.fixture
def net():
    kernel = tfckpt.Variable(np.arange(6, dtype="float32").reshape(2, 3), name="dense/kernel")
    step = tfckpt.Variable(0, dtype="int64", name="global_step")
    return kernel, step


def test_both_checkpoints_share_the_data(tmp_path, net):
    kernel, step = net
    saved = tfckpt.save_both(tfckpt.Saver([kernel, step]),
                             tfckpt.Checkpoint(model={"k": kernel}, step=step),
                             tmp_path / "tf1" / "m", tmp_path / "tf2" / "ckpt")
    assert saved == (str(tmp_path / "tf1" / "m"), str(tmp_path / "tf2" / "ckpt-1"))
    with tfckpt.open(saved.tf1) as tf1, tfckpt.open(saved.tf2) as tf2:
        assert set(tf1) == {"dense/kernel", "global_step"}
        assert np.array_equal(tf1["dense/kernel"], tf2["model/k"])
        assert tfckpt.verify(tf1).ok
        assert tfckpt.verify(tf2).ok
        one, two = tf1.shard_file(0), tf2.shard_file(0)
    assert os.path.samefile(one, two) or os.stat(one).st_size == os.stat(two).st_size


def test_what_only_the_saver_has_is_saved_too(tmp_path, net):
    kernel, step = net
    saved = tfckpt.save_both(tfckpt.Saver([kernel, step]), tfckpt.Checkpoint(k=kernel),
                             tmp_path / "tf1" / "m", tmp_path / "tf2" / "ckpt", global_step=5)
    assert saved.tf1.endswith("m-5")
    with tfckpt.open(saved.tf1) as tf1, tfckpt.open(saved.tf2) as tf2:
        assert tf1["global_step"] == 0
        assert "step/.ATTRIBUTES/VARIABLE_VALUE" not in tf2


def test_counters_state_files_and_retention_are_right_for_both(tmp_path, net):
    kernel, step = net
    checkpoint = tfckpt.Checkpoint(k=kernel, step=step)
    manager = tfckpt.CheckpointManager(checkpoint, tmp_path / "tf2", max_to_keep=3)
    saver = tfckpt.Saver([kernel, step], max_to_keep=2)
    for n in range(1, 6):
        step.assign(10 * n)
        kernel.assign(np.full([2, 3], n, "float32"))
        saved = tfckpt.save_both(saver, manager, tmp_path / "tf1" / "m", global_step=step)
    assert saved.tf2 == str(tmp_path / "tf2" / "ckpt-50")
    assert int(checkpoint.save_counter) == 5
    assert tfckpt.latest_checkpoint(tmp_path / "tf1") == saved.tf1
    assert tfckpt.latest_checkpoint(tmp_path / "tf2") == saved.tf2
    assert [os.path.basename(p) for p in saver.last_checkpoints] == ["m-40", "m-50"]
    assert [os.path.basename(p) for p in manager.checkpoints] == ["ckpt-30", "ckpt-40", "ckpt-50"]
    for folder, kept in (("tf1", 2), ("tf2", 3)):
        found = [name for name in os.listdir(tmp_path / folder) if name.endswith(".index")]
        assert len(found) == kept
    # Deleting one format's old files leaves the other's whole.
    for prefix in (*saver.last_checkpoints, *manager.checkpoints):
        with tfckpt.open(prefix) as source:
            assert tfckpt.verify(source).ok
            number = int(prefix.rpartition("-")[2]) // 10
            value = source["dense/kernel"] if "tf1" in prefix else source["k"]
            assert np.all(value == number)


def test_each_loads_what_it_should(tmp_path, net):
    kernel, step = net
    step.assign(7)
    saved = tfckpt.save_both(tfckpt.Saver([kernel, step]), tfckpt.Checkpoint(k=kernel, step=step),
                             tmp_path / "tf1" / "m", tmp_path / "tf2" / "ckpt")
    a, b = tfckpt.Variable(np.zeros([2, 3], "float32")), tfckpt.Variable(0, dtype="int64")
    tfckpt.Checkpoint(k=a, step=b).restore(saved.tf2).assert_consumed()
    c = tfckpt.Variable(np.zeros([2, 3], "float32"))
    tfckpt.Saver({"dense/kernel": c}).restore(None, saved.tf1)
    assert np.array_equal(a.numpy(), kernel.numpy())
    assert np.array_equal(c.numpy(), kernel.numpy())
    assert int(b) == 7


def test_a_manager_whose_interval_has_not_passed_saves_neither(tmp_path, net):
    kernel, step = net
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(k=kernel, step=step), tmp_path / "tf2",
                                       max_to_keep=3, step_counter=step, checkpoint_interval=10)
    saver = tfckpt.Saver([kernel, step])
    assert tfckpt.save_both(saver, manager, tmp_path / "tf1" / "m", global_step=step)
    step.assign(5)
    assert tfckpt.save_both(saver, manager, tmp_path / "tf1" / "m", global_step=step) is None
    assert len([n for n in os.listdir(tmp_path / "tf1") if n.endswith(".index")]) == 1


def test_one_folder_can_not_have_both(tmp_path, net):
    kernel = net[0]
    with pytest.raises(tfckpt.PathConflictError) as caught:
        tfckpt.save_both(tfckpt.Saver([kernel]), tfckpt.Checkpoint(k=kernel), tmp_path / "m",
                         tmp_path / "ckpt")
    assert str(caught.value) == (
        "a folder's state file names one checkpoint, and both would be in this folder"
        f" (file {tmp_path})\nGive each format a folder of its own.")
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_needs_a_path_of_its_own(tmp_path, net):
    with pytest.raises(tfckpt.VariableError, match="needs a path for the TF2 checkpoint"):
        tfckpt.save_both(tfckpt.Saver(list(net)), tfckpt.Checkpoint(k=net[0]), tmp_path / "m")


def test_every_value_of_an_object_of_the_users_own_is_in_both(tmp_path, net):
    class Statistics(tfckpt.Trackable):
        def _serialize_to_tensors(self):
            return {"mean": 1.0, "variance": 2.0}

    kernel, _ = net
    statistics = Statistics()
    saved = tfckpt.save_both(tfckpt.Saver({"k": kernel, "s/": statistics}),
                             tfckpt.Checkpoint(k=kernel, s=statistics),
                             tmp_path / "tf1" / "m", tmp_path / "tf2" / "ckpt")
    with tfckpt.open(saved.tf1) as tf1, tfckpt.open(saved.tf2) as tf2:
        assert {key: float(tf1[key].sum()) for key in tf1} == {
            "k": 15.0, "s/mean": 1.0, "s/variance": 2.0}
        assert float(tf2["s/.ATTRIBUTES/variance"]) == 2.0
