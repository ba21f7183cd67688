#!/usr/bin/env bash
# Installs what Vitrail needs and is not there yet: system packages (FFmpeg, Cairo, a font), libtorch from PyPI's wheels,
# and the library beside it that Sources/TorchShim is compiled into. See docs/setup.md.
#
#   Tools/setup.sh                    what is missing, and nothing else
#   CUDA=1 Tools/setup.sh             libtorch with its CUDA libraries (Linux x86-64)
#   LIBTORCH=/path Tools/setup.sh     use this libtorch (a folder with lib/ and include/)
#
# Everything but the system packages goes into one folder of the user's, which all programs share: ~/.cache/vitrail, on
# macOS ~/Library/Caches/vitrail, or VITRAIL_RUNTIME. Programs look for it there (Sources/CTorch/Loader.c).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=2.11.0
platform=$(uname -s)-$(uname -m)
flavour=cpu
if [ -n "${CUDA:-}" ] && [ "$CUDA" != 0 ]; then flavour=cuda; fi

suffix=so caches=.cache/vitrail
if [ "$(uname -s)" = Darwin ]; then suffix=dylib caches=Library/Caches/vitrail; fi
runtime=${VITRAIL_RUNTIME:-${HOME:-$(eval echo ~)}/$caches}
case $runtime in /*) ;; *) runtime=$PWD/$runtime ;; esac
libtorch=$runtime/libtorch-$version
stamp=$libtorch/.unpacked-by-setup  # tells our own copy from one a user put there
offline=$runtime/wheels             # wheels a user brought along; never changed
downloads=$runtime/downloads
staging=$runtime/libtorch.partial
log=$runtime/setup.log

say() { echo "setup: $*"; }
fail() { echo "setup: error: $*" >&2; exit 1; }

# The wheels to unpack, with their SHA-256. libtorch is the same in a release's wheels for all Python
# versions, so one of them, cp311, serves every machine.
wheels() {
    case $platform in
    Linux-x86_64)
        echo "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl
            7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
            4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl"
        [ "$flavour" = cpu ] ||
            echo "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171 nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl
            ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575 nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
            d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl
            6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3 nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
            08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44 nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
            1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl
            0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112 nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl
            2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
            25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl
            e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42 nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl
            13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
            290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80 nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
            4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4 nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl"
        ;;
    Linux-aarch64)
        echo "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6 torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl
            ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55 nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
            796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151 nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl"
        ;;
    Darwin-arm64)
        echo "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4 torch-2.11.0-cp311-cp311-macosx_11_0_arm64.whl"
        ;;
    esac
}

# MARK: What is there already

# The version a libtorch folder's headers state.
version_of() {
    awk '/define TORCH_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' \
        "$1/include/torch/headeronly/version.h" 2>/dev/null || true
}

is_libtorch() {
    [ -e "$1/lib/libtorch_cpu.so" ] || [ -e "$1/lib/libtorch_cpu.dylib" ]
}

# True when libtorch can be used as it is. A copy without our stamp is a user's own.
libtorch_is_ready() {
    is_libtorch "$libtorch" || return 1
    if [ -f "$stamp" ]; then
        case $(cat "$stamp") in
        "$version $platform $flavour" | "$version $platform cuda") return 0 ;;
        *) return 1 ;;
        esac
    fi
    [ "$(version_of "$libtorch")" = "$version" ] ||
        fail "$libtorch is libtorch $(version_of "$libtorch"), $version is needed: move it away and run again"
    [ "$flavour" = cpu ] || [ -e "$libtorch/lib/libtorch_cuda.so" ] ||
        fail "$libtorch has no libtorch_cuda.so and was not made by setup: move it away and run again"
}

use_own_libtorch() {
    is_libtorch "$LIBTORCH" || fail "LIBTORCH=$LIBTORCH has no lib/libtorch_cpu.so (or .dylib)"
    [ "$(version_of "$LIBTORCH")" = "$version" ] ||
        fail "LIBTORCH=$LIBTORCH is version '$(version_of "$LIBTORCH")', $version is needed"
    if [ "$LIBTORCH" -ef "$libtorch" ]; then
        return 0
    elif [ -L "$libtorch" ]; then
        rm "$libtorch"
    elif [ -f "$stamp" ]; then
        rm -rf "$libtorch"
    elif [ -e "$libtorch" ]; then
        fail "$libtorch is in the way and was not made by setup: move it away and run again"
    fi
    ln -s "$(cd "$LIBTORCH" && pwd)" "$libtorch"
    say "$libtorch now points at $LIBTORCH"
}

# True when a pinned wheel is neither downloaded nor brought along.
needs_download() {
    local file
    for file in $(wheels | awk '{ print $2 }'); do
        [ -f "$offline/$file" ] || [ -f "$downloads/$file" ] || return 0
    done
    return 1
}

# MARK: System packages

libraries="libavcodec libavformat libavutil libswscale cairo"

debian_packages() {
    local wanted missing="" installed package
    wanted="libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libcairo2-dev libgloo-dev fonts-dejavu-core"
    # shellcheck disable=SC2086 # one word for each package
    installed=$(dpkg-query -W -f='${Package} ${Status}\n' $wanted 2>/dev/null |
        awk '$4 == "installed" { print $1 }') || true
    for package in $wanted; do
        case " "$installed" " in *[[:space:]]"$package"[[:space:]]*) ;; *) missing="$missing $package" ;; esac
    done
    command -v pkg-config >/dev/null || missing="$missing pkg-config"
    compgen -G '/usr/include/c++/*/cstddef' >/dev/null || missing="$missing g++"
    if [ "$1" = with-python ]; then
        command -v python3 >/dev/null || missing="$missing python3"
        if [ "$2" = with-pip ] && ! python3 -m pip --version >/dev/null 2>&1; then
            missing="$missing python3-pip"
        fi
    fi
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || fail "Debian packages are missing; run: sudo apt-get install$missing"

    say "installing$missing"
    # shellcheck disable=SC2086
    apt_install $missing || { apt-get -q update >>"$log" 2>&1 && apt_install $missing; } ||
        fail "apt-get could not install$missing: $(grep '^E:' "$log" | tail -1 || true) (log: $log)"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >>"$log" 2>&1
}

