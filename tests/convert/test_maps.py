"""Maps between frameworks: templates both ways, the file's form, and names held against rules."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import ROOT, SHARED, needs_shared
from tfckpt.convert.export import model_names
from tfckpt.convert.fitting import SIGNS
from tfckpt.convert.layouts import LAYOUT_NAMES
from tfckpt.convert.mapfiles import read_map, shipped_names
from tfckpt.convert.mapform import encode_map, parse_map
from tfckpt.convert.resolving import resolve
from tfckpt.convert.templates import Found, parse_template
from tfckpt.errors import FormatError, MismatchError, StorageError

WORDS = {"block": {"1a": "0", "2a": "1"}}

# Template, name, what is found in it.
READS = [
    ("layer_{n}/w", "layer_12/w", {"n": "12"}),
    ("layer_{n}/w", "layer_012/w", None),  # it would be written as layer_12
    ("layer_{n}/w", "layer_-1/w", None),
    ("block_{n:03}/w", "block_007/w", {"n": "7"}),
    ("block_{n:03}/w", "block_1234/w", {"n": "1234"}),
    ("block_{n:03}/w", "block_7/w", None),
    ("stage{s-1}.{b+1}", "stage0.3", {"s": "1", "b": "2"}),
    ("stage{s+1}", "stage0", None),
    ("{name}/kernel", "dense/kernel", {"name": "dense"}),
    ("{name}/kernel", "a/dense/kernel", None),
    ("{name}.weight", "a.dense.weight", None),
    ("{*any}/Adam", "a/dense/kernel/Adam", {"any": "a/dense/kernel"}),
    ("{n}x{n}", "3x3", {"n": "3"}),
    ("{n}x{n}", "3x4", None),
    ("{block}/w", "1/w", {"block": "2a"}),  # as the table says for the other side
    ("{block}/w", "2/w", None),
    ("a.b", "aXb", None),
]


@pytest.mark.parametrize(("text", "name", "fields"), READS)
def test_template_reads_a_name_and_writes_it_again(text, name, fields):
    template = parse_template(text, WORDS)
    found = template.find(name)
    assert found == (None if fields is None else Found(fields))
    if found:
        assert template.fill(found.fields) == name


def test_template_reads_names_with_and_without_text_that_may_be_missing():
    template = parse_template("[bert.]pooler.{name}")
    assert template.find("bert.pooler.bias") == Found({"name": "bias"}, whole=True)
    assert template.find("pooler.bias") == Found({"name": "bias"}, whole=False)
    assert template.fill({"name": "bias"}, whole=False) == "pooler.bias"


@given(st.lists(st.sampled_from(["{n}", "{b:03}", "{c-2}", "{name}"]), min_size=1, max_size=7),
       st.sampled_from(["/", "/x/", "."]), st.integers(2, 10 ** 6))
def test_what_a_template_writes_it_reads(fields, separator, number):
    template = parse_template(separator.join([*fields, "{*any}"]))
    values = {**dict.fromkeys("nbc", str(number)), "name": "abc", "any": "de"}
    assert template.find(template.fill(values)).fields == {
        field: values[field] for field in template.fields}


@pytest.mark.parametrize("text", ["", "{", "a}", "a{b", "[a", "{}", "{1}", "{name:03}", "{n:3}",
                                  "[a][b]", "{a}{b}", "{a}." * 9, "{a", "[", "]", "{n]", "[{n}]",
                                  "{n:03x}", "{name-1}", "{*a}/{*b}"])
def test_template_that_is_not_well_formed_is_refused(text):
    with pytest.raises(FormatError, match="template"):
        parse_template(text)


MAP = {
    "tfckpt-map": 1, "name": "mine", "here": "A", "there": "B",
    "rules": [
        {"here": "layer_{n}/kernel", "there": "[m.]layers.{n}.weight", "layout": "dense"},
        {"here": "layer_{n}/bias", "there": "[m.]layers.{n}.bias",
         "formerly": "[m.]layers.{n}.beta"},
        {"here": "embeddings", "there": "[m.]embed.weight", "tied": "head.weight"},
        {"here": "lstm/kernel", "there": ["lstm.weight_ih_l0", "lstm.weight_hh_l0"],
         "layout": "lstm1_kernel"},
        {"here": ["{name}/q", "{name}/k", "{name}/v"], "there": "{name}.qkv", "layout": "qkv"},
        {"here": "norm/moving_mean", "there": "norm.running_mean"},
    ],
    "constants": [{"there": "norm.num_batches_tracked", "for": "norm/moving_mean", "value": 0,
                   "dtype": "int64"}],
    "left_out": [{"here": "global_step", "why": "no weight"},
                 {"there": "{*name}.position_ids", "why": "the numbers from 0"}],
    "tables": {"block": {"1a": "0", "2a": "1"}},
    "whole": ["block"],
    "metadata": {"format": "pt"},
}
LOOSE = {key: value for key, value in MAP.items() if key != "whole"}


def test_map_is_read_and_written_again():
    assert encode_map(parse_map(MAP)) == MAP


def broken(change):
    value = json.loads(json.dumps(MAP))
    change(value)
    return value


ROW = MAP["rules"][0]
BROKEN = [
    (lambda m: m.pop("rules"), "at the map: expected also rules, got 'constants, here, left_out,"
                               " metadata, name, tables, tfckpt-map, there, whole'"),
    (lambda m: m.update(version=2),
     "at the map: expected only constants, here, left_out, metadata, name, rules, tables,"
     " tfckpt-map, there, whole, got 'version'"),
    (lambda m: m.update({"tfckpt-map": 2}), "at tfckpt-map: expected 1, got 2"),
    (lambda m: m.update(rules=[]), "at rules: expected one rule or more, got []"),
    (lambda m: m.update(name=""), "at name: expected text, got ''"),
    (lambda m: m["rules"].append(3), "at rules[6]: expected an object, got 3"),
    (lambda m: m["rules"][0].update(layout="dens"),
     "at rules[0].layout: no layout has this name: expected one of same, dense,"),
    (lambda m: m["rules"][3].update(there="x"),
     "at rules[3].there: expected 2 names for the layout lstm1_kernel, got 'x'"),
    (lambda m: m["rules"][0].update(there="weight"),
     "at rules[0]: expected the fields of layer_{n}/kernel, got 'weight'"),
    (lambda m: m["rules"][1].update(here="layer_{n/bias"),
     "at rules[1].here: a template's brackets don't pair: got 'layer_{n/bias'"),
    (lambda m: m["rules"][3].update(tied="x"),
     "at rules[3].tied: expected none beside several names there, got 'x'"),
    (lambda m: m["rules"][3].update(formerly=["x"]),
     "at rules[3].formerly: expected none beside several names there, got ['x']"),
    (lambda m: m["left_out"][0].pop("why"), "at left_out[0]: expected also why, got 'here'"),
    (lambda m: m["constants"][0].update(dtype="float8"),
     "at constants[0].dtype: expected one of int32, int64, float32, float64, bool, got 'float8'"),
    (lambda m: m["constants"][0].update(value="0"),
     "at constants[0].value: expected a number, got '0'"),
    (lambda m: m["tables"].update(block={"1": "0", "2": "0"}),
     "at tables.block: expected each text once on both sides, got {'1': '0', '2': '0'}"),
    (lambda m: m["whole"].append("blocks"),
     "at whole[1]: expected a field that has a table, got 'blocks'"),
    (lambda m: m["tables"].update(n={"1": "0"}),
     "at tables.n: expected a field of more than one letter, got 'n'"),
]


@pytest.mark.parametrize(("change", "told"), BROKEN)
def test_map_of_another_form_is_refused_by_the_place(change, told):
    with pytest.raises(FormatError) as caught:
        parse_map(broken(change), "mine.json")
    assert str(caught.value).startswith(f"the map has another form {told}")
    assert str(caught.value).endswith("(file mine.json)")


def test_rules_with_their_fields_say_what_becomes_what():
    found = resolve(parse_map(LOOSE), [
        "layer_0/kernel", "layer_11/bias", "embeddings", "x/k", "x/q", "x/v", "lstm/kernel",
        "norm/moving_mean", "global_step"])
    assert [(move.sources, move.targets, move.tied, move.layout.name) for move in found.moves] == [
        (("layer_0/kernel",), ("m.layers.0.weight",), (), "dense"),
        (("layer_11/bias",), ("m.layers.11.bias",), (), "same"),
        (("embeddings",), ("m.embed.weight",), ("head.weight",), "same"),
        (("x/q", "x/k", "x/v"), ("x.qkv",), (), "qkv"),
        (("lstm/kernel",), ("lstm.weight_ih_l0", "lstm.weight_hh_l0"), (), "lstm1_kernel"),
        (("norm/moving_mean",), ("norm.running_mean",), (), "same"),
    ]
    assert [item.target for item in found.constants] == ["norm.num_batches_tracked"]
    assert found.left_out == (("global_step", "no weight"),)
    assert found.problems == ()
    kernel = np.arange(6).reshape(2, 3)
    assert found.moves[0].apply([kernel])[0].tolist() == kernel.T.tolist()


def test_inverted_map_leads_back():
    found = resolve(parse_map(LOOSE).inverted, [
        "layers.0.weight", "m.layers.1.weight", "m.embed.weight", "head.weight", "x.qkv",
        "lstm.weight_hh_l0", "lstm.weight_ih_l0", "norm.running_mean", "norm.num_batches_tracked",
        "m.position_ids"])
    assert [(move.sources, move.targets) for move in found.moves] == [
        (("layers.0.weight",), ("layer_0/kernel",)),
        (("m.layers.1.weight",), ("layer_1/kernel",)),
        (("m.embed.weight",), ("embeddings",)),
        (("x.qkv",), ("x/q", "x/k", "x/v")),
        (("lstm.weight_ih_l0", "lstm.weight_hh_l0"), ("lstm/kernel",)),
        (("norm.running_mean",), ("norm/moving_mean",)),
    ]
    assert found.left_out == (("norm.num_batches_tracked", "the same in every model"),
                              ("m.position_ids", "the numbers from 0"))
    assert found.repeated == (("head.weight", "m.embed.weight"),)
    assert found.constants == found.problems == ()
    kernel = np.arange(6).reshape(2, 3)
    assert found.moves[0].apply([kernel])[0].tolist() == kernel.T.tolist()


def test_tied_name_alone_will_do():
    found = resolve(parse_map(LOOSE).inverted, ["head.weight"])
    assert found.moves[0].sources == ("head.weight",)
    assert found.repeated == ()


def test_older_names_are_read_and_chosen_where_they_are_wanted():
    name_map = parse_map(LOOSE)
    back = resolve(name_map.inverted, ["layers.3.beta"])
    assert back.moves[0].targets == ("layer_3/bias",)
    assert resolve(name_map, ["layer_3/bias"], ["layers.3.beta"]).moves[0].targets == (
        "layers.3.beta",)
    assert resolve(name_map, ["layer_3/bias"]).moves[0].targets == ("m.layers.3.bias",)
    assert resolve(name_map.inverted, ["layers.3.beta", "m.layers.3.bias"]).problems == (
        "layers.3.beta, m.layers.3.bias: two names for one place of a rule",)


def test_names_of_the_first_files_of_hugging_face_are_read():
    """As of bert-base-uncased: Hugging Face's loader renames them too."""
    found = resolve(read_map("hf-bert").inverted, [
        "bert.embeddings.LayerNorm.gamma", "bert.encoder.layer.0.output.LayerNorm.beta",
        "cls.predictions.transform.LayerNorm.gamma"])
    assert [move.targets[0] for move in found.moves] == [
        "bert/embeddings/LayerNorm/gamma", "bert/encoder/layer_0/output/LayerNorm/beta",
        "cls/predictions/transform/LayerNorm/gamma"]


