"""``tfckpt convert``: TF1 to TF2 and back, or to what a program of yours saves."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ArgumentGroup
from contextlib import ExitStack

from tfckpt.cli.edits import pattern, print_edit
from tfckpt.cli.options import add_dtype, add_json, given_values
from tfckpt.cli.progress import progress_bar
from tfckpt.cli.proving import add_prove_arguments
from tfckpt.cli.sources import keras_source
from tfckpt.convert.api import convert, file_format_of
from tfckpt.convert.optimizers.table import KINDS
from tfckpt.core.files.table import FILE_FORMATS, format_named, format_of_path
from tfckpt.core.plan import Progress
from tfckpt.core.report import ConvertReport
from tfckpt.errors import UnsupportedError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Convert a checkpoint between TF1 and TF2 without moving its data, or from and to files of
other frameworks.

The tensors' bytes are not read: the data files get a second name, and a new index new
keys. SRC is never changed, and nothing appears at DST until all of it is there. Files of
other frameworks, such as safetensors, are read again and compared before they appear;
docs/formats.md says what each holds.

With --map, a file gets the names and layouts of another framework's model, or a checkpoint
made of such a file gets TensorFlow's back: by a map that ships (`tfckpt maps` lists them) or
by one of your own. State of optimizers stays behind.

With --like, DST has the keys and the object graph of TEMPLATE, a checkpoint that your own
program saved right after it was built, and the values of SRC. Which variable is which is
found out as `tfckpt match` does; state of an optimizer is put into the layout that the
template has (TF1, legacy Keras, Keras 2.11 and later, Keras 3).

With --to keras, DST is a .weights.h5 of a Keras 3 model; with --model and an ending of
PyTorch's, it is the state_dict of a module. The model is made by your own code, on whatever
backend is installed; TensorFlow isn't needed. If a Keras model is compiled, its optimizer
gets the state that SRC has. The file is loaded again and compared before it appears."""
EPILOG = """Examples:
  tfckpt convert model.ckpt-1000 --to tf2 -o tf2/ckpt
  tfckpt convert tf2/ckpt --to tf1 -o tf1/model.ckpt
  tfckpt convert model.ckpt-1000 --skip-optimizer -o model.safetensors
  tfckpt convert model.safetensors --to tf2 -o tf2/ckpt
  tfckpt convert bert_model.ckpt --map hf-bert -o model.safetensors
  tfckpt convert model.safetensors --map hf-bert --to tf1 -o bert_model.ckpt
  tfckpt convert resnet50.h5 --map hf-resnet -o model.safetensors
  tfckpt convert old/model.ckpt --to tf1 -o new/model.ckpt     (from V1 to V2)
  tfckpt convert tf2/ckpt --to tf1 --names path --dry-run -o tf1/model.ckpt
  tfckpt convert model.ckpt-1000 --to tf2 --optimizer auto --lr 1e-4 -o tf2/ckpt
  tfckpt convert legacy/ckpt --to keras2 -o new/ckpt
  tfckpt convert tf2/ckpt --to tf1 --optimizer auto -o tf1/model.ckpt
  tfckpt convert model.ckpt-1000 --like fresh/ckpt-1 -o keras/ckpt
  tfckpt convert model.ckpt-1000 --like fresh/ckpt-1 --map map.json --lr 0.01 -o keras/ckpt
  tfckpt convert old/ckpt --to keras --model mypkg.models:build_unet -o unet.weights.h5
  tfckpt convert old/ckpt --to keras --model old/model.json -o unet.weights.h5
  tfckpt convert saved_model --to keras --model mypkg:unet -o unet.weights.h5 --prove
  tfckpt convert model.ckpt-1000 --model mypkg:ResNet -o resnet.safetensors

In TensorFlow 2:  tf.train.Checkpoint(vars={name: variable}).restore("tf2/ckpt")
In TensorFlow 1:  tf.train.Saver().restore(session, "tf1/model.ckpt")"""

# Options by what they are for; with anything else they would have no effect.
_FOR_KERAS = ("config", "object", "skip_mismatch")
_FOR_MODULES = ("layout",)
_FOR_MODELS = ("model", "allow_unused", "trust_order", "save_map", "prove", "prove_input",
               "tolerance")
