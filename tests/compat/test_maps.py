"""Shipped maps: a model under its first authors' names on TensorFlow, and its port, must agree.

The models are made here with random weights; see `map_model_snippets`.
"""

from __future__ import annotations

import json

import live as live_module
import numpy as np
import pytest

import tfckpt
from tfckpt.errors import MismatchError
from tfckpt.keras.legacy_h5 import LegacyH5

SEED = 20


def original(function, **arguments):
    return live_module.live("tf2.21")(function, module="map_model_snippets", **arguments)


def port(folder, name_map, class_name, **arguments):
    """What Hugging Face makes of the file, and of the original by `tfckpt.torch.load`: the same."""
    found = live_module.live("keras3")(
        "hugging_face", module="map_port_snippets", folder=folder, class_name=class_name,
        original=folder / "model.ckpt", name_map=name_map, **arguments)
    assert found["differ"] == []
    return found


def whole_numbers(below, *shape):
    return np.random.default_rng(SEED).integers(0, below, shape).tolist()


def check_equal(found, expected):
    assert found.keys() <= expected.keys()
    assert found
    for name, value in found.items():
        assert np.shape(value) == np.shape(expected[name])
        assert np.abs(np.array(value) - expected[name]).max() < 1e-5, name


def check_way_back(folder, name_map, prefix):
    """What TensorFlow saved comes back from the file with its names, values and bits."""
    tfckpt.convert(folder / "model.safetensors", folder / "back", to="tf1", map=name_map)
    report = tfckpt.diff(prefix, folder / "back")
    assert report.counts["same"] == len(tfckpt.load_file(folder / "back"))
    return sorted(name for name in report.only_a if "/adam_" not in name)


def test_bert_of_google_research_is_the_one_of_hugging_face(tmp_path):
    """Its GELU is the one with the hyperbolic tangent, which Hugging Face calls gelu_new."""
    sizes = {"vocabulary": 23, "positions": 12, "width": 16, "layers": 2, "heads": 4, "inner": 32}
    ids = whole_numbers(23, 2, 7)
    mask, kinds = [[1] * 7, [1] * 4 + [0] * 3], [[0] * 3 + [1] * 4] * 2
    expected = original("bert", prefix=tmp_path / "model.ckpt", seed=SEED, **sizes,
                        inputs={"ids": ids, "mask": mask, "kinds": kinds})
    report = tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors", map="hf-bert")
    assert report.verified == (46, 46)
    config = {"vocab_size": 23, "max_position_embeddings": 12, "hidden_size": 16,
              "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32,
              "hidden_act": "gelu_new"}
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    found = port(tmp_path, "hf-bert", "BertForPreTraining",
                 config=config,
                 inputs=inputs, outputs={"words": "prediction_logits", "hidden": "hidden_states",
                                         "next": "seq_relationship_logits"})
    assert found["said"] == {}
    assert found["lacking"] == ["cls.predictions.decoder.bias", "cls.predictions.decoder.weight"]
    check_equal(found["outputs"], expected)
    found = port(tmp_path, "hf-bert", "BertModel",
                 config=config,
                 inputs=inputs, outputs={"hidden": "last_hidden_state", "pooled": "pooler_output"})
    assert {name.partition(".")[0] for name in found["said"].pop("unexpected_keys")} == {"cls"}
    assert found["said"] == {}
    check_equal(found["outputs"], expected)
    assert check_way_back(tmp_path, "hf-bert", tmp_path / "model.ckpt") == ["global_step"]


def test_gpt2_of_openai_is_the_one_of_hugging_face(tmp_path):
    sizes = {"vocabulary": 23, "positions": 12, "width": 16, "layers": 2, "heads": 4}
    ids = whole_numbers(23, 2, 7)
    expected = original("gpt2", prefix=tmp_path / "model.ckpt", seed=SEED, **sizes,
                        inputs={"ids": ids})
    tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors", map="hf-gpt2")
    config = {"vocab_size": 23, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 4,
              "bos_token_id": 0, "eos_token_id": 0}
    found = port(tmp_path, "hf-gpt2", "GPT2LMHeadModel",
                 config=config,
                 inputs={"input_ids": ids}, outputs={"words": "logits", "hidden": "hidden_states"})
    assert found["said"] == {}
    assert found["lacking"] == ["lm_head.weight"]
    check_equal(found["outputs"], expected)
    assert check_way_back(tmp_path, "hf-gpt2", tmp_path / "model.ckpt") == []


