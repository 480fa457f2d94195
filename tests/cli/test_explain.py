from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, ROOT, SHARED, copy_checkpoint, needs_shared
from tfckpt.cli import main
from tfckpt.cli.main import run
from tfckpt.core.diagnosis import LOOKS, diagnose
from tfckpt.errors import CheckpointError
from tfckpt.report.explain import (
    errors_page,
    find_explanation,
    nearest_explanations,
    placeholders,
    render_explanation,
)
from tfckpt.report.explanations import EXPLANATIONS

TEXTS = [(item.name, text) for item in EXPLANATIONS for text in item.texts]


@pytest.fixture
def tool(capsys):
    """Runs the command line in this process; returns status, output and error lines."""
    def call(*arguments):
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err
    return call


def here(out):
    """The lines about the checkpoint: verdict, and what was seen."""
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("here:"))
    end = next(n for n, line in enumerate(lines) if line.startswith(("try:", "more:")))
    said = " ".join(line.strip() for line in lines[start + 1:end])
    return lines[start].partition(" to ")[0], said


APPLIES = "here:  the cause applies"
DOES_NOT = "here:  the cause doesn't apply"
MAY = "here:  the cause may apply"

WHOLE = """\
Key output_bias not found in checkpoint
cause: The program has a variable under a name that the checkpoint doesn't have. Usual causes: a
       scope was added or lost, a layer was renamed (weights and kernel, TensorFlow's own RNN
       cells), the optimizer is new and its slots were never saved, the graph splits a variable
       (NAME/part_0), or the checkpoint is object-based and its keys are paths.
do:    Compare the name with those in the checkpoint; restore with a dictionary of names,
       Saver({name_in_checkpoint: variable}), or leave out what isn't there. If names were changed,
       find out how from a checkpoint of the new program, and rename.
here:  the cause applies to examples/tf1/model.ckpt-7
       It has no output_bias; the nearest: dense/bias float32 [4], logits/bias float32 [2].
try:   tfckpt match examples/tf1/model.ckpt-7 --against OTHER
       tfckpt rename examples/tf1/model.ckpt-7 --replace OLD=NEW -o OUT
more:  docs/errors.md#key-not-found
"""


def test_a_message_and_a_checkpoint(tool):
    text = "Key output_bias not found in checkpoint"
    assert tool("explain", text, "examples/tf1") == (0, WHOLE, "")
    assert tool("explain", text, "--ckpt", "examples/tf1") == (0, WHOLE, "")


def test_a_message_alone(tool):
    status, out, err = tool("explain", "Read less bytes than requested")
    assert (status, err) == (0, "")
    assert out == """\
Read less bytes than requested
cause: A data file is shorter than its index says: a copy or a download that broke off, or a full
       disk while it was saved. TensorFlow notices only when it reads one of the tensors that are
       cut off; listing them works.
do:    Fetch the file again, or go back to the checkpoint before. What is whole can be saved.
try:   tfckpt verify CKPT
       tfckpt salvage CKPT -o OUT
more:  docs/errors.md#data-too-short
"""


def test_a_message_that_nobody_knows(tool):
    status, out, err = tool("explain", "There is a key that I can't find in my checkpoint, why?")
    assert (status, err) == (1, "")
    assert out == """\
unknown: There is a key that I can't find in my checkpoint, why?
These are like it:
  Key KEY not found in checkpoint
  Key _CHECKPOINTABLE_OBJECT_GRAPH not found in checkpoint
  Tensor KEY (NAME in SCOPE) is not found in PATH checkpoint
`tfckpt explain --list` and docs/errors.md have all that are known.
Paste the whole message: the line that tells the cause is often in the middle.
"""
    assert tool("explain", "xyzzy")[1].splitlines()[0] == "unknown: xyzzy"
    assert json.loads(tool("explain", "--json", "xyzzy")[1]) == {"name": None, "nearest": []}