_FOR_OPTIMIZERS = ("optimizer", "lr", "iterations", "hyper")
_FOR_FILES = ("include", "exclude", "skip_optimizer", "dtype", "max_shard_size")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="SRC", help="a checkpoint: its prefix, any of its files,"
                                                    " or the folder it is in")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--to", type=_target_name,
                        choices=["tf2", "tf1", "tf1-v1", "legacy", "keras2", "keras3",
                                 "keras", *(item.name for item in FILE_FORMATS)],
                        help="a format of files (docs/formats.md), by default the one that the"
                             " ending of DST means; or tf2: object-based; tf1: name-based; tf1-v1:"
                             " name-based, in one file of the V1 format; legacy, keras2, keras3:"
                             " object-based, with the optimizer's state as Keras before 2.11,"
                             " until 2.15, and 3 has it; keras: a .weights.h5 of the Keras 3"
                             " model that --model makes, as that ending means too")
    target.add_argument("--like", metavar="TEMPLATE",
                        help="a checkpoint that has the keys and the object graph that are wanted")
    parser.add_argument("-o", "--output", required=True, metavar="DST",
                        help="prefix of the result, used exactly as given")
    parser.add_argument("--root", default="vars", metavar="NAME",
                        help="with --to tf2: name of the dictionary that holds the variables"
                             " (default: vars)")
    parser.add_argument("--names", default="auto", choices=["auto", "full-name", "path"],
                        help="with --to tf1 and files: where names come from; auto (the"
                             " default) takes the name that the variable had in TensorFlow if it"
                             " is unique and not a default one, else the object's path")
    parser.add_argument("--map", metavar="FILE|NAME",
                        help="a map between frameworks, of those that `tfckpt maps` lists or of"
                             " your own (docs/maps.md); with --like and --to keras, names that"
                             " match can't tell, from SRC to TEMPLATE (JSON or CSV)")
    _add_like_arguments(parser.add_argument_group("with --like and --to keras, and for optimizers"))
    _add_file_arguments(parser.add_argument_group("with files of other frameworks"))
    _add_model_arguments(parser.add_argument_group("with --to keras, and modules of PyTorch"))
    parser.add_argument("--data", default="link", choices=["link", "copy"],
                        help="link the data files (the default), or copy them")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="print every key and what it becomes; write nothing, and need no -o"
                             " with --to, unless it is keras")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="print every key and what it became")
    add_json(parser)


def _add_like_arguments(group: _ArgumentGroup) -> None:
    group.add_argument("--optimizer", choices=["auto", "none", *KINDS], metavar="NAME",
                       help="convert the state of an optimizer too: auto believes its names;"
                            f" {', '.join(KINDS)} say what it is; with --like and --to keras,"
                            " none leaves it behind (default: auto there, and tensors like any"
                            " others with --to tf1 and --to tf2)")
    group.add_argument("--lr", type=float, metavar="X",
                       help="the learning rate, where it isn't stored")
    group.add_argument("--iterations", type=int, metavar="N",
                       help="how many steps the optimizer took, where that isn't stored")
    group.add_argument("--hyper", action="append", default=[], type=_hyper, metavar="NAME=X",
                       help="another value, such as beta_1=0.9; may be repeated")
    group.add_argument("--ema", choices=["ignore", "use", "keep"],
                       help="use: moving averages take the place of the variables; ignore: they"
                            " are left out (default with --like); keep, for files: both")
    group.add_argument("--allow-missing", action="store_true",
                       help="keep the template's own values where SRC has none")


def _add_file_arguments(group: _ArgumentGroup) -> None:
    group.add_argument("--include", metavar="REGEX", type=pattern,
                       help="only tensors in whose names this is found")
    group.add_argument("--exclude", metavar="REGEX", type=pattern,
                       help="no tensors in whose names this is found")
    group.add_argument("--skip-optimizer", "--ignore-optimizer", action="store_true",
                       help="leave out the optimizer's state, told by structure")
    add_dtype(group, "what tensors of floating point become")
    group.add_argument("--max-shard-size", metavar="SIZE",
                       help="safetensors in several files and an index, such as 2GB")


def _add_model_arguments(group: _ArgumentGroup) -> None:
    group.add_argument("--model", metavar="MODULE:FUNCTION",
                       help="the model of Keras 3, or the module of PyTorch: a function or class"
                            " that makes it (modules of the current folder are found); for Keras"
                            " also the model.json, .h5 model or SavedModel of Keras 2 that has its"
                            " config; not needed where that is in SRC or beside it")
    group.add_argument("--config", metavar="FILE",
                       help="the old model's to_json(), which tells equal layers apart; found by"
                            " itself beside SRC, as model.json")
    group.add_argument("--object", metavar="NAME",
                       help="which object of the checkpoint the model is, if several may be")
    group.add_argument("--allow-unused", action="store_true",
                       help="leave behind what the model has no weight for")
    group.add_argument("--skip-mismatch", action="store_true",
                       help="keep the model's own values where shapes differ")
    group.add_argument("--layout", metavar="NAME=LAYOUT", action="append", default=[], type=_pair,
                       help="what a layer of PyTorch was in TensorFlow, where its class doesn't"
                            " tell: fc='flattened(7,7)' (docs/torch.md); may be repeated")
    group.add_argument("--trust-order", action="store_true",
                       help="take layers that nothing tells apart in the model's order")
    add_prove_arguments(group)
    group.add_argument("--save-map", metavar="FILE",
                       help="if weights can't be told apart, write a map to fill in, for --map")


