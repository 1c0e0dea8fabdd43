"""Torch-Pruning on a model of the zoo, with the one hint that it cannot do without: the layers that make the outputs.

Without that hint it cuts classes. Numbers of heads and parameters outside of layers are hints too, and are not given.
"""

import copy
import time

import torch
import torch_pruning

from .example import float_outputs, train_one_step

LAYERS = (torch.nn.modules.conv._ConvNd, torch.nn.Linear)
NORMS = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm, torch.nn.GroupNorm)


def judge(example):
    """Groups and their time, then a step at a ratio of 0.5: does the result run and train, is it the masked one?"""
    model, inputs = example.model, example.kwargs or example.args
    result = {"groups": None, "groups_ms": None, "runs": False, "trains": False, "error": None, "masked_error": None}
    try:
        ignored = output_layers(example)
        masked = copy.deepcopy(model)
        begin = time.perf_counter()
        pruner = torch_pruning.pruner.MagnitudePruner(
            model,
            inputs,
            importance=torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=0.5,
            ignored_layers=ignored,
        )
        groups = pruner.DG.get_all_groups(ignored_layers=ignored, root_module_types=LAYERS)
        result["groups"] = sum(1 for _ in groups)
        result["groups_ms"] = 1000 * (time.perf_counter() - begin)
        before = sum(parameter.numel() for parameter in model.parameters())
        step(pruner, model, masked)
        result["params_gone"] = 1 - sum(parameter.numel() for parameter in model.parameters()) / before
        with torch.no_grad():
            outputs = float_outputs(model(*example.args, **example.kwargs))
            expected = float_outputs(masked(*example.args, **example.kwargs))
        result["runs"] = True
        result["masked_error"] = difference(outputs, expected)
        result["trains"] = train_one_step(model, example.args, example.kwargs)["trains"]
    except Exception as error:  # whatever it fails with is the result
        first = str(error).strip().splitlines() or [""]
        result["error"] = f"{type(error).__name__}: {first[0][:200]}"
    return result


def output_layers(example):
    """The layers whose result is an output of the model, also after a reshape; the last layer if there is none."""
    made, last = {}, []

    def note(layer, _inputs, output):
        if isinstance(output, torch.Tensor):
            made[output.untyped_storage().data_ptr()] = (layer, output)
            last[:] = [layer]

    layers = [layer for layer in example.model.modules() if isinstance(layer, LAYERS)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        outputs = float_outputs(example.model(*example.args, **example.kwargs))
    for handle in handles:
        handle.remove()
    found = [made[place][0] for output in outputs if (place := output.untyped_storage().data_ptr()) in made]
    return list(dict.fromkeys(found)) or last


def step(pruner, model, masked):
    """Prunes the model, and writes zeros into the other where channels of the first go."""
    layers = dict(zip(model.modules(), masked.modules()))
    for group in pruner.step(interactive=True):
        for dependency, indices in group:
            layer = layers.get(dependency.target.module)
            if layer is not None and pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                mask(layer, torch_pruning._helpers.to_plain_idxs(indices))
        group.prune()


def mask(layer, indices):
    if isinstance(layer, LAYERS + NORMS):
        for parameter in (layer.weight, layer.bias):
            if parameter is not None:
                with torch.no_grad():
                    dimension = 1 if getattr(layer, "transposed", False) and parameter.ndim > 1 else 0
                    parameter.index_fill_(dimension, torch.as_tensor(indices), 0.0)


def difference(outputs, expected):
    """Relative to the largest output; nothing where shapes differ."""
    if [output.shape for output in outputs] != [output.shape for output in expected]:
        return None
    pairs = zip(outputs, expected)
    return max((float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in pairs), default=None)