@pytest.mark.parametrize("name_map", ["hf-t5", "hf-t5-v1.1"])
def test_t5_of_mesh_tensorflow_is_the_one_of_hugging_face(tmp_path, name_map):
    gated = name_map == "hf-t5-v1.1"
    sizes = {"vocabulary": 23, "width": 16, "layers": 2, "heads": 4, "size": 3, "inner": 32,
             "buckets": 32}
    ids, decoder_ids = whole_numbers(23, 2, 7), whole_numbers(23, 2, 5)
    expected = original("t5", prefix=tmp_path / "model.ckpt", seed=SEED, gated=gated, **sizes,
                        inputs={"ids": ids, "decoder_ids": decoder_ids})
    report = tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors", map=name_map)
    config = {"vocab_size": 23, "d_model": 16, "d_kv": 3, "d_ff": 32, "num_layers": 2,
              "num_decoder_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 32,
              "feed_forward_proj": "gated-gelu" if gated else "relu",
              "tie_word_embeddings": not gated}
    found = port(tmp_path, name_map, "T5ForConditionalGeneration",
                 config=config, inputs={"input_ids": ids, "decoder_input_ids": decoder_ids},
                 outputs={"words": "logits", "memory": "encoder_last_hidden_state"},
                 untied="lm_head" if gated else "")
    if gated:
        assert found["refused"].splitlines()[1:] == [
            "  differs: shared.weight the same tensor as lm_head.weight: shared/embedding is"
            " another than decoder/logits/kernel, which that is; untie them before, if the original"
            " has two", "Nothing was loaded."]
    assert found["said"] == {}
    assert found["lacking"] == ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight",
                                *([] if gated else ["lm_head.weight"])]
    check_equal(found["outputs"], expected)
    left = [f"encoder/block_000/layer_000/SelfAttention/q_slot_{kind}" for kind in ("vc", "vr")]
    assert check_way_back(tmp_path, name_map, tmp_path / "model.ckpt") == [*left, "global_step"]
    assert {item.key for item in report.plan.left_out} == {*left, "global_step"}


def images(size, *, top=1.0):
    return (np.random.default_rng(SEED).random((2, size, size, 3)) * top).astype(np.float32)


def channels_first(array):
    return np.moveaxis(array, -1, 1).tolist()


def keras2(function, **arguments):
    return live_module.live("tf2.15")(function, module="map_keras_snippets", **arguments)


def check_legacy_file(folder, name_map):
    """Keras 2's .h5, as its published weights are, gives the same file."""
    with LegacyH5(folder / "model.ckpt.h5") as source:
        tfckpt.convert(source, folder / "again.safetensors", map=name_map)
    report = tfckpt.diff(folder / "model.safetensors", folder / "again.safetensors")
    assert report.counts.keys() == {"same"}


def labels(count):
    return {"id2label": {str(n): str(n) for n in range(count)}}


def test_resnet_of_keras_is_the_one_of_hugging_face(tmp_path):
    """Where its first convolution has the stride; biases are taken off the means behind them."""
    pixels = images(33)
    expected = keras2("keras_resnet", prefix=tmp_path / "model.ckpt", seed=SEED, depths=[2, 1],
                      images=pixels.tolist())
    report = tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors",
                            map="hf-resnet")
    config = {"depths": [2, 1], "hidden_sizes": [256, 512], "embedding_size": 64,
              "downsample_in_bottleneck": True, **labels(5)}
    found = port(tmp_path, "hf-resnet", "ResNetForImageClassification",
                 config=config, inputs={"pixel_values": channels_first(pixels)},
                 outputs={"logits": "logits"})
    assert found["said"] == {}
    assert found["lacking"] == []
    check_equal(found["outputs"], {"logits": expected})
    assert [item.key for item in report.plan.left_out] == ["_CHECKPOINTABLE_OBJECT_GRAPH"]
    check_legacy_file(tmp_path, "hf-resnet")


def test_mobilenet_of_keras_is_the_one_of_hugging_face(tmp_path):
    pixels = images(64)
    expected = keras2("keras_mobilenet", prefix=tmp_path / "model.ckpt", seed=SEED,
                      images=pixels.tolist())
    tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors", map="hf-mobilenet-v2")
    found = port(tmp_path, "hf-mobilenet-v2", "MobileNetV2ForImageClassification",
                 config={"depth_multiplier": 0.35, "image_size": 64, **labels(5)},
                 inputs={"pixel_values": channels_first(pixels)}, outputs={"logits": "logits"})
    assert found["said"] == {}
    assert found["lacking"] == []
    check_equal(found["outputs"], {"logits": expected})
    assert check_way_back(tmp_path, "hf-mobilenet-v2", tmp_path / "model.ckpt") == []


