"""PyTorch's side of test_torch.py; runs where PyTorch is, without TensorFlow."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu

import tfckpt
import tfckpt.torch
from tfckpt.errors import MismatchError


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride > 1:
            self.short = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (self.short(x) if hasattr(self, "short") else x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, 2, padding=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleList([Block(8, 8, 1), Block(8, 12, 2)])
        self.fc = nn.Linear(12, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.pool(relu(self.bn1(self.conv1(x))))
        for block in self.blocks:
            x = block(x)
        return self.head(relu(self.fc(x.mean((2, 3)))))


class Kinds(nn.Module):
    """A layer of each kind, as Keras 2 has them."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.both = nn.LSTM(5, 4, batch_first=True, bidirectional=True)
        self.rnn = nn.RNN(8, 8, batch_first=True)
        self.deep = nn.LSTM(8, 8, num_layers=2, batch_first=True)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(8, 2, kdim=3, vdim=3, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 11, bias=False)
        self.out.weight = self.emb.weight
        self.conv = nn.Conv1d(3, 6, 3)
        self.depthwise = nn.Conv2d(3, 6, 3, groups=3)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.fc = nn.Linear(4 * 4 * 4, 8)

    def forward(self, words, image):
        x = self.rnn(self.both(self.gru(self.lstm(self.emb(words))[0])[0])[0])[0]
        x = self.norm(self.deep(x)[0] + self.mha(x, x, x, need_weights=False)[0])
        memory = image[:, :, 0].transpose(1, 2)
        x = x + self.cross(x, memory, memory, need_weights=False)[0]
        line = self.conv(image[:, :, 0]).mean(2)
        y = self.fc(torch.tanh(self.up(torch.relu(self.depthwise(image)))).flatten(1))
        return self.out(x) + self.out(y)[:, None] + line.mean()


