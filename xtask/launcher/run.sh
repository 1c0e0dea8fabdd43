#!/bin/sh
# Runs the benchmarks with the libtorch of a Python that has torch 2.11.0; results go to results/.
#   ./run.sh [--python PROGRAM | --libtorch DIR] [--device cpu|cuda|cuda:N] [--out DIR] [--quick] [--only demo|gpu|skip]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=python3
torch=
device=
out=$here/results
quick=
only='gpu skip demo'
usage() {
    sed -n '2,3s/^# *//p' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
        --python | --libtorch | --device | --out | --only)
            [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
            case $1 in
                --python) python=$2 ;;
                --libtorch) torch=$2 ;;
                --device) device=$2 ;;
                --out) out=$2 ;;
                --only) only=$2 ;;
            esac
            shift 2
            ;;
        --quick) quick=--quick; shift ;;
        *) echo "run.sh: $1 is no option" >&2; usage ;;
    esac
done
for program in $only; do
    [ -x "$here/bin/$program" ] || { echo "run.sh: there is no $program; --only takes one of demo, gpu and skip" >&2; exit 2; }
done

if [ -z "$torch" ]; then
    found=$("$python" -c '
import importlib.metadata, importlib.util
spec = importlib.util.find_spec("torch")
print(importlib.metadata.version("torch").split("+")[0])
print(spec.submodule_search_locations[0])
' 2>/dev/null) || { echo "run.sh: $python has no torch: pip install torch==2.11.0, or name another with --python" >&2; exit 1; }
    version=$(printf '%s\n' "$found" | head -n 1)
    torch=$(printf '%s\n' "$found" | tail -n 1)
    if [ "$version" != 2.11.0 ]; then
        echo "run.sh: $python has torch $version, the benchmarks need 2.11.0; name another with --python" >&2
        exit 1
    fi
fi
[ -d "$torch/lib" ] || { echo "run.sh: $torch has no folder lib: name the folder of libtorch 2.11.0 with --libtorch" >&2; exit 1; }
LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
# A thread of libtorch that waits for another sleeps; by default it spins, which is slow on a machine that others use.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

if [ -z "$device" ]; then
    # The program knows whether libtorch finds a GPU.
    device=$("$here/bin/gpu" --print-device)
    echo "running on $device" >&2
fi
name=$(printf '%s' "$device" | tr : -)

mkdir -p "$out"
failed=
for program in $only; do
    printf '\n== %s\n' "$program"
    case $program in
        gpu) set -- --out "$out/gpu/$name.json" ;;
        skip) set -- --data "$here/data/fashion-mnist" --results "$out/skip" --docs - ;;
        demo) set -- --data "$here/data/fashion-mnist" --out "$out/demo" ;;
    esac
    # One that fails does not keep the others from running.
    "$here/bin/$program" --device "$device" $quick "$@" || failed="$failed $program"
done
if [ -n "$failed" ]; then
    echo "run.sh: failed:$failed" >&2
    exit 1
fi
printf '\nresults: %s\n' "$out"