def test_wanted_names_choose_the_form_and_the_tied_ones():
    names = ["layer_0/kernel", "embeddings", "norm/moving_mean", "layer_1/bias"]
    found = resolve(parse_map(LOOSE), names,
                    ["layers.0.weight", "embed.weight", "more", "a.position_ids"])
    assert [(move.targets, move.tied) for move in found.moves] == [
        (("layers.0.weight",), ()), (("embed.weight",), ())]
    assert found.unused == ("norm/moving_mean", "layer_1/bias")
    assert found.missing == ("more",)
    assert found.constants == ()
    found = resolve(parse_map(LOOSE), names, ["m.layers.0.weight", "m.embed.weight", "head.weight"])
    assert [(move.targets, move.tied) for move in found.moves] == [
        (("m.layers.0.weight",), ()), (("m.embed.weight",), ("head.weight",))]


def test_table_that_is_wanted_whole_tells_what_is_lacking():
    """The names of a smaller model would be taken for other layers."""
    name_map = parse_map({**MAP, "rules": [{"here": "block{block}/w", "there": "{block}.w"}]})
    assert resolve(name_map, ["block1a/w", "block2a/w"]).problems == ()
    told = ("no name has 1a for {block}, as all models of this map have: it is for one of another"
            " size",)
    assert resolve(name_map, ["block2a/w"]).problems == told
    assert resolve(name_map.inverted, ["1.w"]).problems == told


