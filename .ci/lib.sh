# Sourced by each step: where artefacts go, which features there are, and how to get what a machine lacks.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Nothing of the caller's may colour the result: settings of Kafka clients come from the environment too.
while IFS='=' read -r name _; do
    case $name in KAFKA_VERSION | KAFKA_HEAP) ;; KAFKA_* | KCAT_*) unset "$name" ;; esac
done < <(env)
unset name RUSTFLAGS RUSTDOCFLAGS CARGO_BUILD_TARGET

# Everything that is built or fetched lies outside the clone and outlives it.
export OTTLA_CACHE=${OTTLA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ottla}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$OTTLA_CACHE/target}
export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
mkdir -p "$OTTLA_CACHE"

# Every feature but the two that compile C.
all_features=$(awk '/^\[/ { on = $0 == "[features]" } on && /^[a-z]/ { print $1 }' Cargo.toml |
    grep -vxE 'default|tls-ring|tls-aws-lc-rs' | paste -sd, -)

say() { printf '   %s\n' "$*"; }

# A step that cannot run here ends, loudly; with CI=true nothing may be skipped.
skip() {
    if [ "${CI:-}" = true ]; then
        echo "FAILED: with CI=true nothing may be skipped: $*" >&2
        exit 1
    fi
    echo "SKIPPED ${0##*/}: $*"
    exit 0
}

# need_command COMMAND PACKAGE: from Debian's packages with CI=true, else the developer is asked to.
need_command() {
    command -v "$1" >/dev/null && return
    get_package "$2"
    command -v "$1" >/dev/null || skip "no '$1' here (Debian's package $2)"
}

# need_library NAME PACKAGE: the same for what pkg-config knows by that name.
need_library() {
    need_command pkg-config pkg-config
    pkg-config --exists "$1" && return
    get_package "$2"
    pkg-config --exists "$1" || skip "no '$1' to compile with here (Debian's package $2)"
}

get_package() {
    [ "${CI:-}" = true ] && command -v apt-get >/dev/null || return 0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1"; } >"$OTTLA_CACHE/apt.log" 2>&1 ||
        cat "$OTTLA_CACHE/apt.log" >&2
}

# need_tool NAME VERSION: cargo's tools as PyPI has them, each in a folder of its own; prints the folder for PATH.
need_tool() {
    local home=$OTTLA_CACHE/tools/$1-$2
    if ! [ -x "$home/bin/$1" ]; then
        need_command python3 python3-venv
        rm -rf "$home"
        python3 -m venv "$home" && "$home/bin/pip" install --quiet "astral-dev-toolchain-$1==$2" >&2 ||
            { rm -rf "$home"; return 1; }
    fi
    echo "$home/bin"
}

# need_target TOOLCHAIN TARGET...: the standard library of other targets.
need_target() {
    local toolchain=$1 target
    shift
    for target; do
        rustup target list --installed --toolchain "$toolchain" | grep -qx "$target" ||
            rustup --quiet target add --toolchain "$toolchain" "$target"
    done
}

# The toolchain that a plain `cargo` uses.
toolchain() { rustup show active-toolchain | cut -d' ' -f1; }

need_nightly() {
    rustup toolchain list | grep -q '^nightly' || rustup --quiet toolchain install nightly --profile minimal
}

# What a real Kafka and the clients beside ours need, each with Debian's package of it. Of Java a JDK:
# a program of the tests is compiled as it starts.
kafka_needs=(javac:default-jdk-headless mvn:maven openssl:openssl kcat:kcat setpriv:util-linux flock:util-linux)

# Whether there is all of that; with CI=true it is fetched. Else $kafka_lacks says what is missing.
can_start_kafka() {
    local need
    kafka_lacks=
    for need in "${kafka_needs[@]}"; do
        if [ "${CI:-}" = true ]; then
            need_command "${need%%:*}" "${need##*:}"
        elif ! command -v "${need%%:*}" >/dev/null; then
            kafka_lacks+=" ${need%%:*}"
        fi
    done
    [ -z "$kafka_lacks" ]
}

# Starts a real Kafka that ends with this script; `await_kafka` then sets $KAFKA to its environment file.
start_kafka() {
    kafka_dir=$(mktemp -d "${TMPDIR:-/tmp}/ottla-gate.XXXXXX")
    # Substituted, so that it does not hold the writing end of its own input.
    exec 9> >(trap 'rm -rf "$kafka_dir"' EXIT; tests/kafka/run --dir "$kafka_dir" "$@" >"$kafka_dir/said" 2>&1)
    kafka_runner=$!
}

# Waits until it is ready. Meanwhile the step can build.
await_kafka() {
    while ! [ -e "$kafka_dir/env" ]; do
        kill -0 "$kafka_runner" 2>/dev/null || { cat "$kafka_dir/said" >&2; return 1; }
        sleep 0.2
    done
    export KAFKA=$kafka_dir/env
}

# Ends it and waits, so that nothing is left when the step is over.
stop_kafka() {
    exec 9>&-
    while kill -0 "$kafka_runner" 2>/dev/null; do sleep 0.1; done
}
