"""The same models as others ported them to PyTorch; runs in ``keras3``."""

import json
import os

import numpy as np
import torch
import torch_snippets
import transformers
from safetensors.torch import load_file

import tfckpt.torch
from tfckpt.errors import MismatchError


def hugging_face(folder, class_name, config, inputs, outputs, original, name_map, untied=""):
    """Load a folder as people do, and run it; then load the original into a live model.

    `untied` is a layer whose weights are its own, though a new model ties them. Returned are what
    `from_pretrained` had to say of the names, each output by its name, and which tensors of the
    live model are others.
    """
    kind = getattr(transformers, class_name)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(kind.config_class(**config).to_dict(), file)
    model, said = kind.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with torch.no_grad():
        found = model(**{name: torch.tensor(value) for name, value in inputs.items()},
                      output_hidden_states=True)
    values = {name: found[key] for name, key in outputs.items() if key != "hidden_states"}
    values.update({name: found[key][-1] for name, key in outputs.items() if key == "hidden_states"})
    live = kind(model.config)
    refused = ""
    if untied:
        try:
            tfckpt.torch.load(live, original, map=name_map)
        except MismatchError as error:
            refused = str(error)
        layer = live.get_submodule(untied)
        layer.weight = torch.nn.Parameter(layer.weight.detach().clone())
    report = tfckpt.torch.load(live, original, map=name_map, allow_unused=r"^cls/")
    tensors = live.state_dict()
    stored = load_file(os.path.join(folder, "model.safetensors"))
    return {"said": {key: sorted(map(str, value)) for key, value in said.items() if value},
            "lacking": sorted(set(model.state_dict()) - set(stored)),
            "refused": refused, "unused": list(report.unused),
            "differ": [name for name, tensor in model.state_dict().items()
                       if not torch.equal(tensor, tensors[name])],
            "outputs": {name: value.tolist() for name, value in values.items()}}


def plain(file, io, kind):
    """How far a plain module is from TensorFlow, with the file's tensors and no others."""
    module = getattr(torch_snippets, kind)()
    state = load_file(file)
    module.load_state_dict(state, strict=True)
    with np.load(io) as stored, torch.no_grad():
        found = module.eval()(torch.tensor(stored["arr_0"])).numpy()
        return float(np.abs(found - stored["y"]).max())
