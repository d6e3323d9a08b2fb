# Shared by run and test, which set `here` to the project's folder: the virtual environment and what is locked for it.
# A lock is ready when its hash and this folder's path stand in .venv/.synfin-LOCK.

venv=$here/.venv

stamp() {
    sum=$(sha256sum <"$here/requirements/$1.txt")
    stamp="${sum%% *} $here"
}

ready() { # LOCK
    stamp "$1"
    have=
    [ -r "$venv/.synfin-$1" ] && read -r have <"$venv/.synfin-$1" || :
    [ "$have" = "$stamp" ]
}

die() {
    echo "$@" >&2
    exit 1
}

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    die "Python 3.11 or later is needed and was not found; name it with PYTHON=/path/to/python3"
}

make_venv() {
    find_python
    if command -v uv >/dev/null; then
        uv venv -q --python "$python" "$venv"
    elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$venv"
    else
        die "Python's venv module is incomplete here: apt install python3-venv"
    fi
}

add() { # LOCK: brings .venv up to requirements/LOCK.txt
    ready "$1" && return
    stamp "$1"
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        rm -rf "$venv"
        make_venv
    }
    echo "setting up .venv from requirements/$1.txt ..." >&2
    if command -v uv >/dev/null; then
        VIRTUAL_ENV=$venv uv pip install -q --compile-bytecode --require-hashes --no-deps -r "$here/requirements/$1.txt" >&2
    else
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
            -r "$here/requirements/$1.txt" >&2
    fi
    for site in "$venv"/lib/python3.*/site-packages; do
        echo "$here" >"$site/synfin-checkout.pth"
    done
    echo "$stamp" >"$venv/.synfin-$1"
}
