"""judge.py MODEL SMALL MANIFEST TRAINABLE [ONNX]: what PyTorch says of a cut model.

SMALL computes what the original does with zeros where the manifest keeps nothing, is trained for a step, as TRAINABLE is,
which is the same cut with batch norm and dropout that train, and is run by onnxruntime from the file ONNX.
"""

import json
import sys

import torch

from models import ANY_BATCH, example

TOLERANCE = 1e-5


def masked(model, manifest):
    """The original with zeros in place of the rows and columns that are gone."""
    state = dict(model.state_dict())
    for name, dims in manifest["kept"].items():
        for dim, kept in dims.items():
            assert state[name].shape[int(dim)] == kept["size"], f"{name}:{dim} has another size"
            gone = sorted(set(range(kept["size"])) - set(kept["positions"]))
            state[name] = state[name].index_fill(int(dim), torch.tensor(gone, dtype=torch.int64), 0.0)
    model.load_state_dict(state)
    return model


def close(outputs, expected, what):
    assert outputs.shape == expected.shape, f"{what}: {outputs.shape}, not {expected.shape}"
    error = float((outputs - expected).abs().max() / expected.abs().max())
    assert error <= TOLERANCE, f"{what}: relative difference {error:.1e}"


def train(model, inputs):
    """A step down the gradient makes the loss smaller, if it is neither too large nor lost in rounding."""
    parameters = list(model.parameters())

    def loss():
        torch.manual_seed(1)
        outputs = model(*inputs)
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        return sum(output.square().mean() for output in outputs)

    before = loss()
    before.backward()
    before = before.item()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not missing, f"no gradients: {missing}"
    assert all(bool(parameter.grad.isfinite().all()) for parameter in parameters), "gradients are not finite"
    norm = sum(parameter.grad.square().sum().item() for parameter in parameters)
    weights = [parameter.detach().clone() for parameter in parameters]
    for share in (1e-1, 1e-2, 1e-3):
        with torch.no_grad():
            for parameter, weight in zip(parameters, weights):
                parameter.copy_(weight)
        torch.optim.SGD(parameters, lr=share * before / norm).step()
        after = loss().item()
        if after < before:
            return
    raise AssertionError(f"no step down the gradient makes the loss of {before} smaller")


def to_onnx(program, inputs, expected, file):
    import onnxruntime

    torch.onnx.export(program, inputs, dynamo=True, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    named = {slot.name: value.numpy() for slot, value in zip(session.get_inputs(), inputs, strict=True)}
    close(torch.from_numpy(session.run(None, named)[0]), expected, "onnxruntime")


def main():
    name, small, manifest, trainable, *onnx = sys.argv[1:]
    model, inputs = example(name)
    with open(manifest) as file:
        manifest = json.load(file)
    program = torch.export.load(small)
    with torch.no_grad():
        dense = model(*inputs)
        model = masked(model, manifest)
        expected = model(*inputs)
        outputs = program.module()(*inputs)
    assert float((dense - expected).abs().max()) > 1e-3, "masking changes nothing, so that nothing is shown"
    close(outputs, expected, "masked and sliced")
    if name in ANY_BATCH:
        more = [torch.cat([value, value.flip(0), value]) for value in inputs]
        with torch.no_grad():
            close(program.module()(*more), model(*more), "another batch")
    before = sum(parameter.numel() for parameter in model.parameters())
    after = sum(parameter.numel() for parameter in program.parameters())
    assert after < 0.8 * before, f"{after} of {before} parameters are left"
    for file in onnx:
        to_onnx(program, inputs, outputs, file)
    train(program.module(), inputs)
    module = torch.export.load(trainable).module()
    statistics = {name: buffer.clone() for name, buffer in module.named_buffers() if name.endswith("running_mean")}
    assert bool(statistics) == any("running_mean" in name for name in model.state_dict()), "statistics are lost"
    train(module, inputs)
    for name, buffer in module.named_buffers():
        assert not (name in statistics and torch.equal(buffer, statistics[name])), f"{name} does not follow the data"


if __name__ == "__main__":
    main()
