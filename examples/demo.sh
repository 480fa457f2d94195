#!/bin/sh
# TF1 to TF2 and back, on a checkpoint that TensorFlow 1.15 wrote. `make demo` runs it.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
test -t 1 || say() { printf '\n$ %s\n' "$*"; "$@"; }

say tfckpt inspect examples/tf1
say tfckpt convert examples/tf1 --to tf2 -o "$out/tf2/ckpt"
say tfckpt verify "$out/tf2/ckpt"
say tfckpt ls "$out/tf2/ckpt" --exclude Adam
say tfckpt convert "$out/tf2/ckpt" --to tf1 -o "$out/tf1/model.ckpt"
say tfckpt verify "$out/tf1/model.ckpt"
say tfckpt show "$out/tf1/model.ckpt" block.1/w global_step
say cmp examples/tf1/model.ckpt-7.index "$out/tf1/model.ckpt.index"
printf '\nThere and back, the index is byte for byte what TensorFlow wrote.\n'