class Images(nn.Module):
    """Layers before and after an image."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 4 * 2 * 3)
        self.batch = nn.BatchNorm1d(4 * 2 * 3)
        self.unflatten = nn.Unflatten(1, (4, 2, 3))
        self.norm = nn.LayerNorm([4, 2, 3])
        self.up = nn.ConvTranspose2d(4, 3, (2, 1), bias=False)
        self.flatten = nn.Flatten()
        self.layer = nn.LayerNorm(27)
        self.head = nn.Linear(27, 2)

    def forward(self, x):
        x = self.up(self.norm(self.unflatten(self.batch(self.dense(x)))))
        return self.head(self.layer(self.flatten(x)))


class Cells(nn.Module):
    """Layers of TF1's cells."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 5, batch_first=True)
        self.deep = nn.LSTM(5, 3, num_layers=2, batch_first=True)
        self.two = nn.LSTM(3, 2, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(4, 3)

    def forward(self, x):
        return self.dense(self.two(self.deep(self.rnn(x)[0])[0])[0])


IMAGES = {"dense": "unflattened(2,3)", "batch": "flattened(2,3)", "norm": "image",
          "layer": "flattened(3,3)", "head": "flattened(3,3)"}
CELLS = {"rnn": "basic_lstm_cell", "deep": "lstm_cell(0)", "two": "lstm_cell"}


def seeded(kind):
    torch.manual_seed(3)
    module = kind()
    if kind is Kinds:
        tfckpt.torch.set_layouts(module, {"fc": "flattened(4,4)"})
    if kind is Images:
        tfckpt.torch.set_layouts(module, IMAGES)
    if kind is Cells:
        tfckpt.torch.set_layouts(module, CELLS)
    return module


def inputs(kind):
    random = np.random.default_rng(5)
    if kind is Kinds:
        return [random.integers(0, 11, [2, 5]), random.normal(size=[2, 3, 4, 4]).astype("f4")]
    if kind is Images:
        return [random.normal(size=[6, 5]).astype("f4")]
    if kind is Cells:
        return [random.normal(size=[2, 6, 4]).astype("f4")]
    return [random.normal(size=[2, 3, 32, 32]).astype("f4")]


def trained(kind):
    """A module after two steps, so that nothing in it is what it began with."""
    module = seeded(kind)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    given = [torch.from_numpy(array) for array in inputs(kind)]
    for _ in range(2):
        optimizer.zero_grad()
        module(*given).square().mean().backward()
        optimizer.step()
    return module.eval()


def computed(module, kind):
    with torch.no_grad():
        return module.eval()(*map(torch.from_numpy, inputs(kind))).numpy()


def save_all(folder, kind):
    """A trained module as both kinds of checkpoint, and what it computes."""
    kind = globals()[kind]
    module = trained(kind)
    np.savez(f"{folder}/io.npz", *inputs(kind), y=computed(module, kind))
    return [tfckpt.Checkpoint(module).save(f"{folder}/tf2"),
            tfckpt.Saver(module).save(None, f"{folder}/tf1")]


def restore(folder, kind, path, style):
    """How far what a module computes is from what it did where the checkpoint was made."""
    kind = globals()[kind]
    module = seeded(kind)
    version = {name: value._version for name, value in module.named_parameters()}
    if style == "tf2":
        tfckpt.Checkpoint(module).restore(path).assert_consumed()
    else:
        tfckpt.Saver(module).restore(None, path)
    assert all(value._version > version[name] for name, value in module.named_parameters())
    io = np.load(f"{folder}/io.npz")
    return float(np.abs(computed(module, kind) - io["y"]).max())


def odd_ones(folder):
    """What modules are besides layers."""
    found = {}
    net = nn.Sequential(nn.Linear(2, 2).to(torch.bfloat16), nn.Linear(2, 2).requires_grad_(False))
    net.register_buffer("kept", torch.tensor([1, 2]))
    net.register_buffer("passing", torch.zeros(3), persistent=False)
    net.own = nn.Parameter(torch.tensor([1.5], dtype=torch.float8_e4m3fn), requires_grad=False)
    step = torch.tensor(7)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    path = tfckpt.Checkpoint(net=net, step=step).save(f"{folder}/odd")
    with tfckpt.open(path) as source:
        found["stored"] = {key.partition("/.A")[0]: [entry.dtype.name, *entry.shape]
                           for key, entry in source.index.items() if key.startswith(("n", "st"))}
    with torch.no_grad():
        for value in [*net.state_dict().values(), step]:
            value.zero_()
    weight = net[0].weight
    tfckpt.Checkpoint(net=torch.compile(net), step=step).restore(path).assert_consumed()
    found["same"] = all(torch.equal(value.view(torch.uint8), before[name].view(torch.uint8))
                        for name, value in net.state_dict().items())
    found["in place"] = net[0].weight is weight and int(step) == 7
    found["requires_grad"] = [value.requires_grad for value in net.parameters()]
    attention = nn.MultiheadAttention(4, 2)
    torch.nn.utils.parametrizations.weight_norm(attention.out_proj)
    found["wrapped"] = sorted(tfckpt.Saver(attention).variables)[:5]
    heads = nn.ModuleDict({"q": nn.Linear(6, 8), "o": nn.Linear(8, 6), "one": nn.Linear(2, 3)})
    tfckpt.torch.set_layouts(heads, {"q": "heads_in(2)", "o": "heads_out(2)", "one": "pointwise"})
    found["heads"] = {name: list(item.shape)
                      for name, item in tfckpt.Saver(heads).variables.items()}
    # Names are those of attributes.
    path = tfckpt.Saver(net).save(None, f"{folder}/names")
    found["by name"] = sorted(tfckpt.Checkpoint(x=net).restore(path).report.matched)
    found["in a list"] = sorted(tfckpt.Saver([net]).variables)
    # An optimizer writes to its tensors while a save runs in the background.
    saver = tfckpt.Saver({"net": net})
    pending = saver.prepare(None, f"{folder}/pending")
    with torch.no_grad():
        net[0].weight.zero_()
    saver.restore(None, pending.finish())
    found["snapshot"] = torch.equal(net[0].weight, before["0.weight"])
    alive = weakref.ref(net)
    del net, saver, pending, weight, value
    found["dies"] = alive() is None
    gc.collect()
    return found


def refusals(folder):
    """Messages, and that nothing changed."""
    found = {}

    def refused(name, call):
        try:
            call()
        except tfckpt.CheckpointError as error:
            found[name] = str(error).replace(folder, "FOLDER")

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(),
                        nn.Linear(24, 8), nn.Linear(8, 48), nn.Unflatten(1, (12, 2, 2)),
                        nn.Conv2d(12, 1, 1), nn.LayerNorm([1, 2, 2]))
    refused("images", lambda: tfckpt.Checkpoint(net).save(f"{folder}/x"))
    tfckpt.torch.set_layouts(net, {"3": "flattened(2,3)", "4": "unflattened(2,2)", "7": "image"})
    tfckpt.Checkpoint(net).save(f"{folder}/told")
    refused("can't be", lambda: tfckpt.torch.set_layouts(net, {"0": "dense"}))
    refused("no module", lambda: tfckpt.torch.set_layouts(net, {"33": "dense"}))
    refused("none of them", lambda: tfckpt.torch.set_layouts(net, {"*": "lstm_cell"}))
    refused("no text", lambda: tfckpt.torch.set_layouts(net, {3: "dense"}))
    refused("lazy", lambda: tfckpt.Checkpoint(nn.LazyLinear(2)).save(f"{folder}/x"))
    refused("meta", lambda: tfckpt.Saver(nn.Linear(1, 1, device="meta")).save(None, folder + "/x"))
    refused("optimizer", lambda: tfckpt.Checkpoint(o=torch.optim.SGD(net.parameters())))
    refused("all of them", lambda: tfckpt.Saver(Images()))
    generator = nn.ModuleDict({"fc": nn.Linear(2, 32), "bn": nn.BatchNorm1d(32),
                               "up": nn.ConvTranspose2d(8, 3, 3)})
    refused("by view", lambda: tfckpt.Saver(generator))
    turned = nn.ModuleDict({"fc": nn.Linear(32, 2), "conv": nn.Conv2d(3, 8, 3)})
    refused("made before", lambda: tfckpt.Saver(turned))
    tfckpt.torch.set_layouts(turned, {"fc": "flattened(2,2)"})
    tfckpt.Saver(turned)
    refused("no names", lambda: tfckpt.Saver([net[0].weight]))
    small, other = nn.Linear(2, 2), nn.Linear(2, 3)
    path = tfckpt.Saver(other).save(None, f"{folder}/other")
    before = small.weight.clone()
    refused("shape", lambda: tfckpt.Saver(small).restore(None, path))
    refused("no layout", lambda: tfckpt.torch.load(small, path, layouts={"": 5}))
    found["unchanged"] = torch.equal(before, small.weight)
    return found


