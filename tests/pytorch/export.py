"""export.py MODEL FILE: writes a model as `.pt2`."""

import sys

import torch

from models import example

name, file = sys.argv[1:]
model, inputs = example(name)
torch.export.save(torch.export.export(model, inputs, strict=False), file)