def test_all_names_that_do_not_fit_are_told_at_once():
    name_map = parse_map(LOOSE)
    found = resolve(name_map, ["layer_0/kernl", "x/q", "x/v", "layer_00/bias"])
    with pytest.raises(MismatchError) as caught:
        found.raise_if_wrong(name_map, "model.ckpt")
    assert str(caught.value) == """\
the map mine doesn't cover the names, from A to B (file model.ckpt)
  layer_0/kernl: no rule; the nearest is layer_{n}/kernel -> [m.]layers.{n}.weight
  layer_00/bias: no rule; the nearest is layer_{n}/bias -> [m.]layers.{n}.bias
  x/q, x/v: the layout qkv also takes x/k
Every name needs a rule, or a line under left_out that says why it has none."""


def test_names_that_contend_for_one_place_are_told():
    twice = {**LOOSE, "rules": [{"here": "a/{name}", "there": "{name}"},
                              {"here": "b/{name}", "there": "{name}"},
                              {"here": "[c/]d/{name}", "there": "d.{name}"},
                              {"here": "e/{n}", "there": "f.{n-3}"}]}
    assert resolve(parse_map(twice), ["a/w", "b/w", "c/d/w", "d/w", "e/1"]).problems == (
        "e/1: no rule; the nearest is e/{n} -> f.{n-3}",
        "b/w: would be w, which the rule a/{name} -> {name} leads back elsewhere; put the narrower"
        " rule first",
        "c/d/w, d/w: two names for one place of a rule")