def some_inputs(folder, kind):
    """What a model is given, for the other side."""
    return [array.tolist() for array in inputs(globals()[kind])]


def load_tf(folder, kind, path, told=False, **options):
    """How far apart both sides are after `tfckpt.torch.load`, and the report."""
    kind = globals()[kind]
    torch.manual_seed(3)
    module = seeded(kind) if told else kind()
    report = tfckpt.torch.load(module, path, **options)
    io = np.load(f"{folder}/io.npz")
    return {"far": float(np.abs(computed(module, kind) - io["y"]).max()), "report": str(report)}


def save_tf(folder, kind, style):
    """A trained module saved by `tfckpt.torch.save`."""
    kind = globals()[kind]
    module = trained(kind)
    np.savez(f"{folder}/io.npz", *inputs(kind), y=computed(module, kind))
    return tfckpt.torch.save(module, f"{folder}/{style}", style=style).target


def save_twice(folder, style):
    """A second save at a prefix: what is said, and that the first is whole; then with leave."""
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    path = tfckpt.torch.save(first, f"{folder}/m", style=style).target
    try:
        tfckpt.torch.save(second, path, style=style)
    except tfckpt.DestinationExistsError as error:
        said = str(error).replace(folder, "FOLDER")
    value = tfckpt.open(path)["kernel" + "/.ATTRIBUTES/VARIABLE_VALUE" * (style == "tf2")]
    kept = value.item() == first.weight.item()
    tfckpt.torch.save(second, path, style=style, overwrite=True)
    value = tfckpt.open(path)["kernel" + "/.ATTRIBUTES/VARIABLE_VALUE" * (style == "tf2")]
    return said, kept, value.item() == second.weight.item()


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)


