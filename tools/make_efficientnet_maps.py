"""Write the maps of EfficientNet, B0 to B7: they differ in how many blocks a stage has.

Keras numbers blocks by stage and letter (``block2b``), Hugging Face all in a row. Run it after a
change, from any folder; a test compares what is there with what it would write.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

MAPS = Path(__file__).resolve().parent.parent / "src" / "tfckpt" / "convert" / "maps"

REPEATS = (1, 2, 2, 3, 3, 4, 1)  # of each stage's block in B0
DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)  # of B0 to B7

BLOCK = "[efficientnet.]encoder.blocks.{block}"
CONVOLUTIONS = {
    "stem_conv": "[efficientnet.]embeddings.convolution",
    "block{block}_expand_conv": f"{BLOCK}.expansion.expand_conv",
    "block{block}_se_reduce": f"{BLOCK}.squeeze_excite.reduce",
    "block{block}_se_expand": f"{BLOCK}.squeeze_excite.expand",
    "block{block}_project_conv": f"{BLOCK}.projection.project_conv",
    "top_conv": "[efficientnet.]encoder.top_conv",
}
NORMALIZATIONS = {
    "stem_bn": "[efficientnet.]embeddings.batchnorm",
    "block{block}_expand_bn": f"{BLOCK}.expansion.expand_bn",
    "block{block}_bn": f"{BLOCK}.depthwise_conv.depthwise_norm",
    "block{block}_project_bn": f"{BLOCK}.projection.project_bn",
    "top_bn": "[efficientnet.]encoder.top_bn",
}


def blocks(depth: float) -> dict[str, str]:
    """Hugging Face's number of each block of Keras."""
    names = [f"{stage}{chr(ord('a') + n)}" for stage, repeats in enumerate(REPEATS, 1)
             for n in range(math.ceil(depth * repeats))]
    return {name: str(number) for number, name in enumerate(names)}


def the_map(number: int) -> dict:
    """The map of one size."""
    rules = [{"here": f"{here}/kernel", "there": f"{there}.weight", "layout": "conv"}
             for here, there in CONVOLUTIONS.items()]
    rules += [{"here": f"{here}/bias", "there": f"{there}.bias"}
              for here, there in CONVOLUTIONS.items() if "_se_" in here]
    rules.append({"here": "block{block}_dwconv/[depthwise_]kernel",  # Keras 3 calls it kernel
                  "there": f"{BLOCK}.depthwise_conv.depthwise_conv.weight",
                  "layout": "depthwise(1)"})
    rules += [{"here": f"{here}/{{norm}}", "there": f"{there}.{{norm}}"}
              for here, there in NORMALIZATIONS.items()]
    rules += [{"here": "predictions/kernel", "there": "classifier.weight", "layout": "dense"},
              {"here": "predictions/bias", "there": "classifier.bias"}]
    return {
        "tfckpt-map": 1, "name": f"hf-efficientnet-b{number}",
        "here": f"EfficientNetB{number} of keras.applications",
        "there": f"Hugging Face's EfficientNet, B{number}", "rules": rules,
        "constants": [{"there": f"{there}.num_batches_tracked", "for": f"{here}/moving_mean",
                       "value": 0, "dtype": "int64"} for here, there in NORMALIZATIONS.items()],
        "left_out": [{"here": f"{{normalization}}/{what}",
                      "why": "how images are prepared, which Hugging Face's image processor does"}
                     for what in ("mean", "variance", "count")]
                    + [{"here": "optimizer/{*rest}", "why": "state of the optimizer"}],
        "tables": {"block": blocks(DEPTHS[number]),
                   "norm": {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                            "moving_variance": "running_var"}},
        "whole": ["block"],  # or B0's blocks would become others of B1
        "metadata": {"format": "pt"},
    }


def text(value: dict) -> str:
    """A map as its file has it: a line for each rule."""
    parts = []
    for key, item in value.items():
        if isinstance(item, list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in item)
            parts.append(f" {json.dumps(key)}: [\n{rows}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(item)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    for number in range(len(DEPTHS)):
        value = the_map(number)
        (MAPS / f"{value['name']}.json").write_text(text(value), encoding="utf-8")


if __name__ == "__main__":
    main()
