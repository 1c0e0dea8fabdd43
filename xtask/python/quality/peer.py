"""Torch-Pruning on a trained network: for every cell the largest network within a share of the multiply-accumulates."""

import copy
import json
import time
from pathlib import Path

import safetensors.torch
import torch
import torch_pruning
from torch.nn import functional

from .nets import NETS, Attention, classifier

CRITERIA = {
    "random": torch_pruning.importance.RandomImportance,
    "magnitude": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=2),
    "magnitude-l1": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=1),
    "bn-scale": torch_pruning.importance.BNScaleImportance,
    "lamp": torch_pruning.importance.LAMPImportance,
    "fpgm": torch_pruning.importance.FPGMImportance,
    "taylor": torch_pruning.importance.GroupTaylorImportance,
    "hessian": torch_pruning.importance.GroupHessianImportance,
}

# Halvings of the interval of ratios, and the part of the multiply-accumulates below what is allowed that is near enough.
HALVINGS = 9
NEAR = 0.005


def run(job_file):
    """Answers a line of JSON for every cell of a job as soon as it is done."""
    job = json.loads(Path(job_file).read_text())
    torch.set_num_threads(1)
    model = job["cells"][0]["model"]
    net = dense(model, job)
    tensors = safetensors.torch.load_file(job["calibration"])
    gradients, left = {}, {}
    for number, cell in enumerate(job["cells"]):
        begin = time.perf_counter()
        answer = {"cell": number}
        try:
            criterion = cell["criterion"]
            if criterion in ("taylor", "hessian") and criterion not in gradients:
                gradients[criterion] = gathered(net, criterion, tensors["images"], tensors["labels"])
            tried = left.setdefault((criterion, cell["scope"]), {})
            small = fitting(net, cell, gradients.get(criterion), tried)
            file = str(Path(job["out"]) / f"{number}.pt2")
            export(small, file)
            answer["archive"] = file
        except Exception as error:  # whatever it fails with is the result
            answer["error"] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
        answer["seconds"] = time.perf_counter() - begin
        print(json.dumps(answer), flush=True)


def dense(model, job):
    """The network with the weights that were trained, which computes what their archive does."""
    net = NETS[model]()
    missing, unexpected = net.load_state_dict(safetensors.torch.load_file(job["weights"]), strict=False)
    assert not unexpected, f"{model} has no {unexpected}"
    assert all(name.endswith("num_batches_tracked") for name in missing), f"there are no weights for {missing}"
    net.eval()
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.export.load(job["archive"]).module()(images)
        expected = expected if isinstance(expected, torch.Tensor) else expected[0]
        torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-4)
    return net


def gathered(net, criterion, images, labels):
    """The gradients of the mean loss, or an importance that was shown those of every image."""
    if criterion == "taylor":
        net.zero_grad()
        functional.cross_entropy(net(images), labels).backward()
        return [parameter.grad.clone() for parameter in net.parameters()]
    importance = CRITERIA[criterion]()
    for image, label in zip(images.split(1), labels.split(1)):
        net.zero_grad()
        functional.cross_entropy(net(image), label).backward()
        importance.accumulate_grad(net)
    squares = [importance._accu_grad[parameter] for parameter in net.parameters()]
    return squares, [importance._counter[parameter] for parameter in net.parameters()]


def fitting(net, cell, gradients, left):
    """The network of a ratio with which the share is gone, and little more; `left` has what is left at ratios that were tried."""
    before = macs(net)
    allowed = before * (1 - cell["percent"] / 100)
    low, high, small = 0.0, 1.0, None
    for halving in range(HALVINGS):
        ratio = (low + high) / 2
        tried = None
        if ratio not in left:
            tried = pruned(net, cell, ratio, gradients)
            left[ratio] = macs(tried)
        if left[ratio] > allowed:
            low = ratio
            continue
        high, small = ratio, tried
        if left[ratio] >= allowed - NEAR * before:
            break
    if high == 1.0:
        raise ValueError(f"no ratio below {high} removes {cell['percent']} % of the multiply-accumulates")
    return pruned(net, cell, high, gradients) if small is None else small


def pruned(net, cell, ratio, gradients):
    small = copy.deepcopy(net)
    importance = CRITERIA[cell["criterion"]]()
    if cell["criterion"] == "taylor":
        for parameter, gradient in zip(small.parameters(), gradients):
            parameter.grad = gradient.clone()
    if cell["criterion"] == "hessian":
        for parameter, square, count in zip(small.parameters(), *gradients):
            parameter.grad = torch.zeros_like(parameter)
            importance._accu_grad[parameter] = square.clone()
            importance._counter[parameter] = count
    torch.manual_seed(cell["seed"])
    pruner = torch_pruning.pruner.BasePruner(
        small,
        torch.zeros(1, 1, 28, 28),
        importance=importance,
        pruning_ratio=ratio,
        global_pruning=cell["scope"] != "local",
        isomorphic=cell["scope"] == "isomorphic",
        ignored_layers=[classifier(small)],
        num_heads={layer.qkv: layer.heads for layer in small.modules() if isinstance(layer, Attention)},
    )
    pruner.step()
    for layer in small.modules():
        if isinstance(layer, Attention):
            layer.heads = pruner.num_heads[layer.qkv]
    small.zero_grad()
    return small.eval()


def macs(net):
    """The multiply-accumulates of convolutions, linear layers and attention for one image."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        if isinstance(layer, torch.nn.Conv2d):
            total += output[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, torch.nn.Linear):
            total += output.numel() * layer.in_features
        elif isinstance(layer, Attention):
            total += 2 * inputs[0].shape[1] ** 2 * layer.qkv.out_features // 3

    handles = [layer.register_forward_hook(count) for layer in net.modules()]
    with torch.no_grad():
        net(torch.zeros(1, 1, 28, 28))
    for handle in handles:
        handle.remove()
    return total


def export(net, file):
    # A batch of two, since one of one is taken for a size of the network.
    images = torch.zeros(2, 1, 28, 28)
    program = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
    torch.export.save(program, file)