def write(folder, name, **arrays):
    values = {key.replace("__", "/"): tfckpt.Variable(np.array(array, "f4"))
              for key, array in arrays.items()}
    return tfckpt.Saver(values).save(None, f"{folder}/{name}")


def load_odd_ones(folder):
    """What `load` says of what doesn't fit, and that nothing changes then."""
    found = {}

    def load(title, module, path, **options):
        before = {name: value.clone() for name, value in module.state_dict().items()}
        try:
            found[title] = str(tfckpt.torch.load(module, path, **options)).replace(folder, "FOLDER")
        except tfckpt.CheckpointError as error:
            found[title] = str(error).replace(folder, "FOLDER")
            assert all(torch.equal(value, before[name])
                       for name, value in module.state_dict().items()), title

    random = np.random.default_rng(0)
    square = {f"{layer}__{kind}": random.normal(size=shape) for layer in ("left", "right")
              for kind, shape in (("kernel", (4, 4)), ("bias", (4,)))}
    path = write(folder, "pair", **square)
    load("alike", Pair(), path)
    try:
        tfckpt.torch.load(Pair(), path)
    except MismatchError as error:
        found["to fill in"] = error.report.map_to_fill_in()
    load("uncounted", Pair(), path, trust_order=True)
    found["uncounted"] = found["uncounted"] == found["alike"]
    pair = Pair()
    counted = write(folder, "counted", **{
        key.replace("left", "net__dense_9").replace("right", "net__dense_10"): value
        for key, value in square.items()})
    load("in order", pair, counted, trust_order=True)
    found["ordered"] = np.array_equal(pair.second.weight.detach().numpy(),
                                      square["right__kernel"].astype("f4").T)
    pair = Pair()
    load("named", pair, path, names={"left/kernel": "second.weight", "left/bias": "second.bias",
                                     "right/kernel": "first/kernel", "right/bias": "first.bias"})
    found["transposed"] = np.array_equal(pair.second.weight.detach().numpy(),
                                         square["left__kernel"].astype("f4").T)
    load("no name", Pair(), path, names={"left/kernel": "second.wait"})
    load("rules", Pair(), write(
        folder, "slim", tower__first__weights=np.ones((4, 4)), tower__first__biases=np.ones(4),
        tower__second__weights=np.ones((4, 4)), tower__second__biases=np.ones(4),
        tower__first__weights__Adam=np.ones((4, 4)), tower__first__weights__Adam_1=np.ones((4, 4))))
    numbers = {f"{n}__{kind}": np.ones(shape) for n in range(4)
               for kind, shape in (("kernel", (4, 4)), ("bias", (4,)))}
    gaps = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(4, 4), nn.ReLU())])
    load("counted otherwise", gaps, write(folder, "numbers", **{
        f"net__{name}": value for name, value in numbers.items()}))
    load("counted in order", gaps, write(folder, "numbers", **numbers), trust_order=True)
    path = write(folder, "part", first__kernel=np.ones((4, 4)), first__bias=np.ones(4),
                 second__kernel=np.ones((4, 3)), third__gain=np.ones(2))
    load("does not fit", Pair(), path)
    load("partly", Pair(), write(folder, "less", first__kernel=np.ones((4, 4)), other=np.ones(2),
                                 first__bias=np.ones(4)),
         allow_missing="second", allow_unused="other")
    half = Pair().to(torch.bfloat16)
    path = write(folder, "wide", first__kernel=np.full((4, 4), 1.5), first__bias=np.ones(4),
                 second__kernel=np.ones((4, 4)), second__bias=np.ones(4))
    load("precision", half, path)
    load("cast", half, path, cast=True)
    found["cast is"] = [str(half.first.weight.dtype), half.first.weight[0, 0].item()]
    tiny = Pair().half()
    load("out of range", tiny, write(
        folder, "big", first__kernel=np.full((4, 4), 1e5), first__bias=np.ones(4),
        second__kernel=np.ones((4, 4)), second__bias=np.ones(4)), cast=True)
    with torch.inference_mode():
        fixed = Pair()
    load("fixed", fixed, path, cast=True)
    gru = nn.GRU(2, 3)
    load("old gru", gru, write(folder, "gru", kernel=np.ones((2, 9)), bias=np.ones(9),
                               recurrent_kernel=np.ones((3, 9))),
         names={"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0",
                "bias": "bias_ih_l0"})
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Linear(4, 4), nn.Linear(4, 4)

    swapped = Swapped()
    path = write(folder, "twins", **{f"net__{key}".replace("left", "first").replace(
        "right", "second"): value for key, value in square.items()})
    load("swapped", swapped, path)
    found["not swapped"] = np.array_equal(swapped.first.weight.detach().numpy(),
                                          square["left__kernel"].astype("f4").T)
    rules = {"tfckpt-map": 1, "name": "mine", "here": "old", "there": "new", "rules": [
        {"here": "net/{name}/kernel", "there": "{name}.weight", "layout": "dense"},
        {"here": "net/{name}/bias", "there": "{name}.bias"}]}
    with open(f"{folder}/mine.json", "w") as file:
        json.dump(rules, file)
    load("by my map", swapped, path, map=f"{folder}/mine.json")
    wide = nn.ModuleDict({"first": nn.Linear(4, 5), "second": nn.Linear(4, 4).half(),
                          "third": nn.PReLU()})
    load("map does not fit", wide, path, map=f"{folder}/mine.json")
    load("both", swapped, path, map=f"{folder}/mine.json", names={"a": "b"})
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 4))
            self.table = nn.Parameter(torch.ones(4, 3))

    own = nn.ModuleDict({"x": Own()})
    path = write(folder, "own", x__weight=square["left__kernel"], x__table=np.ones((4, 3)))
    load("own weights", own, path)
    load("own weights told", own, path, layouts={"x": "same"})
    path = write(folder, "own2", x__kernel=square["left__kernel"], x__table=np.ones((3, 4)))
    load("own weights transposed", own, path, layouts={"x": "dense"})
    found["own"] = np.array_equal(own["x"].weight.detach().numpy(),
                                  square["left__kernel"].astype("f4").T)
    load("scripted", torch.jit.script(Pair()), path)
    columns = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LSTM(4, 3))
    load("columns", columns, tfckpt.torch.save(columns, f"{folder}/columns").target)
    path = f"{folder}/own.safetensors"
    pair = Pair()
    from safetensors.torch import save_file

    save_file(pair.state_dict(), path)
    load("own file", pair, path)
    return found


