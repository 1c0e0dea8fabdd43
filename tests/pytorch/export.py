"""export.py MODEL FILE: writes a model as `.pt2`."""

import sys

import torch

from models import ANY_BATCH, example

name, file = sys.argv[1:]
model, inputs = example(name)
shapes = ({0: torch.export.Dim("batch")},) * len(inputs) if name in ANY_BATCH else None
torch.export.save(torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False), file)
