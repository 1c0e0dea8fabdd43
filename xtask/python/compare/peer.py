"""Torch-Pruning on one model: the groups of it, and one step that takes half of every group."""

import copy
import json
import sys
import time

import torch
import torch_pruning
import torchvision

from . import models

# The layers that groups begin at, as its pruners have it by default.
ROOTS = (torch.nn.modules.conv._ConvNd, torch.nn.Linear)


def serve(name, threads):
    """Answers every request on the standard input; what a request fails with is its answer."""
    torch.set_num_threads(threads)
    # What the libraries print is not an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    peer = Peer(name)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request.pop("do"))(**request)
        except Exception as error:  # whatever it fails with is the result
            first = (str(error).strip().splitlines() or [""])[0][:200]
            answer = {"error": f"{type(error).__name__}: {first}"}
        print(json.dumps(answer), file=answers, flush=True)


class Peer:
    def __init__(self, name):
        self.model, self.image = models.build(name)
        self.cut = None

    def ready(self):
        return {}

    def groups(self):
        """From a model to the list of its groups, and how much of that a forward pass takes."""
        model = copy.deepcopy(self.model)
        begin = time.perf_counter()
        graph = torch_pruning.DependencyGraph().build_dependency(model, self.image)
        ignored = [classifier(model)]
        count = sum(1 for _ in graph.get_all_groups(ignored_layers=ignored, root_module_types=ROOTS))
        seconds = time.perf_counter() - begin
        begin = time.perf_counter()
        model(self.image)
        return {"groups": count, "groups_ms": 1000 * seconds, "forward_ms": 1000 * (time.perf_counter() - begin)}

    def step(self):
        """One step on a fresh copy; what was analysed before it is not timed."""
        self.cut = None
        model = copy.deepcopy(self.model)
        pruner = torch_pruning.pruner.BasePruner(
            model,
            self.image,
            importance=torch_pruning.importance.MagnitudeImportance(p=2),
            global_pruning=False,
            pruning_ratio=0.5,
            ignored_layers=[classifier(model)],
            num_heads=heads(model),
            root_module_types=ROOTS,
            # By default all pruners of a process write into the same two dictionaries.
            in_channel_groups={},
            out_channel_groups={},
        )
        before = begin_peak()
        begin = time.perf_counter()
        pruner.step()
        seconds = time.perf_counter() - begin
        grown = memory("VmHWM") - before
        adjust(model)
        self.cut = model
        params = sum(parameter.numel() for parameter in model.parameters())
        return {"step_ms": 1000 * seconds, "grown_bytes": max(grown, 0), "params": params}

    def export(self, archive):
        """The model that the last step left, as an archive: it has to run for that."""
        models.export((self.cut, self.image), archive)
        return {}


def classifier(model):
    """The layer that makes the outputs: the last one, also of networks that end in a convolution."""
    layers = [layer for layer in model.modules() if isinstance(layer, ROOTS)]
    return layers[-1]


def heads(model):
    """The hint that Torch-Pruning needs for attention: the number of heads of each layer that makes it."""
    found = {}
    for layer in model.modules():
        if isinstance(layer, torch.nn.MultiheadAttention):
            found[layer] = layer.num_heads
        elif isinstance(layer, torchvision.models.swin_transformer.ShiftedWindowAttention):
            found[layer.qkv] = layer.num_heads
        elif isinstance(layer, torchvision.models.maxvit.RelativePositionalMultiHeadAttention):
            found[layer.to_qkv] = layer.n_heads
    return found


def adjust(model):
    """What a model has written down of its own sizes and Torch-Pruning leaves to its user."""
    if isinstance(model, torchvision.models.VisionTransformer):
        model.hidden_dim = model.conv_proj.out_channels


def begin_peak():
    """The memory of this process now; the largest amount so far begins anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return memory("VmRSS")


def memory(key):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return 1024 * int(line.split()[1])