def averages(folder):
    """Moving averages are only loaded if that is asked for."""
    names = {"first": 1, "second": 2, "first/ExponentialMovingAverage": 3,
             "second/ExponentialMovingAverage": 4}
    arrays = {name.replace("/", f"/{kind}/", 1) if "/" in name else f"{name}/{kind}":
              np.full((4, 4) if kind == "kernel" else 4, value)
              for name, value in names.items() for kind in ("kernel", "bias")}
    arrays = {name.replace("//", "/"): value for name, value in arrays.items()}
    path = write(folder, "ema", **{name.replace("/", "__"): value
                                   for name, value in arrays.items()})
    found = []
    for ema in ("ignore", "use"):
        pair = Pair()
        report = tfckpt.torch.load(pair, path, ema=ema)
        found.append([pair.first.weight[0, 0].item(), pair.second.bias[0].item(),
                      *report.notes])
    return found


def layer_docs(folder):
    """The doctests of the room, which need PyTorch."""
    import doctest
    import importlib
    import pkgutil

    failed = 0
    for info in pkgutil.iter_modules(tfckpt.torch.__path__, "tfckpt.torch."):
        failed += doctest.testmod(importlib.import_module(info.name)).failed
    return failed


def silent_once(folder):
    """What once was loaded or saved with a loss that nobody was told of."""
    from torch.nn.utils import weight_norm

    def said(act):
        try:
            return str(act()).replace(folder, "FOLDER")
        except tfckpt.CheckpointError as error:
            return f"{type(error).__name__}: {error}".replace(folder, "FOLDER")

    def stored(name, **values):
        return tfckpt.Saver({key: tfckpt.Variable(np.asarray(value, np.float32)) for key, value in
                             values.items()}).save(None, f"{folder}/{name}", write_state=False)

    class Own(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.kernel = nn.Parameter(torch.ones(2, 2))

    class More(nn.Linear):
        def get_extra_state(self):
            return {"any": "thing"}

        def set_extra_state(self, state):
            raise AssertionError(state)

    pair = stored("pair", **{"a/kernel": np.eye(2), "b/kernel": np.ones((2, 2))})
    one = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in "ab"})
    one["b"].weight = nn.Parameter(one["a"].weight.data)
    tfckpt.torch.save(one, f"{folder}/one")
    before = one["a"].weight.clone()
    found = {"one memory": said(lambda: tfckpt.torch.load(one, pair)),
             "unchanged": torch.equal(before, one["a"].weight),
             "of its own": said(lambda: tfckpt.torch.load(one, f"{folder}/one")).partition("\n")[0]}
    slashed = nn.ModuleDict({"a": nn.ModuleDict({"b": nn.Linear(2, 2)}), "a/b": nn.Linear(2, 2)})
    for name, module in (("own", nn.ModuleDict({"fc": Own()})), ("slash", slashed)):
        for style in ("tf1", "tf2") if name == "own" else ("tf1",):
            found[f"{name} {style}"] = said(
                lambda module=module, style=style: tfckpt.torch.save(
                    module, f"{folder}/no", style=style))
    single = nn.ModuleDict({"c": nn.Linear(2, 2, bias=False)})
    found["twice"] = said(lambda: tfckpt.torch.load(
        single, pair, names={"a/kernel": "c.weight", "b/kernel": "c.weight"}))
    found["ema"] = said(lambda: tfckpt.torch.load(single, pair, ema="yes"))
    alone = stored("alone", **{"c/kernel/ExponentialMovingAverage": np.eye(2)})
    found["alone"] = said(lambda: tfckpt.torch.load(single, alone, ema="use"))
    found["pattern"] = said(lambda: tfckpt.torch.load(single, pair, allow_unused="("))

    mixed = nn.ModuleDict({
        "old": weight_norm(nn.Linear(2, 2)), "conv": nn.Conv2d(1, 8, 1),
        "shuffle": nn.PixelShuffle(2), "more": More(2, 2)})
    tfckpt.torch.save(mixed, f"{folder}/mixed")
    found["notes"] = said(lambda: tfckpt.torch.load(mixed, f"{folder}/mixed")).partition(
        "note: ")[2].split("\nnote: ")
    with open(f"{folder}/more.json", "w") as file:
        file.write('{"tfckpt-map": 1, "name": "more", "here": "a", "there": "b", "rules": ['
                   '{"here": "c/kernel", "there": "weight", "layout": "dense"}]}')
    found["extra"] = said(lambda: tfckpt.torch.load(
        More(2, 2, bias=False), stored("c", **{"c/kernel": np.eye(2)}),
        map=f"{folder}/more.json")).partition("note: ")[2].split("\nnote: ")
    return found


