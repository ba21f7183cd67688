# For scripts that train on the CPU, which read this with `.`: a step allocates and frees gigabytes, which jemalloc keeps
# (docs/training.md).
# shellcheck shell=sh
jemalloc=$(ldconfig -p 2>/dev/null | awk '/libjemalloc\.so\.2 / { print $NF; exit }') || true
if [ -n "$jemalloc" ]; then
    export LD_PRELOAD="$jemalloc"
    export MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always,lg_extent_max_active_fit:20,narenas:4
elif [ "$(uname)" = Linux ]; then
    echo "with jemalloc (Debian: libjemalloc2) a step would be about a tenth faster" >&2
fi
