"""One job of `cargo xtask compare`."""

import argparse
import json
import logging
import resource
import warnings

# What grows without bounds ends with an error of its own, and not with the machine.
MEMORY_BYTES = 8 << 30


def versions():
    from importlib.metadata import version

    packages = ("torch", "torchvision", "torch-pruning")
    print(json.dumps({package: version(package) for package in packages}))


def main():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("versions", help="prints the versions of what is compared with")
    export = jobs.add_parser("export", help="writes a model as an archive")
    serve = jobs.add_parser("serve", help="answers requests, a line of JSON each, on one model")
    for job in (export, serve):
        job.add_argument("model", help="its name in torchvision")
    export.add_argument("archive", help="the archive that is written")
    serve.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.job == "versions":
        versions()
    elif arguments.job == "export":
        from . import models

        models.export(models.build(arguments.model), arguments.archive)
    else:
        from . import peer

        peer.serve(arguments.model, arguments.threads)


main()
