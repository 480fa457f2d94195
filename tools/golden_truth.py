"""What the golden scripts share: sample values, and TRUTH.json. Runs on Python 3.7 too."""

import hashlib
import json
import os
import shutil

import numpy as np

DTYPES = {
    "tf1.15": ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
               "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128"],
    "tf2.21": ["float32", "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
               "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4"],
}


def numpy_dtype(name):
    """Numpy's dtype of TensorFlow's name, with the small ones from TensorFlow itself."""
    import tensorflow as tf

    return np.dtype(tf.as_dtype(name).as_numpy_dtype)


def sample(name, shape):
    """Some values of a dtype, odd ones among them."""
    n = int(np.prod(shape))
    dtype = numpy_dtype(name)
    if name.startswith("complex"):
        values = np.linspace(-2, 2, n) + 1j * np.linspace(0.1, 1, n)
    elif name.startswith("uint"):
        values = np.arange(n)
    elif name == "bool":
        values = np.arange(n) % 3 == 0
    elif name.startswith("int"):
        values = np.arange(n) - n // 2
    else:
        values = np.linspace(-1.5, 2, n)
    return values.astype("float32").astype(dtype).reshape(shape) if dtype.kind == "V" or \
        "float8" in name or name == "bfloat16" else values.astype(dtype).reshape(shape)


def digest(array):
    """SHA-256 of the little-endian C-order bytes; of strings, each after its length."""
    if array.dtype == object:
        items = [bytes(item) for item in array.reshape(-1)]
        data = b"".join(len(item).to_bytes(8, "little") + item for item in items)
    else:
        data = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(data).hexdigest()


class Folder:
    """A folder of golden checkpoints, and the TRUTH.json that says what is in them."""

    def __init__(self, path, version):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        self.path = path
        self.truth = {"tensorflow": version, "checkpoints": {}}

    def prefix(self, name):
        return os.path.join(self.path, name)

    def record(self, name, values):
        """Note what a checkpoint holds: key -> (dtype, array)."""
        self.truth["checkpoints"][name] = {
            key: {"dtype": dtype, "shape": list(array.shape), "sha256": digest(array)}
            for key, (dtype, array) in sorted(values.items())}

    def close(self):
        state = self.prefix("checkpoint")
        if os.path.exists(state):
            os.remove(state)
        with open(self.prefix("TRUTH.json"), "w") as file:
            json.dump(self.truth, file, indent=1)
            file.write("\n")