@pytest.mark.parametrize(("part", "name"), [
    ("not an sstable", "not-an-sstable"),
    ("Data loss: not an sstable", "not-an-sstable"),
    ("Nothing except the root object matched a checkpointed value.", "nothing-but-root"),
    ("ValueError: You are trying to restore a checkpoint from a legacy Keras optimizer",
     "keras-legacy-optimizer"),
    ("No OpKernel was registered to support Op 'TPUReplicatedInput'", "op-kernel"),
    ("A total of 3 objects could not be loaded", "keras-objects-not-loaded"),
    ("File format not supported", "keras3-tf-weights"),
    ("Couldn't match files for checkpoint", "state-file-is-stale"),
])
def test_a_part_of_a_message_is_enough_if_no_other_message_has_it(part, name):
    found = find_explanation(part)
    assert (found.explanation.name, found.facts) == (name, {})


@pytest.mark.parametrize("text", ["not found in checkpoint", "is not found in", "the checkpoint",
                                  "Op TPUReplicatedInput", ""])
def test_a_part_of_several_messages_or_of_few_words_explains_nothing(text):
    assert find_explanation(text) is None


def test_a_part_without_names_is_not_held_against_a_checkpoint(tool):
    _, out, _ = tool("explain", "Assign requires shapes of both tensors to match", EXAMPLE)
    assert here(out) == (MAY, "The part of the message that names the tensor or its shape tells"
                              " more: paste all of it.")


def test_weights_that_keras_3_refuses_are_led_to_keras_3(tool):
    _, out, _ = tool("explain", "File format not supported: filepath=old/ckpt. Keras 3 only"
                                " supports V3 `.keras` files", EXAMPLE)
    assert out.splitlines()[-3:-1] == [
        f"try:   tfckpt convert {EXAMPLE} --to keras --model MODULE:FUNCTION -o NEW.weights.h5",
        f"       tfckpt convert {EXAMPLE} --like FRESH.weights.h5 -o NEW.weights.h5"]
    assert "tfckpt.keras.load_weights(model, path)" in out


def test_a_traceback_from_standard_input(tool, monkeypatch):
    traceback = """\
Traceback (most recent call last):
  File "train.py", line 3, in <module>
tensorflow.errors_impl.NotFoundError: Restoring from checkpoint failed. This is most
likely due to a Variable name or other graph key that is missing from the checkpoint. Please ensure
that you have not altered the graph expected based on the checkpoint. Original error:

2 root error(s) found.
  (0) Not found: Key dense/weights not found in checkpoint
\t [[node save/RestoreV2 (defined at train.py:3) ]]
"""
    monkeypatch.setattr(sys, "stdin", io.StringIO(traceback))
    status, out, _ = tool("explain", "-", EXAMPLE)
    assert status == 0
    assert out.splitlines()[0] == "Key dense/weights not found in checkpoint"
    assert here(out) == (APPLIES, "It has no dense/weights; the nearest: dense/bias float32 [4],"
                                  " dense/kernel float32 [3,4].")
    wrapper, _, _ = traceback.partition("Original error")
    assert find_explanation(wrapper).explanation.name == "restoring-failed"


def test_a_path_in_the_message_is_looked_at(tool):
    file = f"{EXAMPLE}.data-00000-of-00001"
    _, out, _ = tool("explain", f"Unable to open table file {file}: Data loss: not an sstable (bad"
                                " magic number): perhaps your file is in a different file format"
                                " and you need to use a different restore operator?")
    assert here(out) == (APPLIES, (
        f"that is a data shard; using the checkpoint prefix {EXAMPLE}"
        f" Give TensorFlow this: {EXAMPLE}"))
    assert out.splitlines()[-2] == f"try:   tfckpt inspect {EXAMPLE}"
    _, out, _ = tool("explain", "Failed to find any matching files for /no/such/place")
    assert "here:" not in out


def test_a_file_of_another_kind_is_named(tool, tmp_path):
    file = tmp_path / "epoch3.ckpt"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    _, out, _ = tool("explain", "not an sstable (bad magic number)", file)
    assert here(out) == (APPLIES, (
        f"this is an HDF5 file, not a TensorFlow checkpoint (file {file}) If it holds Keras"
        " weights, model.load_weights opens it, and tfckpt convert FILE --to keras those of Keras 2"
        " for a model of Keras 3."))


