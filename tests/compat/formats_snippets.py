"""What the other frameworks themselves make of files; runs in the environment ``keras3``."""

import hashlib

import ml_dtypes
import numpy as np


def _facts(array):
    array = np.asarray(array)
    return [array.dtype.name, list(array.shape),
            hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


def _of_tensor(tensor):
    import torch

    name = str(tensor.dtype).removeprefix("torch.")
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy() if tensor.numel() \
        else np.zeros(0, np.uint8)
    return [name, list(tensor.shape), hashlib.sha256(raw.tobytes()).hexdigest()]


def load_safetensors(path):
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    return {"tensors": {name: _of_tensor(tensor) for name, tensor in load_file(path).items()},
            "metadata": metadata}


def save_safetensors(path):
    import torch
    from safetensors.torch import save_file

    tensors = _tensors(torch)
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path,
              metadata={"format": "pt"})
    return {name: _of_tensor(tensor) for name, tensor in tensors.items()}


def _tensors(torch):
    made = torch.arange(24, dtype=torch.uint8)
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int8, torch.uint8,
             torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64,
             torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2)
    found = {str(kind).removeprefix("torch."): made[:8].clone().view(kind) for kind in kinds}
    found["bool"] = torch.tensor([[True], [False]])
    found["scalar"] = torch.tensor(1.5)
    found["empty"] = torch.zeros(0, 3)
    return found


def load_torch(path):
    import torch

    state = torch.load(path, weights_only=True)
    return {"kind": type(state).__name__, "tensors": {
        name: _of_tensor(tensor) for name, tensor in state.items()}}


def save_torch(path):
    """Tied, transposed, strided, a parameter, and what a trainer saves beside them."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(12.0)
    tensors = {**_tensors(torch), "tied": base, "part": base[2:6], "turned": base.view(3, 4).T,
               "steps": base[::3], "parameter": torch.nn.Parameter(base),
               "complex128": torch.zeros(2, dtype=torch.complex128)}
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
                "note": "text", "tensors": tensors}, path)
    found = {f"net/{name}": _of_tensor(tensor) for name, tensor in net.state_dict().items()}
    found.update({f"tensors/{name}": _of_tensor(tensor) for name, tensor in tensors.items()})
    return found


def save_torch_model(path):
    """A whole module: code, which nobody should run."""
    import torch

    torch.save(torch.nn.Linear(1, 1), path)


def load_flax(path):
    from flax.serialization import msgpack_restore
    from flax.traverse_util import flatten_dict

    with open(path, "rb") as file:
        state = msgpack_restore(file.read())
    return {name: _facts(value) for name, value in flatten_dict(state, sep="/").items()}


def _pytree():
    return {"params": {"dense": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
                                 "bias": np.zeros(3, ml_dtypes.bfloat16)}},
            "step": np.array(7, np.int32), "mask": np.array([True, False])}


def save_flax(path, chunk=0):
    import flax.serialization
    from flax.traverse_util import flatten_dict

    if chunk:
        flax.serialization.MAX_CHUNK_SIZE = chunk
    with open(path, "wb") as file:
        file.write(flax.serialization.to_bytes({**_pytree(), "plain": 3, "more": [1.5, 2.5]}))
    return {name: _facts(value) for name, value in flatten_dict(_pytree(), sep="/").items()}


def tfckpt_command(arguments):
    """Tfckpt itself in this environment, which has Orbax."""
    import os
    import sys

    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "src"))
    from tfckpt.cli.main import run

    return run(arguments)


def load_orbax(path):
    import orbax.checkpoint as ocp
    from flax.traverse_util import flatten_dict

    with ocp.PyTreeCheckpointer() as checkpointer:
        state = checkpointer.restore(path)
    return {name: _facts(value) for name, value in flatten_dict(state, sep="/").items()}


def save_orbax(path):
    import orbax.checkpoint as ocp
    from flax.traverse_util import flatten_dict

    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path, _pytree())
    return {name: _facts(value) for name, value in flatten_dict(_pytree(), sep="/").items()}
