from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import live as live_module

# They run inside TensorFlow's environments, not here.
collect_ignore_glob = ["*snippets.py", "*_scripts.py", "worker.py", "*_models.py", "pages.py"]


@pytest.fixture(scope="session", autouse=True)
def _end_tensorflow():
    yield
    live_module.close_all()


@pytest.fixture
def tf115():
    return live_module.live("tf1.15")


@pytest.fixture
def tf215():
    return live_module.live("tf2.15")


@pytest.fixture
def tf221():
    return live_module.live("tf2.21")


@pytest.fixture(params=["tf2.15", "tf2.21"])
def tf2(request):
    """Each TensorFlow 2."""
    return live_module.live(request.param)


@pytest.fixture(params=live_module.VERSIONS)
def tf(request):
    """Each TensorFlow."""
    return live_module.live(request.param)


@pytest.fixture
def torch_keras():
    """Keras 3 on PyTorch, without TensorFlow."""
    return live_module.live("keras3", "torch")


@pytest.fixture
def tf221_keras3():
    """Keras 3 on TensorFlow, beside `tf_keras`."""
    return live_module.live("tf2.21", "tensorflow")


@pytest.fixture(params=[("keras3", "torch"), ("keras3", "jax"), ("tf2.21", "tensorflow")],
                ids=lambda item: item[1])
def keras3(request):
    """Keras 3 on each backend."""
    return live_module.live(*request.param)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Folder of a model that Keras 2 saved, and what it computes; each is made once."""
    made = {}

    def save(model):
        if model not in made:
            folder = tmp_path_factory.mktemp(model)
            made[model] = folder, live_module.live("tf2.21")(
                "save_old", "keras_snippets", model=model, folder=folder)
        return made[model]

    return save
