#!/bin/sh
# Runs the demonstration with the libtorch of a Python that has torch 2.11.0; results go to results/.
#   ./run.sh [--python PROGRAM] [--device cpu|cuda] [arguments of the demonstration]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=python3
device=
out=
while [ $# -gt 0 ]; do
    case $1 in
        --python | --device | --out)
            [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
            case $1 in
                --python) python=$2 ;;
                --device) device=$2 ;;
                --out) out=$2 ;;
            esac
            shift 2
            ;;
        --) shift; break ;;
        *) break ;;
    esac
done

found=$("$python" -c '
import importlib.metadata, importlib.util
spec = importlib.util.find_spec("torch")
print(importlib.metadata.version("torch").split("+")[0])
print(spec.submodule_search_locations[0])
' 2>/dev/null) || { echo "run.sh: $python has no torch: pip install torch==2.11.0, or name another with --python" >&2; exit 1; }
version=$(printf '%s\n' "$found" | head -n 1)
torch=$(printf '%s\n' "$found" | tail -n 1)
if [ "$version" != 2.11.0 ]; then
    echo "run.sh: $python has torch $version, the demonstration needs 2.11.0; name another with --python" >&2
    exit 1
fi

if [ -z "$device" ]; then
    device=cpu
    if [ -e "$torch/lib/libtorch_cuda.so" ] && command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        device=cuda
    fi
    echo "running on $device" >&2
fi

mkdir -p "${out:=$here/results}"
LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
# A thread of libtorch that waits for another sleeps; by default it spins, which is slow on a machine that others use.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
exec "$here/bin/demo" --device "$device" --data "$here/data/fashion-mnist" --out "$out" "$@"