def by_map(folder):
    """A model of Hugging Face's, to google-research's names and back by the map that ships."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForPreTraining, BertModel

    config = BertConfig(vocab_size=13, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=12, max_position_embeddings=6)
    torch.manual_seed(1)
    whole, again, short = BertForPreTraining(config), BertForPreTraining(config), BertModel(config)
    save_file({name: value.clone() for name, value in whole.state_dict().items()
               if name not in {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}},
              f"{folder}/hf.safetensors")
    tfckpt.convert(f"{folder}/hf.safetensors", f"{folder}/bert.ckpt", to="tf1", map="hf-bert")
    report = tfckpt.torch.load(again, f"{folder}/bert.ckpt", map="hf-bert")
    want = whole.state_dict()
    found = {"same": all(torch.equal(value, want[name])
                         for name, value in again.state_dict().items()),
             "tied": again.cls.predictions.decoder.weight
             is again.bert.embeddings.word_embeddings.weight,
             "how": report.how(), "layouts": sorted(report.layouts())}
    found["back"] = tfckpt.diff(tfckpt.torch.save(whole, f"{folder}/back", style="tf1",
                                                  map="hf-bert").target,
                                f"{folder}/bert.ckpt").same
    path = tfckpt.torch.save(whole, f"{folder}/back2", name="bert", map="hf-bert").target
    with tfckpt.open(path) as source:
        found["as tf2"] = next(key for key in source if "pooler.Sdense.Skernel" in key)
    before = short.encoder.layer[0].output.dense.weight.clone()
    try:
        tfckpt.torch.load(short, f"{folder}/bert.ckpt", map="hf-bert")
    except tfckpt.CheckpointError as error:
        found["short"] = str(error).replace(folder, "FOLDER")
    found["unchanged"] = torch.equal(before, short.encoder.layer[0].output.dense.weight)
    tfckpt.torch.load(short, f"{folder}/bert.ckpt", map="hf-bert", allow_unused="^cls")
    found["without heads"] = all(torch.equal(value, want[f"bert.{name}"])
                                 for name, value in short.state_dict().items())
    return found


def page(folder, text):
    """The Python blocks of a page, as doctests in a folder that has the examples."""
    import doctest
    import os
    import re

    os.chdir(folder)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "page", "page", 0)
    lines = []
    doctest.DocTestRunner(verbose=False).run(test, out=lines.append)
    return len(test.examples), "".join(lines)


def every_dtype(folder):
    """Tensors of each dtype, and views, are set where they are, and autograd is told."""
    kinds = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e5m2,
             torch.float8_e4m3fn, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64,
             torch.bool, torch.complex64, torch.complex128)
    given = {str(kind): torch.arange(-6, 6).reshape(3, 4).to(torch.float32).to(kind)
             for kind in kinds}
    given["view"] = torch.arange(12.0).reshape(4, 3).t()
    given["imag"] = torch.zeros(3, 4, dtype=torch.complex64).imag
    given["conj"] = torch.tensor([1j, 2.0]).conj()
    path = tfckpt.Saver(given).save(None, f"{folder}/dtypes")
    taken = {name: torch.zeros_like(value) for name, value in given.items()}
    taken["view"] = torch.zeros(4, 3).t()
    taken["conj"] = torch.zeros(2, dtype=torch.complex64).conj()
    taken["imag"] = torch.zeros(3, 4, dtype=torch.complex64).imag
    tfckpt.Saver(taken).restore(None, path)
    wrong = [name for name, value in given.items()
             if not np.array_equal(value.to(torch.complex128).numpy(),
                                   taken[name].to(torch.complex128).numpy())]
    weight = nn.Parameter(torch.ones(2))
    loss = weight.square().sum()
    tfckpt.Saver({"w": weight}).restore(None, tfckpt.Saver({"w": weight}).save(None, folder + "/w"))
    try:
        loss.backward()
    except RuntimeError as error:
        return wrong, "modified by an inplace operation" in str(error)
    return wrong, False