def test_rules_that_lead_elsewhere_on_the_way_back_are_told():
    """The first rule that fits is the one, also on the way back."""
    rows = [{"here": "{layer}/kernel", "there": "{layer}.weight"},
            {"here": "v.Stage/w", "there": "stage.weight"}]
    found = resolve(parse_map({**LOOSE, "rules": rows}), ["v.Stage/w"])
    assert found.problems == (
        "v.Stage/w: would be stage.weight, which the rule {layer}/kernel -> {layer}.weight leads"
        " back elsewhere; put the narrower rule first",)
    name_map = parse_map({**LOOSE, "rules": rows[::-1]})
    assert resolve(name_map, ["v.Stage/w"]).moves[0].targets == ("stage.weight",)
    assert resolve(name_map.inverted, ["stage.weight"]).moves[0].targets == ("v.Stage/w",)


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_map_is_called_as_its_file_and_is_written_as_it_is_read(name):
    found = read_map(name)
    assert found.name == name
    assert encode_map(parse_map(encode_map(found))) == encode_map(found)


# A map, names here, and what they become.
SHIPPED = [
    ("hf-bert", {
        "bert/embeddings/word_embeddings": "bert.embeddings.word_embeddings.weight",
        "bert/embeddings/token_type_embeddings": "bert.embeddings.token_type_embeddings.weight",
        "bert/encoder/layer_10/attention/output/dense/kernel":
            "bert.encoder.layer.10.attention.output.dense.weight",
        "bert/encoder/layer_10/output/dense/kernel": "bert.encoder.layer.10.output.dense.weight",
        "bert/encoder/layer_1/output/LayerNorm/beta": "bert.encoder.layer.1.output.LayerNorm.bias",
        "cls/squad/output_weights": "qa_outputs.weight", "cls/squad/output_bias": "qa_outputs.bias",
        "output_weights": "classifier.weight", "output_bias": "classifier.bias"}),
    ("hf-gpt2", {
        "model/wte": "transformer.wte.weight",
        "model/h11/attn/c_attn/w": "transformer.h.11.attn.c_attn.weight",
        "model/h11/ln_2/b": "transformer.h.11.ln_2.bias",
        "model/ln_f/b": "transformer.ln_f.bias"}),
    ("hf-t5", {
        "shared/embedding": "shared.weight",
        "decoder/block_010/layer_001/EncDecAttention/q":
            "decoder.block.10.layer.1.EncDecAttention.q.weight",
        "encoder/block_000/layer_001/DenseReluDense/wi/kernel":
            "encoder.block.0.layer.1.DenseReluDense.wi.weight"}),
    ("hf-t5-v1.1", {
        "decoder/logits/kernel": "lm_head.weight",
        "decoder/block_010/layer_002/rms_norm/scale": "decoder.block.10.layer.2.layer_norm.weight",
        "decoder/rms_norm/scale": "decoder.final_layer_norm.weight",
        "encoder/block_000/layer_001/DenseReluDense/wi_1/kernel":
            "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"}),
    ("hf-resnet", {
        "conv1_conv/kernel": "resnet.embedder.embedder.convolution.weight",
        "conv2_block1_0_conv/kernel":
            "resnet.encoder.stages.0.layers.0.shortcut.convolution.weight",
        "conv4_block36_3_conv/kernel":
            "resnet.encoder.stages.2.layers.35.layer.2.convolution.weight",
        "conv4_block36_3_bn/moving_variance":
            "resnet.encoder.stages.2.layers.35.layer.2.normalization.running_var",
        "predictions/bias": "classifier.1.bias"}),
    ("hf-mobilenet-v2", {
        "Conv1/kernel": "mobilenet_v2.conv_stem.first_conv.convolution.weight",
        "expanded_conv_project_BN/gamma": "mobilenet_v2.conv_stem.reduce_1x1.normalization.weight",
        "block_16_depthwise/depthwise_kernel":
            "mobilenet_v2.layer.15.conv_3x3.convolution.weight",
        "block_1_expand/kernel": "mobilenet_v2.layer.0.expand_1x1.convolution.weight",
        "Conv_1_bn/moving_mean": "mobilenet_v2.conv_1x1.normalization.running_mean"}),
    *((f"hf-efficientnet-b{n}", {
        "stem_bn/beta": "efficientnet.embeddings.batchnorm.bias",
        "block7a_dwconv/depthwise_kernel":
            f"efficientnet.encoder.blocks.{last}.depthwise_conv.depthwise_conv.weight",
        "block7a_bn/moving_mean":
            f"efficientnet.encoder.blocks.{last}.depthwise_conv.depthwise_norm.running_mean",
        "top_conv/kernel": "efficientnet.encoder.top_conv.weight"})
      # As many blocks as the port's configuration makes, but for those of the last stage.
      for n, last in enumerate([15, 21, 21, 24, 30, 36, 42, 51])),
]


