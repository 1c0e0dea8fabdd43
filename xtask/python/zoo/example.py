"""A model with inputs that it can be called with, and what every family needs for one."""

from dataclasses import dataclass, field

import torch
from torch.utils import _pytree as pytree

BATCH = 2


@dataclass
class Example:
    """A model in evaluation mode; its batch is 2."""

    model: torch.nn.Module
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)


def images(size, channels=3):
    return torch.randn(BATCH, channels, size, size)


def tokens(length=12, vocabulary=99):
    """Ids above those that configurations give a meaning to."""
    return torch.randint(5, vocabulary - 5, (BATCH, length))


def hide_nothing(model):
    """Replaces initial values behind which the rest of a model does not show.

    Gates and layer scales of zero, heads of zeros, and statistics of normalisations that are all the same.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 or not parameter.any():
            mean = 0.0 if "bias" in name or parameter.ndim != 1 else 0.5
            torch.nn.init.normal_(parameter, mean, 0.2)
        elif "layer_scale" in name:
            torch.nn.init.normal_(parameter, 0.5, 0.2)
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        if name.endswith("running_mean"):
            buffer.normal_(0.0, 0.1)
    return model.eval()


def float_outputs(outputs):
    """The tensors of floating point of whatever a model returns."""
    leaves = pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]


def train_one_step(model, args, kwargs):
    """Whether one step of SGD has finite gradients and changes parameters."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in parameters]
    outputs = float_outputs(model(*args, **kwargs))
    loss = sum(output.float().square().mean() for output in outputs)
    loss.backward()
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    finite = bool(torch.isfinite(loss)) and all(bool(p.grad.isfinite().all()) for p in with_gradient)
    torch.optim.SGD(parameters, lr=0.1).step()
    changed = any(not torch.equal(old, new) for old, new in zip(before, parameters))
    return {
        "trains": finite and changed,
        "finite": finite,
        "with_gradient": len(with_gradient),
        "parameters": len(parameters),
    }
