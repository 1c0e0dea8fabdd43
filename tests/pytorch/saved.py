"""saved.py FOLDER NAME...: what PyTorch says of networks that were written in tch and saved as `.pt2`.

FOLDER/NAME.pt2 returns on its sample inputs the numbers of FOLDER/NAME.json, also once it is exported again, and
FOLDER/NAME.train.pt2 trains for a step. The first of them is run by onnxruntime too.
"""

import json
import pathlib
import sys

import torch

from judge import close, to_onnx, train


def outputs(program, inputs):
    with torch.no_grad():
        results = program.module()(*inputs)
    return [results] if isinstance(results, torch.Tensor) else list(results)


def main():
    folder, *names = sys.argv[1:]
    for name in names:
        file = pathlib.Path(folder, name)
        program = torch.export.load(file.with_suffix(".pt2"))
        inputs, keywords = program.example_inputs
        assert not keywords
        with open(file.with_suffix(".json")) as numbers:
            expected = [torch.tensor(output["numbers"]).reshape(output["shape"]) for output in json.load(numbers)]
        again = torch.export.export(program.module(), inputs)
        for made in (program, again):
            for output, wanted in zip(outputs(made, inputs), expected, strict=True):
                close(output, wanted, name)
        if name == names[0]:
            to_onnx(program, inputs, expected[0], str(file.with_suffix(".onnx")))
        train(torch.export.load(file.with_suffix(".train.pt2")).module(), inputs)


main()