other_linux_packages() {
    local library
    for library in $libraries; do
        pkg-config --exists "$library" 2>/dev/null ||
            fail "pkg-config cannot find $library: install the development packages of FFmpeg and Cairo, pkg-config and the DejaVu fonts"
    done
    if [ "$1" = with-python ]; then
        command -v python3 >/dev/null || fail "python3 with pip is needed to fetch libtorch: install it"
    fi
}

homebrew_packages() {
    local missing=""
    command -v pkg-config >/dev/null || missing="$missing pkg-config"
    pkg-config --exists libavcodec libavformat libavutil libswscale 2>/dev/null || missing="$missing ffmpeg"
    pkg-config --exists cairo 2>/dev/null || missing="$missing cairo"
    compgen -G "$HOME/Library/Fonts/DejaVuSans.ttf" >/dev/null ||
        compgen -G '/Library/Fonts/DejaVuSans.ttf' >/dev/null || missing="$missing font-dejavu"
    if [ "$1" = with-python ]; then
        python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3"
    fi
    [ -n "$missing" ] || return 0
    command -v brew >/dev/null || fail "install Homebrew (https://brew.sh), then run: brew install$missing"
    say "installing$missing"
    # shellcheck disable=SC2086
    brew install $missing >>"$log" 2>&1 || fail "brew could not install$missing (log: $log)"
}

# MARK: libtorch

# Of all files together.
sha256() { cat "$@" | if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }

# Downloads one wheel into FILE.part, going on where an earlier run stopped. Which index to ask, its
# credentials, a proxy and certificates are taken from pip's settings. pip itself cannot go on with what an
# earlier run left, and `pip install --dry-run --report` downloads a whole wheel to tell its address.
download() {
    python3 - "$1" "$downloads/$1.part" <<'PYTHON'
import ast, base64, errno, fcntl, html, http.client, netrc, os, re, ssl, subprocess, sys, time
from urllib.error import HTTPError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

file, part = sys.argv[1:]

settings = {}
for line in subprocess.check_output([sys.executable, "-m", "pip", "config", "list"]).decode().splitlines():
    key, equals, value = line.partition("=")
    if equals:
        settings[key] = ast.literal_eval(value)

def setting(name):
    keys = [section + "." + name for section in (":env:", "download", "global")]
    return next((settings[key] for key in keys if key in settings), "")

indexes = [setting("index-url") or "https://pypi.org/simple"] + setting("extra-index-url").split()
cert = setting("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or None
trust = {"capath" if os.path.isdir(cert) else "cafile": cert} if cert else {}
handlers = [HTTPSHandler(context=ssl.create_default_context(**trust))]
if setting("proxy"):
    handlers.append(ProxyHandler({"http": setting("proxy"), "https": setting("proxy")}))
opener = build_opener(*handlers)

def credentials(host):
    for index in map(urlsplit, indexes):
        if index.username and index.netloc.rpartition("@")[2] == host:
            return unquote(index.username), unquote(index.password or "")
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host.partition(":")[0])
        return entry and (entry[0], entry[2])
    except (OSError, netrc.NetrcParseError):
        return None

def get(url, start=0):
    host = urlsplit(url).netloc.rpartition("@")[2]
    request = Request(urlsplit(url)._replace(netloc=host).geturl())
    if start:
        request.add_header("Range", "bytes=%d-" % start)
    login = credentials(host)
    if login:
        encoded = base64.b64encode(":".join(login).encode()).decode()
        request.add_unredirected_header("Authorization", "Basic " + encoded)
    return opener.open(request, timeout=60)

def host_and(problem, url):
    return "%s: %s" % (urlsplit(url).hostname, getattr(problem, "reason", None) or problem)

def find():
    problem = "the index does not have it"
    for index in indexes:
        page = index.rstrip("/") + "/" + file.partition("-")[0].replace("_", "-") + "/"
        try:
            with get(page) as answer:
                links = re.findall(r"""href\s*=\s*["']([^"']+)""", answer.read().decode())
                page = answer.geturl()
        except (OSError, http.client.HTTPException) as failure:
            problem = host_and(failure, page)
            continue
        for link in map(html.unescape, links):
            if unquote(urlsplit(link).path).rpartition("/")[2] == file:
                return urljoin(page, link)
    sys.exit(problem)

def show(done, total, shown):
    """Says how much is there: on a terminal always in the same line, elsewhere every 100 MB."""
    mb = done // 1000000
    if sys.stdout.isatty():
        print("\rsetup: %d of %d MB" % (mb, total // 1000000), end="\n" if done == total else "", flush=True)
    elif mb // 100 != shown // 100:
        print("setup: %d of %d MB" % (mb, total // 1000000), flush=True)
    return mb

def receive(url, target):
    start = target.seek(0, os.SEEK_END)
    with get(url, start) as answer:
        if start and answer.status != 206:
            start = 0
            target.truncate(0)
        if start:
            print("setup: going on after %d MB" % (start // 1000000), flush=True)
        total = start + int(answer.headers["Content-Length"])
        done, shown = start, start // 1000000
        while done < total:
            block = answer.read(1 << 20)
            if not block:
                raise ConnectionError("the connection was closed early")
            target.write(block)
            done += len(block)
            if done // 1000000 != shown or done == total:
                shown = show(done, total, shown)

url = find()
with open(part, "ab") as target:
    try:
        fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("another run is still downloading it")
    for attempt in range(5):
        try:
            receive(url, target)
            break
        except (OSError, http.client.HTTPException) as problem:
            if isinstance(problem, HTTPError) and problem.code == 416:
                break  # all of it is there already
            if attempt == 4 or isinstance(problem, HTTPError) or problem.args[:1] == (errno.ENOSPC,):
                sys.exit(host_and(problem, url))
            time.sleep(1)
PYTHON
}

fetch() {
    local sum=$1 file=$2 folder=$downloads
    if [ -f "$offline/$file" ]; then folder=$offline; fi
    if [ -f "$folder/$file" ] && [ "$(sha256 "$folder/$file")" != "$sum" ]; then
        [ "$folder" = "$downloads" ] || fail "$folder/$file does not have the SHA-256 $sum"
        rm "$folder/$file"
    fi
    if ! [ -f "$folder/$file" ]; then
        say "downloading $file"
        download "$file" 2>>"$log" || fail "cannot download $file: $(tail -1 "$log") (log: $log)"
        [ "$(sha256 "$downloads/$file.part")" = "$sum" ] ||
            { rm "$downloads/$file.part"; fail "$file as downloaded does not have the SHA-256 $sum: run again"; }
        mv "$downloads/$file.part" "$downloads/$file"
    fi
    wheel=$folder/$file
}

# Unpacks headers and shared libraries of a wheel, leaving out what a program in C++ does not need:
# the Python binding, static libraries and, without CUDA=1, everything that only CUDA uses.
unpack() {
    python3 - "$1" "$staging" "$flavour" <<'PYTHON'
import os, re, shutil, sys, zipfile

wheel, destination, flavour = sys.argv[1:]
skip = r"torch_python|libshm|global_deps|\.alt\."
if flavour == "cpu":
    # libtorch.so is nothing but a link to libtorch_cpu.so and libtorch_cuda.so.
    skip += r"|_cuda|nvrtc|nvshmem|libtorch\.so|nvperf|pcsampling|libcheckpoint"

with zipfile.ZipFile(wheel) as archive:
    for item in archive.infolist():
        name = item.filename
        header = re.fullmatch(r"torch/(include/.+[^/])", name)
        library = re.fullmatch(r"(?:torch|nvidia/\w+)/(lib/[^/]+\.(?:so|dylib)[^/]*)", name)
        if header:
            path = header[1]
        elif library and not re.search(skip, name):
            path = library[1]
        else:
            continue
        path = os.path.join(destination, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(item) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
PYTHON
}

install_libtorch() {
    local needed free missing sum file used=()
    [ -n "$(wheels)" ] ||
        fail "no libtorch $version for $platform: Linux on x86-64 or arm64, or macOS on arm64, is needed"
    [ "$flavour" = cpu ] || [ "$platform" = Linux-x86_64 ] || fail "CUDA=1 is for Linux on x86-64 only"

    mkdir -p "$downloads"
    needed=2
    if [ "$flavour" = cuda ]; then needed=8; fi
    free=$(df -Pk "$runtime" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$needed" ] || fail "libtorch needs $needed GB of free disk space in $runtime, $free GB are free"

    if needs_download && ! python3 -m pip --version >/dev/null 2>&1; then
        fail "python3 has no pip, whose settings say where libtorch comes from: install pip, or put the wheels in $offline"
    fi

    rm -rf "$staging"  # what a killed run left
    mkdir -p "$staging"
    # Fetch all before unpacking any: what has been fetched once is kept if a later one fails.
    while read -r sum file; do
        fetch "$sum" "$file" </dev/null
        used+=("$wheel")
    done < <(wheels)
    say "unpacking libtorch $version ($flavour)"
    for wheel in "${used[@]}"; do
        unpack "$wheel" 2>>"$log" || fail "cannot unpack $wheel: $(tail -1 "$log") (log: $log)"
    done
    if command -v ldd >/dev/null; then
        missing=$(LC_ALL=C ldd "$staging/lib/libtorch_cpu.so" | awk '/not found/ { printf " %s", $1 }')
        [ -z "$missing" ] || fail "libtorch_cpu.so needs$missing, which this machine does not have"
    fi
    echo "$version $platform $flavour" >"$staging/$(basename "$stamp")"
    rm -rf "$libtorch"
    mv "$staging" "$libtorch"
    rm -rf "$downloads"
    say "libtorch $version ($flavour) is in $libtorch"
}

# MARK: The library beside libtorch

digest_of() { sha256 "$@" | cut -c 1-12; }

# What a program asks for: the digest of the sources, which is compiled into it. A changed source changes it here; a
# version of the package has it right.
shim_digest() {
    local header=Sources/CTorch/ShimDigest.h digest
    digest=$(digest_of Sources/CTorch/include/CTorch.h Sources/TorchShim/*)
    if ! grep -q "\"$digest\"" "$header" 2>/dev/null; then
        printf '// Written by Tools/setup.sh: which build of Sources/TorchShim goes with these sources.\n' >"$header"
        printf '#define VT_SHIM_DIGEST "%s"\n' "$digest" >>"$header"
    fi
    echo "$digest"
}

# Clang, because the kernels use its vectors; the Swift toolchain has one.
find_clang() {
    local programs
    programs=$(Tools/toolchain.sh 2>/dev/null) || true
    if [ -x "$programs/clang++" ]; then
        echo "$programs/clang++"
    else
        command -v clang++ || fail "no clang++: it comes with the Swift toolchain from https://www.swift.org/install"
    fi
}

build_shim() {
    local digest library clang flags source object headers cores started=() objects=() process
    digest=$(shim_digest)
    library=$runtime/libvitrail-torch-$digest.$suffix
    [ ! -e "$library" ] || return 0
    clang=$(find_clang)
    say "compiling the library beside libtorch"
    flags=(-std=c++17 -O2 -fPIC -fvisibility=hidden -Wall -ISources/CTorch/include
        -isystem "$libtorch/include" -isystem "$libtorch/include/torch/csrc/api/include")
    # An object is kept for the next build, under a name that says what it was made of.
    headers=$(digest_of Sources/CTorch/include/CTorch.h Sources/TorchShim/*.h <(echo "$version ${flags[*]}" && "$clang" --version))
    cores=$(getconf _NPROCESSORS_ONLN)
    mkdir -p "$runtime/objects"
    for source in Sources/TorchShim/*.cpp; do
        object=$runtime/objects/$(basename "$source" .cpp)-$(digest_of "$source")-$headers.o
        objects+=("$object")
        if ! [ -e "$object" ]; then
            while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do sleep 0.1; done
            { "$clang" "${flags[@]}" -c "$source" -o "$object.$$" && mv "$object.$$" "$object"; } >>"$log" 2>&1 &
            started+=($!)
        fi
    done
    for process in ${started[@]+"${started[@]}"}; do
        wait "$process" || fail "the library beside libtorch cannot be compiled: $(grep -m 1 'error:' "$log" || tail -1 "$log") (log: $log)"
    done
    case $suffix in
    so) flags=(-Wl,-Bsymbolic -Wl,-rpath,"\$ORIGIN/libtorch-$version/lib") ;;
    dylib) flags=(-Wl,-rpath,"@loader_path/libtorch-$version/lib") ;;
    esac
    "$clang" -shared "${objects[@]}" -o "$library.$$" -L"$libtorch/lib" -ltorch_cpu -lc10 "${flags[@]}" >>"$log" 2>&1 ||
        fail "the library beside libtorch cannot be linked: $(tail -1 "$log") (log: $log)"
    mv "$library.$$" "$library"
    for object in "$runtime"/objects/*; do
        case " ${objects[*]} " in *" $object "*) ;; *) rm -f "$object" ;; esac
    done
}

# MARK: The steps

command -v swift >/dev/null || fail "no Swift toolchain: install Swift 6.1 or newer, https://www.swift.org/install"
mkdir -p "$runtime" || fail "cannot make the folder $runtime"
if command -v flock >/dev/null; then  # one set-up at a time, for the folder is shared
    exec 9>"$runtime/.lock"
    flock 9
fi
: >"$log"

if [ -n "${LIBTORCH:-}" ]; then use_own_libtorch; fi

python="" pip=""
if ! libtorch_is_ready; then
    python=with-python
    if needs_download; then pip=with-pip; fi
fi
if [ "$(uname -s)" = Darwin ]; then
    homebrew_packages "$python"
elif command -v dpkg-query >/dev/null; then
    debian_packages "$python" "$pip"
else
    other_linux_packages "$python"
fi
if [ -n "$python" ]; then install_libtorch; fi
build_shim