# What a look at a checkpoint says: message, checkpoint, verdict, sentences.
LOOKED = [
    ("Key dense/kernel not found in checkpoint", EXAMPLE, DOES_NOT,
     "It has dense/kernel float32 [3,4]: it isn't the checkpoint that the program read."),
    ("Key dense/kernel:0 not found in checkpoint", EXAMPLE, APPLIES,
     "It has it under another name: dense/kernel float32 [3,4]."),
    ("Key logits/kernel/Adam not found in checkpoint", GOLDENS / "tf1.15" / "names", APPLIES,
     "It has no logits/kernel/Adam. That is the name of an optimizer's slot, and the checkpoint"
     " has no optimizer state at all."),
    ("Key scoped/c not found in checkpoint", GOLDENS / "tf2.21" / "vars-1", APPLIES,
     "It has no scoped/c; the nearest: vars/scoped.Sc float32 [2]. It is object-based (TF2): its"
     " keys are paths, and Saver asks for names."),
    ("Key _CHECKPOINTABLE_OBJECT_GRAPH not found in checkpoint", EXAMPLE, APPLIES,
     "It is name-based (TF1), 21 tensors, such as block.1/w float32 [4,4], dense/bias float32 [4],"
     " dense/kernel float32 [3,4] and 3 more."),
    ("Key _CHECKPOINTABLE_OBJECT_GRAPH not found in checkpoint", GOLDENS / "tf2.21" / "vars-1",
     DOES_NOT, "It is object-based (TF2), 8 tensors, saved with the attributes vars,"
               " save_counter."),
    ("Assign requires shapes of both tensors to match. lhs shape= [4] rhs shape= [3,4]", EXAMPLE,
     APPLIES, "The shape [3,4] is that of dense/kernel float32 [3,4], dense/kernel/Adam float32"
              " [3,4], dense/kernel/Adam_1 float32 [3,4]. The variable of the program that restores"
              " one of them has [4]."),
    ("Assign requires shapes of both tensors to match. lhs shape= [4] rhs shape= [9]", EXAMPLE,
     DOES_NOT, "No tensor in it has the shape [9]: it isn't the checkpoint that the program read."),
    ("tensor_name = dense/bias; shape in shape_and_slice spec [5] does not match the shape stored"
     " in checkpoint: [4]", EXAMPLE, APPLIES,
     "It has dense/bias float32 [4], and the program wants [5]."),
    ("tensor_name = dense/bias; shape in shape_and_slice spec [5] does not match the shape stored"
     " in checkpoint: [6]", EXAMPLE, DOES_NOT,
     "It has dense/bias float32 [4], not [6]: it isn't the checkpoint that the program read."),
    ("tensor_name = dense/bias; expected dtype int64 does not equal original dtype float", EXAMPLE,
     APPLIES, "It has dense/bias float32 [4]; the program wants int64."),
    ("tensor_name = nothing; expected dtype int64 does not equal original dtype float", EXAMPLE,
     APPLIES, "It has no nothing."),
    ("Checksum does not match: stored 1 vs. calculated on the restored bytes 2", EXAMPLE, DOES_NOT,
     "Every checksum of its 21 tensors is right: this checkpoint is whole."),
    ("Value in checkpoint could not be found in the restored object: (root).vars",
     GOLDENS / "tf2.21" / "vars-1", APPLIES, ...),
    ("Value in checkpoint could not be found in the restored object: (root).nowhere",
     GOLDENS / "tf2.21" / "vars-1", MAY, "It has 8 tensors: 6 model, 2 other."),
    ("Some objects had attributes which were not restored: [...]", EXAMPLE, APPLIES, ...),
    ("Found 1 Python objects that were not bound to checkpointed values, likely due to changes in"
     " the Python program. Showing 1 of 1 unmatched objects: [x]", GOLDENS / "tf2.21" / "vars-1",
     MAY, "It was saved with the attributes vars, save_counter; the program has to have the same:"
          " tf.train.Checkpoint(NAME=object), or tf.train.Checkpoint(object) for the attributes of"
          " an object."),
    ("Found 1 Python objects that were not bound to checkpointed values, likely due to changes in"
     " the Python program. Showing 1 of 1 unmatched objects: [x]", EXAMPLE, APPLIES, ...),
    ("You are trying to restore a checkpoint from a legacy Keras optimizer into a v2.11+ Optimizer,"
     " which can cause errors.", GOLDENS / "tf1.15" / "names", DOES_NOT,
     "It has no optimizer state."),
    ("You are trying to restore a checkpoint from a legacy Keras optimizer into a v2.11+ Optimizer,"
     " which can cause errors.", EXAMPLE, APPLIES,
     "It has 14 tensors of optimizer state, laid out as one slot for each variable (legacy): Adam,"
     " Adam_1, beta1_power, beta2_power."),
    ("File format not supported: filepath=old/ckpt. Keras 3 only supports V3  files,  files, legacy"
     " H5 format files ( extension), or Orbax checkpoints.", EXAMPLE, APPLIES,
     "It is a checkpoint in TensorFlow's format, name-based, with 6 tensors of the model:"
     " block.1/w float32 [4,4], dense/bias float32 [4], dense/kernel float32 [3,4] and 3 more."),
]


