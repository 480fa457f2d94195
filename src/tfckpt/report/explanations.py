"""What TensorFlow's and Keras's messages about checkpoints mean, as one table.

A text stands as the frameworks print it, with ``{name}`` for what differs from case to case
and ``…`` for a part that was left out. ``docs/errors.md`` has the same table; its test and the
tests against real TensorFlow hold all three together.

The first entry of the table that is found in a pasted text explains it, so what is specific
comes before what wraps it.
"""

# ruff: noqa: ISC004 - one text over several lines is the rule here, not a slip

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXPLANATIONS", "Explanation"]


class Explanation(NamedTuple):
    """One row of the table.

    Attributes:
        name: Its anchor in ``docs/errors.md``.
        texts: The messages.
        cause: Why they appear.
        remedy: What to do.
        commands: The commands of tfckpt that help, with CKPT and DIR for the user's paths.
        look: What of a checkpoint tells whether the cause applies, see `tfckpt.core.diagnosis`.
    """

    name: str
    texts: tuple[str, ...]
    cause: str
    remedy: str
    commands: tuple[str, ...] = ()
    look: str = ""


EXPLANATIONS: tuple[Explanation, ...] = (
    # Wrong paths.
    Explanation(
        "not-an-sstable",
        ("Unable to open table file {path}: DATA_LOSS: not an sstable (bad magic number): perhaps"
         " your file is in a different file format and you need to use a different restore"
         " operator?",
         "Unable to open table file {path}: Data loss: not an sstable (bad magic number): perhaps"
         " your file is in a different file format and you need to use a different restore"
         " operator?",
         "not an sstable (bad magic number)"),
        "Nearly never damage: the path leads to a file that isn't the index. A checkpoint is named"
        " by its prefix, which is no file at all: model.ckpt-1000, not"
        " model.ckpt-1000.data-00000-of-00001, not model.ckpt-1000.meta, not the state file"
        " `checkpoint`. Or the file is another framework's: PyTorch's files end in .ckpt too.",
        "Give TensorFlow the prefix. tfckpt finds it from any of the files, and says what a file is"
        " that belongs to something else.",
        ("tfckpt inspect CKPT",), "path"),
    Explanation(
        "too-short",
        ("Unable to open table file {path}: DATA_LOSS: file is too short to be an sstable: perhaps"
         " your file is in a different file format and you need to use a different restore"
         " operator?",
         "Unable to open table file {path}: Data loss: file is too short to be an sstable: perhaps"
         " your file is in a different file format and you need to use a different restore"
         " operator?",
         "file is too short to be an sstable"),
        "The file is empty or has only a few bytes: a download or a copy that broke off, a Git LFS"
        " pointer, or a small data shard given instead of the prefix.",
        "Give the prefix if it is a file of a checkpoint; else fetch the file again (git lfs"
        " pull).",
        ("tfckpt inspect CKPT",), "path"),
    Explanation(
        "missing-suffix",
        ("Error when restoring from checkpoint or SavedModel at {path}: … Please double-check that"
         " the path is correct. You may be missing the checkpoint suffix (e.g. the '-1' in"
         " 'path/to/ckpt-1').",
         "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for"
         " {path}",
         "Failed to find any matching files for {path}"),
        "There is no {path}.index. Often the step is missing from the path (model.ckpt for"
        " model.ckpt-1000). TensorFlow also reads the path as a pattern, so a folder with [ ] in"
        " its name is never found.",
        "Give the prefix with its step; tfckpt lists what is beside it. Rename a folder that has"
        " brackets in its name, or read it with tfckpt, for which every character is itself.",
        ("tfckpt inspect CKPT", "tfckpt list DIR"), "path"),
    Explanation(
        "invalid-save-path",
        ("The passed save_path is not a valid checkpoint: {path}",),
        "tf.compat.v1.train.Saver finds neither {path}.index nor a V1 file of that name.",
        "Give the prefix with its step, and without .index, .data-* or .meta.",
        ("tfckpt inspect CKPT", "tfckpt latest DIR"), "path"),
    Explanation(
        "no-checkpoint-in-folder",
        ("Couldn't find 'checkpoint' file or checkpoints in given directory {path}",),
        "The folder has no state file `checkpoint` that names one, so TensorFlow doesn't know which"
        " is meant, even if there is only one.",
        "Give the prefix itself, or let tfckpt find it.",
        ("tfckpt list DIR", "tfckpt latest DIR"), "path"),
    Explanation(
        "data-file-missing",
        ("{path}.data-{shard}; No such file or directory",),
        "The index is there, but a data file of the checkpoint is not: only some of its files were"
        " copied or downloaded. TensorFlow notices only when it reads a tensor of that file.",
        "Fetch the file; all files of a checkpoint belong together.",
        ("tfckpt verify CKPT --quick",), "damage"),
    Explanation(
        "state-file-is-stale",
        ("Couldn't match files for checkpoint {path}",
         "{folder}; No such file or directory"),
        "The state file `checkpoint` names a checkpoint that isn't where it says: TensorFlow writes"
        " absolute paths, which die when the folder is moved or copied. tf.train.latest_checkpoint"
        " logs this line and returns None, and many programs then train from nothing.",
        "Have the paths of the state file made relative and right.",
        ("tfckpt latest DIR", "tfckpt relocate DIR"), "state"),
    Explanation(
        "save-path-is-none",
        ("Can't load save_path when it is None.",
         "No checkpoint specified (save_path=None); nothing is being restored."),
        "tf.train.latest_checkpoint returned None: the folder has no state file, or one with dead"
        " paths.",
        "Ask tfckpt for the newest checkpoint; it also finds it after the folder was moved.",
        ("tfckpt latest DIR", "tfckpt list DIR", "tfckpt relocate DIR"), "state"),
    # Keys.
    Explanation(
        "object-graph-not-found",
        ("Key _CHECKPOINTABLE_OBJECT_GRAPH not found in checkpoint",),
        "tf.train.Checkpoint looked for an object graph, and this checkpoint has none: it is"
        " name-based, written by tf.compat.v1.train.Saver or an Estimator. This message often hides"
        " the real one: some names weren't found either.",
        "Read it with tf.compat.v1.train.Saver, or convert it.",
        ("tfckpt inspect CKPT", "tfckpt convert CKPT --to tf2 -o OUT"), "style"),
    Explanation(
        "key-not-found",
        ("Key {key} not found in checkpoint",),
        "The program has a variable under a name that the checkpoint doesn't have. Usual causes: a"
        " scope was added or lost, a layer was renamed (weights and kernel, TensorFlow's own RNN"
        " cells), the optimizer is new and its slots were never saved, the graph splits a variable"
        " (NAME/part_0), or the checkpoint is object-based and its keys are paths.",
        "Compare the name with those in the checkpoint; restore with a dictionary of names,"
        " Saver({name_in_checkpoint: variable}), or leave out what isn't there. If names were"
        " changed, find out how from a checkpoint of the new program, and rename.",
        ("tfckpt explain TEXT CKPT", "tfckpt match CKPT --against OTHER",
         "tfckpt rename CKPT --replace OLD=NEW -o OUT"), "key"),
    Explanation(
        "tensor-not-in-checkpoint",
        ("Tensor {key} ({name} in {scope}) is not found in {path} checkpoint",
         "Tensor {key} is not found in {path} checkpoint {tensors}"),
        "The assignment map of init_from_checkpoint leads to a name that the checkpoint doesn't"
        " have. With scopes, both sides need the slash at the end: {'old/': 'new/'}; without one"
        " the first letter of the rest is lost.",
        "Correct the map; tfckpt shows the nearest names.",
        ("tfckpt explain TEXT CKPT", "tfckpt ls CKPT", "tfckpt match CKPT --against OTHER"), "key"),
    # Shapes and dtypes.
    Explanation(
        "shapes-assign",
        ("Assign requires shapes of both tensors to match. lhs shape= {shape} rhs shape="
         " {stored_shape}",),
        "A variable of the program (lhs) has another shape than the tensor of its name in the"
        " checkpoint (rhs): another number of classes, another vocabulary, another configuration.",
        "Make the model as it was saved, or restore all variables but this one.",
        ("tfckpt ls CKPT", "tfckpt select CKPT --drop NAME -o OUT"), "shape"),
    Explanation(
        "shapes-incompatible",
        ("Received incompatible tensor with shape {stored_shape} when attempting to restore"
         " variable with shape {shape} and name {name}.",),
        "The variable that hangs at this place of the program has another shape than the one that"
        " was saved there. With layers in a list it may be another layer: paths count them.",
        "Make the model as it was saved; to keep the rest, restore into parts of it"
        " (tf.train.Checkpoint(encoder=...)).",
        ("tfckpt ls CKPT",), "shape"),
    Explanation(
        "shape-and-slice",
        ("tensor_name = {key}; shape in shape_and_slice spec {shape} does not match the shape"
         " stored in checkpoint: {stored_shape}",),
        "A partitioned variable of the program is, as a whole, of another shape than the tensor in"
        " the checkpoint.",
        "Use the shape that was saved. How it is cut may differ: TensorFlow reads any slice of a"
        " tensor.",
        ("tfckpt ls CKPT", "tfckpt reshard CKPT --join -o OUT"), "shape"),
    Explanation(
        "shape-of-variable",
        ("Shape of variable {name} ({shape}) doesn't match with shape of tensor {key}"
         " ({stored_shape}) from checkpoint reader.",),
        "init_from_checkpoint pairs a variable and a tensor of different shapes.",
        "Take the pair out of the assignment map, or correct the map if it pairs the wrong two.",
        ("tfckpt ls CKPT",), "shape"),
    Explanation(
        "dtype-differs",
        ("tensor_name = {key}; expected dtype {dtype} does not equal original dtype"
         " {stored_dtype}",),
        "The variable of the program has another dtype than the tensor in the checkpoint;"
        " TensorFlow never casts. Mixed precision and tf.int64 counters are the usual reasons.",
        "Give the variable the stored dtype, and cast afterwards.",
        ("tfckpt ls CKPT",), "dtype"),
    # Damage.
    Explanation(
        "data-too-short",
        ("Read less bytes than requested",),
        "A data file is shorter than its index says: a copy or a download that broke off, or a full"
        " disk while it was saved. TensorFlow notices only when it reads one of the tensors that"
        " are cut off; listing them works.",
        "Fetch the file again, or go back to the checkpoint before. What is whole can be saved.",
        ("tfckpt verify CKPT", "tfckpt salvage CKPT -o OUT"), "damage"),
    Explanation(
        "data-damaged",
        ("Checksum does not match: stored {stored} vs. calculated on the restored bytes {computed}",
         ),
        "The bytes of a tensor are not those that were written: a bad disk or copy, or two"
        " processes that wrote to one file. Or the data file belongs to another index of the same"
        " name.",
        "Have all damaged tensors named, then fetch the file again or save what is whole.",
        ("tfckpt verify CKPT", "tfckpt salvage CKPT -o OUT"), "damage"),
    Explanation(
        "index-damaged",
        ("Unable to read file ({path}). Perhaps the file is corrupt or was produced by a newer"
         " version of TensorFlow with format changes (failed to seek to header entry): block"
         " checksum mismatch",
         "block checksum mismatch"),
        "The index file itself is damaged. No version of TensorFlow is too old or too new for it:"
        " the format has been the same since 0.12.",
        "Fetch the index again; it is small. Otherwise tfckpt reads what is left of it.",
        ("tfckpt verify CKPT", "tfckpt salvage CKPT -o OUT"), "damage"),
    # Object-based restores.
    Explanation(
        "nothing-but-root",
        ("Nothing except the root object matched a checkpointed value. Typically this means that"
         " the checkpoint does not match the Python program. The following objects have no matching"
         " checkpointed value: {objects}",),
        "The program's objects hang together otherwise than those that were saved. Most often one"
        " level is missing or too much: saved as tf.train.Checkpoint(model=model), restored as"
        " tf.train.Checkpoint(model) or model.load_weights, or the other way round. Keras 3 names"
        " everything otherwise than Keras 2, so their checkpoints never match.",
        "Restore through the same attributes that were saved: the first part of the keys says"
        " which. Or rename, or have a checkpoint of the program filled with these values.",
        ("tfckpt ls CKPT", "tfckpt match CKPT --against OTHER",
         "tfckpt convert CKPT --like OTHER -o OUT"), "roots"),
    Explanation(
        "unresolved-object",
        ("Unresolved object in checkpoint {object}: attributes {rest}",
         "Unresolved object in checkpoint: {object}",
         "Value in checkpoint could not be found in the restored object: {object}",
         "Detecting that an object or model or tf.train.Checkpoint is being deleted with unrestored"
         " values. See the following logs for the specific values in question.",
         "Unresolved object in checkpoint"),
        "The checkpoint has values that the program didn't take: nothing in it hangs at this path."
        " If they belong to the optimizer and you only predict, that is as it should be. Otherwise"
        " a layer has another name or place, or it makes its variables later, when it is first"
        " called.",
        "Call the model once before the assert. If only the optimizer's state is left over, say"
        " status.expect_partial(); it silences everything, so look at the paths first.",
        ("tfckpt ls CKPT",), "object"),
    Explanation(
        "unmatched-objects",
        ("Found {n} Python objects that were not bound to checkpointed values, likely due to"
         " changes in the Python program. Showing {shown} of {n_all} unmatched objects:"
         " {objects}",),
        "The program has variables for which the checkpoint has nothing at their place. They keep"
        " the values that they were made with.",
        "Compare the paths of the program with the keys of the checkpoint.",
        ("tfckpt ls CKPT", "tfckpt match CKPT --against OTHER"), "roots"),
    Explanation(
        "name-based-by-objects",
        ("Some objects had attributes which were not restored: {objects}",),
        "The checkpoint is name-based (TF1), and tf.train.Checkpoint matches it by the full names"
        " of variables. These names aren't in it; names that are in it and not in the program go"
        " unnoticed.",
        "Give the variables the names that the checkpoint has, or convert it and restore by a"
        " dictionary: tf.train.Checkpoint(vars={name: variable}).",
        ("tfckpt ls CKPT", "tfckpt convert CKPT --to tf2 -o OUT"), "style"),
    Explanation(
        "name-based-deprecated",
        ("Restoring a name-based tf.train.Saver checkpoint using the object-based restore API. This"
         " mode uses global names to match variables, and so is somewhat fragile.",),
        "The checkpoint was written by a TF1 Saver or an Estimator, and is restored by"
        " tf.train.Checkpoint. If no name matches, TensorFlow says nothing more than this, and the"
        " variables keep their initial values.",
        "Always call assert_consumed() on the status, or convert the checkpoint.",
        ("tfckpt inspect CKPT", "tfckpt convert CKPT --to tf2 -o OUT"), "style"),
    # Keras.
    Explanation(
        "keras3-tf-weights",
        ("File format not supported: filepath={path}. Keras 3 only supports V3 `.keras` files,"
         " `.weights.h5` files, legacy H5 format files (`.h5` extension), or Orbax checkpoints.",
         "File format not supported: filepath={path}. Keras 3 only supports V3 `.keras` files,"
         " legacy H5 format files (`.h5` extension). Note that the legacy SavedModel format is not"
         " supported by `load_model()` in Keras 3.",
         "File format not supported: filepath={path}. Keras 3 only supports V3 …"),
        "Keras 3 (TensorFlow 2.16 and later) no longer reads weights in the TensorFlow format, the"
        " files .index and .data-* that Keras 2 wrote with save_weights, and no SavedModel. The"
        " weights are whole, and any program that reads checkpoints gets them out.",
        "In Python, tfckpt.keras.load_weights(model, path) gives them to the Keras 3 model, and"
        " says which went where. As a command, give a function of yours that makes the model, or"
        " the model.json that to_json() of the old one gave; --like takes a .weights.h5 that the"
        " Keras 3 model saved.",
        ("tfckpt convert CKPT --to keras --model MODULE:FUNCTION -o NEW.weights.h5",
         "tfckpt convert CKPT --like FRESH.weights.h5 -o NEW.weights.h5"),
        "keras"),
    Explanation(
        "keras3-filename",
        ("The filename must end in `.weights.h5`. Received: filepath={path}",),
        "Keras 3 writes weights only as .weights.h5; Keras 2 wrote a TensorFlow checkpoint for a"
        " path without ending.",
        "End the path in .weights.h5, or save a checkpoint with"
        " tf.train.Checkpoint(model).write(path)."),
    Explanation(
        "keras-legacy-optimizer",
        ("You are trying to restore a checkpoint from a legacy Keras optimizer into a v2.11+"
         " Optimizer, which can cause errors.",
         "You are trying to restore a checkpoint from a legacy TF-Keras optimizer into a v2.11+"
         " Optimizer, which can cause errors."),
        "Optimizers were rewritten in Keras 2.11 and keep their state otherwise: the old ones as"
        " slots of each variable, the new ones in one list.",
        "Convert the state, or use tf.keras.optimizers.legacy.Adam (or the like). To use only the"
        " model, strip the checkpoint.",
        ("tfckpt convert CKPT --to keras2 -o OUT", "tfckpt convert CKPT --to keras3 -o OUT",
         "tfckpt strip CKPT -o OUT"), "optimizer"),
    Explanation(
        "keras-saved-model-prior",
        ("SavedModel saved prior to TF 2.5 detected when loading Keras model. Please ensure that"
         " you are saving the model with model.save() or tf.keras.models.save_model(), *NOT*"
         " tf.saved_model.save().",),
        "The folder is a SavedModel without Keras' own description of the model, so Keras can't"
        " build it. Its variables are a checkpoint like any other.",
        "Build the model in code and take the variables from the folder, or use"
        " tf.saved_model.load for the functions that it has.",
        ("tfckpt ls CKPT",), "path"),
    Explanation(
        "keras-layer-count",
        ("Layer count mismatch when loading weights from file. Model expected {n} layers, found"
         " {n_stored} saved layers.",
         "You are trying to load a weight file containing {n_stored} layers into a model with {n}"
         " layers."),
        "The HDF5 file has another number of layers with weights than the model: another"
        " architecture, a model with or without its head, or a subclassed model that hasn't made"
        " its variables yet (then it has 0).",
        "Build the model as it was saved, and call it once before loading; load_weights(path,"
        " by_name=True, skip_mismatch=True) takes what fits, in Keras 2 and for .h5."),
    Explanation(
        "keras-layer-variables",
        ("Layer '{name}' expected {n} variables, but received {n_stored} variables during loading."
         " Expected: {names}",),
        "In the file, this layer has no weights, or fewer: the .weights.h5 counts layers by class"
        " and position, and the model has more of them than the one that was saved, or in another"
        " order.",
        "Build the model as it was saved, layers in the same order."),
    Explanation(
        "keras-layer-shapes",
        ("The shape of the target variable and the shape of the target value in"
         " `variable.assign(value)` must match. variable.shape={shape}, Received:"
         " value.shape={stored_shape}.",
         "Cannot assign value to variable '{name}': Shape mismatch.The variable shape {shape}, and"
         " the assigned value shape {stored_shape} are incompatible."),
        "A layer of the model has another shape than in the file: another number of units or"
        " classes, or two layers changed places.",
        "Build the model as it was saved; load_weights(path, skip_mismatch=True) leaves this layer"
        " as it is."),
    Explanation(
        "keras-subclassed",
        ("Unable to load weights saved in HDF5 format into a subclassed Model which has not created"
         " its variables yet. Call the Model first, then load the weights.",
         "You are loading weights into a model that has not yet been built. Try building the model"
         " first by calling it on some data or by using `build()`."),
        "The model makes its variables when it is first called, and has none yet.",
        "Call it once on data of the right shape, then load."),
    Explanation(
        "keras-objects-not-loaded",
        ("A total of {n} objects could not be loaded. Example error message for object {object}:",),
        "Some layers of the model don't fit the file; the message goes on with the reason for one"
        " of them.",
        "Explain the reason that it gives for that layer."),
    # Graphs.
    Explanation(
        "op-kernel",
        ("No OpKernel was registered to support Op '{op}' used by …",
         "Op type not registered '{op}' in binary running on {host}. Make sure the Op and Kernel"
         " are registered in the binary running in this process."),
        "The graph (.meta, or a SavedModel) has operations that this TensorFlow can't run: those of"
        " a TPU (TPUReplicatedInput, InfeedEnqueueTuple), of tf.contrib, or of a library that isn't"
        " loaded. The checkpoint itself has only tensors, and these can be read.",
        "Don't import the graph: build the model in code and restore the variables.",
        ("tfckpt ls CKPT", "tfckpt convert CKPT --to tf2 -o OUT"), "style"),
    Explanation(
        "same-name-twice",
        ("At least two variables have the same name: {name}",),
        "Saver was given two variables with one name, mostly from two graphs, or in eager code,"
        " where names needn't be unique.",
        "Save with tf.train.Checkpoint, which goes by attributes; or give Saver a dictionary of"
        " names."),
    Explanation(
        "no-variables",
        ("No variables to save",),
        "Saver was made before any variable, or in another graph; in eager mode variables aren't"
        " collected at all.",
        "Make Saver last, or give it the variables: tf.compat.v1.train.Saver(var_list)."),
    Explanation(
        "no-estimator",
        ("module 'tensorflow' has no attribute 'estimator'",),
        "TensorFlow 2.16 removed Estimators. The checkpoints that they wrote are name-based and can"
        " be read as ever.",
        "Build the model in Keras; tfckpt.tensorflow.leaving.load(model, DIR, optimizer=...) takes"
        " over what the model_dir has: variables, the optimizer's state and the step.",
        ("tfckpt inspect DIR", "tfckpt convert DIR --to tf2 -o OUT"), "style"),
    # What wraps the others.
    Explanation(
        "restoring-failed",
        ("Restoring from checkpoint failed. This is most likely due to a Variable name or other"
         " graph key that is missing from the checkpoint. Please ensure that you have not altered"
         " the graph expected based on the checkpoint.",
         "Restoring from checkpoint failed. This is most likely due to a mismatch between the"
         " current graph and the graph from the checkpoint. Please ensure that you have not altered"
         " the graph expected based on the checkpoint."),
        "The program and the checkpoint have different variables. The line that says which comes"
        " after 'Original error:', and in newer TensorFlow after 'Node:'.",
        "Explain that line: paste the whole message.",
        ("tfckpt ls CKPT",), "style"),
)
