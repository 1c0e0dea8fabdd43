"""One job of `cargo xtask zoo`, whose result is the last line of the standard output, as JSON."""

import argparse
import json
import logging
import os
import resource
import time
import warnings

import torch

from . import families
from .example import train_one_step


def export(family, model, file):
    example = families.example(family, model)
    begin = time.perf_counter()
    program = torch.export.export(example.model, example.args, example.kwargs, strict=False)
    torch.export.save(program, file)
    return {"export_s": time.perf_counter() - begin}


def train(family, model, file):
    """Loads what is left of a model, and trains it on the example inputs that the archive carries."""
    if family == "huggingface":
        # The classes of its outputs are known to torch.export once the model's module is imported.
        families.example(family, model)
    program = torch.export.load(file)
    args, kwargs = program.example_inputs
    return train_one_step(program.module(), args, kwargs)


def torch_pruning(family, model, _file):
    from . import rival

    return rival.judge(families.example(family, model))


def versions():
    from importlib.metadata import version

    packages = ("torch", "torchvision", "timm", "transformers", "torch-pruning")
    return {package: version(package) for package in packages}


def limit_memory():
    """What grows without bounds ends with an error of its own, and not with the machine."""
    limit = int(os.environ.get("ZOO_MEMORY_GIB", "10")) << 30
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def main():
    limit_memory()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m zoo", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("versions")
    listing = jobs.add_parser("names")
    listing.add_argument("family", choices=families.FAMILIES)
    listing.add_argument("--quick", action="store_true")
    work = {"export": export, "train": train, "torch-pruning": torch_pruning}
    for name in work:
        job = jobs.add_parser(name)
        job.add_argument("family", choices=families.FAMILIES)
        job.add_argument("model")
        job.add_argument("file", help="the archive that is written or read")
    arguments = parser.parse_args()
    if arguments.job == "versions":
        result = versions()
    elif arguments.job == "names":
        result = families.names(arguments.family, arguments.quick)
    else:
        result = work[arguments.job](arguments.family, arguments.model, arguments.file)
    print("\n" + json.dumps(result))


main()
