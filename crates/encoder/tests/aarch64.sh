#!/bin/sh
# The encoder's tests on aarch64, for a Debian x86_64 with rustup: built by Debian's compiler for that architecture and run
# by QEMU. Their packages (220 MB) are unpacked below target/, and never installed. Arguments go to the tests.
set -eu
cd "$(dirname "$0")/../.."
lld=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
here=${CARGO_TARGET_DIR:-$PWD/target}/aarch64
lib=$here/root/usr/lib
mkdir -p "$here/lists/partial" "$here/archives/partial" "$here/debs" "$here/root"

if ! [ -e "$here/complete" ]; then
    for suite in trixie trixie-backports; do # A compiler as new as Cargo.toml asks for is among the backports.
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main"
    done > "$here/sources.list"
    : > "$here/status" # Nothing counts as installed.
    cat > "$here/apt.conf" <<END
Dir { State "$here"; State::status "$here/status"; Cache "$here"; };
Dir::Etc { sourcelist "$here/sources.list"; sourceparts "/dev/null"; preferencesparts "/dev/null"; };
APT { Architecture "amd64"; Architectures { "amd64"; "arm64"; }; Default-Release "trixie-backports"; Sandbox::User "root"; };
END
    export APT_CONFIG="$here/apt.conf"
    apt-get --quiet update
    needs=$(apt-cache depends --recurse --important libstd-rust-dev:amd64 | grep '^[a-z]')
    (cd "$here/debs" && apt-get --quiet download $needs rustc qemu-user libstd-rust-dev:arm64 libc6-dev:arm64 libgcc-14-dev:arm64)
    for package in "$here"/debs/*.deb; do dpkg-deb --extract "$package" "$here/root"; done
    # The compiler runs on the C library that it was built for.
    printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" --sysroot "%s" "$@"\n' "$lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" \
        "$lib/x86_64-linux-gnu" "$here/root/usr/bin/rustc" "$here/root/usr" > "$here/rustc"
    printf '#!/bin/sh\n[ "$1" != -flavor ] || shift 2\nexec "%s" -flavor gnu --sysroot="%s" -L"%s" -L"%s" "%s" "%s" "$@" "%s"\n' \
        "$lld" "$here/root" "$lib/aarch64-linux-gnu" "$lib/gcc/aarch64-linux-gnu/14" \
        "$lib/aarch64-linux-gnu/crt1.o" "$lib/aarch64-linux-gnu/crti.o" "$lib/aarch64-linux-gnu/crtn.o" > "$here/ld.lld"
    chmod +x "$here/rustc" "$here/ld.lld"
    touch "$here/complete"
fi
export RUSTC="$here/rustc" CARGO_TARGET_DIR="$here/build"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="$here/ld.lld"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Ctarget-feature=+crt-static
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$here/root/usr/bin/qemu-aarch64"
exec cargo test --locked --package encoder --package simd --lib --target aarch64-unknown-linux-gnu -- "$@"