def test_efficientnet_of_keras_is_the_one_of_hugging_face(tmp_path):
    pixels = images(64, top=255.0)
    expected = keras2("keras_efficientnet", prefix=tmp_path / "model.ckpt", seed=SEED,
                      images=pixels.tolist())
    tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "model.safetensors",
                   map="hf-efficientnet-b0")
    config = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280,
              "image_size": 64, **labels(5)}
    found = port(tmp_path, "hf-efficientnet-b0", "EfficientNetForImageClassification",
                 config=config, inputs={"pixel_values": channels_first(pixels / 255)},
                 outputs={"logits": "logits"})
    assert found["said"] == {}
    assert found["lacking"] == []
    check_equal(found["outputs"], {"logits": expected})
    assert check_way_back(tmp_path, "hf-efficientnet-b0", tmp_path / "model.ckpt") == [
        f"layer_with_weights-0/{name}/.ATTRIBUTES/VARIABLE_VALUE"
        for name in ("count", "mean", "variance")]
    check_legacy_file(tmp_path, "hf-efficientnet-b0")
    with pytest.raises(MismatchError) as caught:
        tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "b1.npz", map="hf-efficientnet-b1")
    assert str(caught.value).splitlines()[1] == (
        "  no name has 1b, 2c, 3c, 4d, 5d, 6e, 7b for {block}, as all models of this map have: it"
        " is for one of another size")


NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
        "moving_variance": "running_var"}
# Of the models of torch_tf1_snippets, made by tf.layers and tf.nn.rnn_cell of TensorFlow 1.15.
OWN = {
    "ResNet": {
        "rules": [
            {"here": "blocks/{n}/{conv}/kernel", "there": "blocks.{n}.{conv}.weight",
             "layout": "conv"},
            {"here": "blocks/{n}/{conv}/bias", "there": "blocks.{n}.{conv}.bias"},
            {"here": "blocks/{n}/{bn}/{norm}", "there": "blocks.{n}.{bn}.{norm}"},
            {"here": "conv1/kernel", "there": "conv1.weight", "layout": "conv"},
            {"here": "bn1/{norm}", "there": "bn1.{norm}"},
            {"here": "{dense}/kernel", "there": "{dense}.weight", "layout": "dense"},
            {"here": "{layer}/bias", "there": "{layer}.bias"}],
        "constants": [{"there": "bn1.num_batches_tracked", "for": "bn1/moving_mean", "value": 0,
                       "dtype": "int64"},
                      {"there": "blocks.{n}.{bn}.num_batches_tracked",
                       "for": "blocks/{n}/{bn}/moving_mean", "value": 0, "dtype": "int64"}],
        "tables": {"norm": NORM, "conv": {name: name for name in ("conv1", "conv2", "short")},
                   "bn": {name: name for name in ("bn1", "bn2")},
                   "dense": {name: name for name in ("fc", "head")}}},
    "Cells": {
        "rules": [
            {"here": f"{here}/{what}", "there": [f"{there.replace('*', f'{part}_ih')}",
                                                 f"{there.replace('*', f'{part}_hh')}"],
             "layout": layout}
            for here, there, forget in (
                ("rnn/basic_lstm_cell", "rnn.*_l0", 1),
                ("deep/multi_rnn_cell/cell_{n}/lstm_cell", "deep.*_l{n}", 0),
                ("two/fw/lstm_cell", "two.*_l0", 1), ("two/bw/lstm_cell", "two.*_l0_reverse", 1))
            for what, part, layout in (("kernel", "weight", "lstm1_kernel"),
                                       ("bias", "bias", f"lstm1_bias({forget})"))
        ] + [{"here": "dense/kernel", "there": "dense.weight", "layout": "dense"},
             {"here": "dense/bias", "there": "dense.bias"}]},
}


@pytest.mark.parametrize("kind", OWN)
def test_own_map_takes_tensorflow_1_to_a_plain_module_and_back(tmp_path, tf115, kind):
    (tmp_path / "own.json").write_text(json.dumps(
        {"tfckpt-map": 1, "name": "own", "here": "TF1", "there": "PyTorch", **OWN[kind]}))
    inputs = {"ResNet": (2, 3, 32, 32), "Cells": (2, 6, 4)}[kind]
    given = np.random.default_rng(SEED).normal(size=inputs).tolist()
    path = tf115("save", module="torch_tf1_snippets", folder=tmp_path, kind=kind, given=[given])
    file = tmp_path / "model.safetensors"
    report = tfckpt.convert(path, file, map=tmp_path / "own.json")
    assert report.plan.left_out == ()
    far = live_module.live("keras3")("plain", module="map_port_snippets", file=file, kind=kind,
                                     io=tmp_path / "io.npz")
    assert far < 1e-5
    tfckpt.convert(file, tmp_path / "back", to="tf1", map=tmp_path / "own.json")
    again = tf115("restore", module="torch_tf1_snippets", folder=tmp_path, kind=kind,
                  path=tmp_path / "back")
    assert again["same names"]
    assert again["far"] < 1e-5