def _target_name(text: str) -> str:
    if text == "jax":
        raise ArgumentTypeError("JAX has several formats: say msgpack (Flax), orbax or npz")
    return {"pytorch": "torch", "numpy": "npz", "flax": "msgpack"}.get(text, text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals:
        raise ArgumentTypeError("expected NAME=LAYOUT")
    return name, value


def _hyper(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.replace("-", "_"), float(value)
    except ValueError:
        raise ArgumentTypeError("expected NAME=NUMBER") from None


def _convert_optimizer(options: Namespace, progress: Progress) -> ConvertReport:
    from tfckpt.convert.relayout import convert_optimizer  # deferred, as below

    return convert_optimizer(
        options.path, options.output, to="legacy" if options.to == "tf2" else options.to,
        kind=options.optimizer or "auto", given=given_values(options), root=options.root,
        names=options.names, data=options.data, overwrite=options.overwrite,
        dry_run=options.dry_run, progress=progress)


def _convert_like(options: Namespace, progress: Progress) -> ConvertReport:
    # Deferred: a conversion without a template takes less time than these imports.
    from tfckpt.convert.like import LikeOptions, convert_like
    from tfckpt.core.namefiles import read_pairs
    from tfckpt.keras.convert_h5 import convert_h5
    from tfckpt.keras.weights_h5 import is_weights_h5

    run = convert_h5 if is_weights_h5(options.path) or is_weights_h5(options.like) \
        else convert_like
    return run(
        options.path, options.output, options.like,
        names=read_pairs(options.map) if options.map else None,
        options=LikeOptions(options.optimizer or "auto", given_values(options),
                            options.allow_missing, options.ema or "ignore"),
        data=options.data, overwrite=options.overwrite, dry_run=options.dry_run,
        progress=progress)


def _check_target(options: Namespace) -> None:
    """Refuse options that don't go with the target.

    Raises:
        UnsupportedError: Saying which.
    """
    if options.to == "keras":
        _refuse(options, ("ema", *_FOR_FILES, *_FOR_MODULES), "--to keras")
        return
    _refuse(options, _FOR_KERAS, "anything but --to keras")
    if options.model:
        _refuse(options, (*_FOR_OPTIMIZERS, *_FOR_FILES), "a module of PyTorch")
        if options.like or options.ema == "keep":
            raise UnsupportedError("--like and --ema keep can't be given with --model")
        return
    _refuse(options, (*_FOR_MODELS, *_FOR_MODULES), "anything but --to keras and --model")
    if options.like:
        _refuse(options, _FOR_FILES, "--like")
    else:
        _refuse(options, ("allow_missing",), "anything but --like and --to keras")
    if _has_optimizer(options):
        _refuse(options, (*_FOR_FILES, "map"), "state of an optimizer that is converted")
    to_file = not options.like and (
        format_named(options.to) if options.to else format_of_path(options.output))
    if not (options.like or options.to or to_file):
        raise UnsupportedError(
            "nothing says what to convert to", file=options.output,
            hint="A .weights.h5 is written for a Keras 3 model: --to keras --model MODULE:FUNCTION."
            if options.output.endswith(".h5") else
            "Give --to or --like, or an output with an ending such as "
            + ", ".join(item.endings[0] for item in FILE_FORMATS if item.endings) + ".")
    if to_file and options.optimizer not in (None, "none"):
        raise UnsupportedError("files of other frameworks have no layout for an optimizer's state",
                               hint="Its tensors are taken along like any others;"
                                    " --skip-optimizer leaves them out.")
    if options.like and options.ema == "keep":
        raise UnsupportedError("with --like, --ema is use or ignore")


def _refuse(options: Namespace, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(options, name) not in (None, False, [])]
    if given:
        words = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UnsupportedError(f"{words} can't be given with {what}")


def _has_optimizer(options: Namespace) -> bool:
    """Whether the optimizer's state gets another layout, without a template."""
    return not options.like and (options.to in ("legacy", "keras2", "keras3")
                                 or options.optimizer not in (None, "none"))


def run(options: Namespace) -> int:
    """Convert it."""
    if not (options.to or options.like) and options.output.endswith(".weights.h5"):
        options.to = "keras"  # only Keras 3 calls its files so
    _check_target(options)
    if options.to == "keras":
        from tfckpt.cli.models import run_model  # deferred, as above

        return run_model(options)
    if options.model:
        from tfckpt.cli.modules import run_module  # deferred, as above

        return run_module(options, file_format_of(options.to, options.output))
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar("copying"))
        if options.like:
            report = _convert_like(options, progress)
        elif _has_optimizer(options):
            report = _convert_optimizer(options, progress)
        else:
            report = convert(
                keras_source(options.path, stack), options.output, to=options.to, root=options.root,
                names=options.names, data=options.data, overwrite=options.overwrite,
                dry_run=options.dry_run, include=options.include, exclude=options.exclude,
                skip_optimizer=options.skip_optimizer, ema=options.ema, dtype=options.dtype,
                max_shard_size=_shard_size(options.max_shard_size), map=options.map,
                progress=progress)
    return print_edit(report, options)


def _shard_size(text: str | None) -> int | None:
    if text is None:
        return None
    from tfckpt.convert.reshard import parse_size  # deferred: most ask for one file

    return parse_size(text)
