"""The same models as others ported them to PyTorch; runs in ``keras3``."""

import json
import os

import torch
import transformers
from safetensors.torch import load_file


def hugging_face(folder, class_name, config, inputs, outputs):
    """Load a folder as people do, and run it.

    Returns:
        What `from_pretrained` had to say of the names, and each output by its name.
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
    stored = load_file(os.path.join(folder, "model.safetensors"))
    return {"said": {key: sorted(map(str, value)) for key, value in said.items() if value},
            "lacking": sorted(set(model.state_dict()) - set(stored)),
            "outputs": {name: value.tolist() for name, value in values.items()}}