@pytest.mark.parametrize(("text", "path", "verdict", "sentences"), LOOKED)
def test_a_look_at_the_checkpoint(tool, text, path, verdict, sentences):
    status, out, err = tool("explain", text, path)
    assert (status, err) == (0, "")
    found = here(out)
    assert found[0] == verdict
    if sentences is not ...:
        assert found[1] == sentences


@needs_shared
def test_what_is_left_over_may_be_the_optimizers():
    path = SHARED / "fixtures" / "optimizers" / "tf2.15" / "legacy_adam_decay" / "ckpt-1"
    found = diagnose("object", {"object": "(root).optimizer.beta_1"}, str(path))
    assert found.applies is False
    assert found.lines == ("What is at optimizer.beta_1 is state of the optimizer"
                           " (optimizer/beta_1 float32 []): a program that only predicts doesn't"
                           " need it.",)


def test_damage_is_told(tool, tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    file = tmp_path / "model.ckpt-7.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-8])
    _, out, _ = tool("explain", "Read less bytes than requested", prefix)
    verdict, sentences = here(out)
    assert verdict == APPLIES
    assert "the data file is 8 bytes short" in sentences
    assert sentences.endswith("Whole: 20 of 21 tensors.")
    index = tmp_path / "model.ckpt-7.index"
    index.write_bytes(b"\xff" + index.read_bytes()[1:])
    _, out, _ = tool("explain", "block checksum mismatch", prefix)
    assert here(out)[0] == APPLIES
    assert "block checksum does not match" in here(out)[1]


def test_state_files_are_looked_at(tool, tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    text = "Couldn't match files for checkpoint /old/place/model.ckpt-7"
    assert here(tool("explain", text, tmp_path)[1]) == (
        APPLIES, f"There is no state file `checkpoint` in {tmp_path}.")
    state = tmp_path / "checkpoint"
    state.write_text('model_checkpoint_path: "/old/place/model.ckpt-7"\n')
    assert here(tool("explain", text, tmp_path)[1]) == (
        APPLIES, f"the state file points to /old/place/model.ckpt-7, which is gone; using {prefix}"
                 " beside it")
    state.write_text('model_checkpoint_path: "model.ckpt-7"\n')
    assert here(tool("explain", text, prefix)[1]) == (
        DOES_NOT, f"The state file of {tmp_path} names {prefix}, and it is there.")


def test_brackets_in_a_path_are_told(tool, tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "exp [v1]")
    _, out, _ = tool("explain", f"Failed to find any matching files for {prefix}")
    assert here(out) == (APPLIES, "The checkpoint is there, but TensorFlow reads [ ] in its path as"
                                  " a pattern, which finds nothing.")
    assert f"tfckpt inspect '{prefix}'" in out


def test_a_checkpoint_that_is_none_is_an_error(tool):
    status, _, err = tool("explain", "Key x not found in checkpoint", "no/such/place")
    assert status == 2
    assert err.startswith("error: there is no checkpoint here: its folder doesn't exist")
    assert tool("explain")[0] == 2
    assert tool("explain")[2] == (
        "error: give the message as TEXT, or - to read it from standard input\n")


def test_json_and_the_list_tell_everything(tool):
    value = json.loads(tool("explain", "--json", "Key w not found in checkpoint", EXAMPLE)[1])
    assert {name: value[name] for name in ("name", "text", "facts", "commands", "checkpoint")} == {
        "name": "key-not-found", "text": "Key {key} not found in checkpoint", "facts": {"key": "w"},
        "commands": [f"tfckpt match {EXAMPLE} --against OTHER",
                     f"tfckpt rename {EXAMPLE} --replace OLD=NEW -o OUT"],
        "checkpoint": {"prefix": str(EXAMPLE), "applies": True, "findings": [
            "It has no w; the nearest: block.1/w float32 [4,4], v.Stage/w float32 [4,4]."]}}
    out = tool("explain", "--list")[1]
    for name, text in TEXTS:
        assert f"{name}\n" in out
        assert f"  {placeholders(text)}\n" in out
    assert [item["name"] for item in json.loads(tool("explain", "--list", "--json")[1])] == [
        item.name for item in EXPLANATIONS]


# The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_every_text_finds_its_own_explanation(name, text):
    said = placeholders(text).replace("…", "and so on")
    assert find_explanation(said).explanation.name == name
    assert find_explanation(f"Error:\n{said}\n\n  more").explanation.name == name
    # As it comes out of a log, and of a shell that took `x` for a command.
    assert find_explanation(said.replace(" ", "\n  ")).explanation.name == name
    plain = said.replace("`", "")
    assert find_explanation(plain).explanation.name == name


def test_the_page_has_the_texts_of_the_table_word_for_word():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == "\n".join(errors_page()) + "\n", "run: python tools/make_errors_page.py"
    for name, text in TEXTS:
        assert f"## {name}\n" in page
        assert placeholders(text) in page


def test_the_table_names_looks_and_commands_that_are_there():
    names = [item.name for item in EXPLANATIONS]
    assert len(set(names)) == len(names)
    for item in EXPLANATIONS:
        assert item.look in {"", *LOOKS}
        for command in item.commands:
            assert command.startswith("tfckpt ")
            assert command.split()[1] in main._COMMANDS
            words = [word if word not in ("CKPT", "DIR") else str(EXAMPLE)
                     for word in command.split()[1:]]
            main._parser(words[0]).parse_args(words)  # its flags are there too


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text):
    found = find_explanation(text)
    if found is None:
        nearest_explanations(text)
    else:
        list(render_explanation(found))


@given(st.sampled_from(sorted(LOOKS)), st.dictionaries(
    st.sampled_from(["key", "shape", "stored_shape", "object", "dtype", "stored_dtype", "path"]),
    st.text(max_size=20) | st.sampled_from(["[3,4]", "(3, 4)", "[" + "9" * 50 + "]"])),
    st.sampled_from([EXAMPLE, GOLDENS / "tf2.21" / "vars-1", GOLDENS / "tf1.15" / "sliced",
                     ROOT / "README.md", ROOT / "nowhere"]))
def test_any_look_has_an_answer_or_an_error_of_ours(look, facts, path):
    try:
        assert diagnose(look, facts, str(path)).lines
    except CheckpointError:
        assert path.name in ("README.md", "nowhere")


def test_a_long_text_takes_no_long_time():
    assert find_explanation("Unable to open table file " * 20_000) is None
    assert find_explanation("Key " * 100_000) is None
    log = "step 1 of 9: loss 0.5\n" * 200_000 + "Key w not found in checkpoint\n"
    assert find_explanation(log).facts == {"key": "w"}


def test_a_partitioned_variable_is_recognised(tool):
    with tfckpt.open(GOLDENS / "tf1.15" / "sliced") as source:
        entry = next(entry for entry in source.index.values() if entry.slices)
    _, out, _ = tool("explain", f"Key {entry.key}/part_0 not found in checkpoint",
                     GOLDENS / "tf1.15" / "sliced")
    assert f"is stored in {len(entry.slices)} slices under this one name" in here(out)[1]