@pytest.mark.parametrize(("name", "names"), SHIPPED, ids=[row[0] for row in SHIPPED])
def test_shipped_map_leads_there_and_back(name, names):
    name_map = read_map(name)._replace(whole=())  # only some names are here
    out = resolve(name_map, names)
    assert out.problems == ()
    assert {move.sources[0]: move.targets[0] for move in out.moves} == names
    back = resolve(name_map.inverted, names.values())
    assert back.problems == ()
    assert {move.targets[0]: move.sources[0] for move in back.moves} == names


def test_every_shipped_map_is_in_the_table_of_this_test():
    assert {row[0] for row in SHIPPED} == set(shipped_names())


def test_signs_of_every_shipped_map_are_names_that_it_covers():
    assert SIGNS.keys() == set(shipped_names())
    for name, signs in SIGNS.items():
        name_map = read_map(name)._replace(whole=())
        for number, sign in enumerate(signs):
            assert resolve(name_map.inverted if number else name_map, [sign]).problems == ()


@needs_shared
def test_checkpoint_that_mesh_tensorflow_itself_wrote_is_covered():
    with tfckpt.open(SHARED / "corpus" / "t5x-bfloat16-missing-shard" / "model.ckpt-0") as source:
        names = model_names(source)
    found = resolve(read_map("hf-t5-v1.1"), names)
    assert found.problems == ()
    assert [name for name, _ in found.left_out] == ["global_step"]
    assert len(found.moves) == len(names) - 1
    assert len(resolve(read_map("hf-t5"), names).problems) == 21


def test_maps_of_efficientnet_are_what_the_tool_writes(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_efficientnet_maps as tool

    folder = tool.MAPS
    monkeypatch.setattr(tool, "MAPS", tmp_path)
    tool.main()
    for file in tmp_path.iterdir():
        assert file.read_text() == (folder / file.name).read_text(), \
            "run: python tools/make_efficientnet_maps.py"
    assert len(list(tmp_path.iterdir())) == 8


def test_every_layout_is_in_the_docs():
    page = (ROOT / "docs" / "maps.md").read_text(encoding="utf-8")
    table = page[page.index("### Layouts"):]
    assert [name for name in LAYOUT_NAMES if f"`{name}" not in table] == []


def test_map_that_is_none_is_refused(tmp_path):
    with pytest.raises(StorageError) as caught:
        read_map("hf-brt")
    assert str(caught.value) == (
        "no map that ships has this name, and it is no file: got 'hf-brt'\n"
        "Did you mean hf-bert? `tfckpt maps` lists those that ship.")
    file = tmp_path / "pairs.json"
    file.write_text('{"old": "new"}')
    with pytest.raises(FormatError, match="the file is not a map between frameworks"):
        read_map(file)
    file.write_text(json.dumps(MAP))
    assert read_map(file).name == "mine"
