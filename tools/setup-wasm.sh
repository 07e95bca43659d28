#!/usr/bin/env bash
# Makes it possible to build policy modules (wasm32-unknown-unknown), and prints the compiler to build them with:
#
#     RUSTC=$(tools/setup-wasm.sh) cargo build --release --target wasm32-unknown-unknown --manifest-path plugins/Cargo.toml
#
# Only the workspace of the modules is built with that compiler; the gateway stays on the toolchain that rustup gives.
#
# 1. The target is there already: nothing to do.
# 2. `rustup target add`: the ordinary way, seconds.
# 3. Where rustup's downloads can not be reached, but Debian's can: the security suite carries a newer rustc for its
#    browsers (rustc-web), with its sources. The compiler is unpacked beside the system into a cache folder (nothing is
#    installed), and the standard library for wasm is built from those sources, once. It needs rust-lld to link, which
#    rustup's toolchain has. About 70 s and 480 MB; amd64 only. The compiler's own release is older than what rustup may
#    have: that is fine, because modules and host meet in WebAssembly and nowhere else.
#
# SETUP_WASM_FORCE_DEBIAN=1 takes the third way even where the first two would do, to test it.
# GATEWRIGHT_WASM_TOOLCHAIN names the cache folder.
set -euo pipefail

target=wasm32-unknown-unknown
cache=${GATEWRIGHT_WASM_TOOLCHAIN:-${XDG_CACHE_HOME:-$HOME/.cache}/gatewright/wasm-toolchain}

say() { echo "setup-wasm: $*" >&2; }
fail() { say "$*"; say "install the target by hand: rustup target add $target"; exit 1; }

# Does this compiler have a standard library for the target?
has_std() {
  local libraries
  libraries=$("$1" --print target-libdir --target "$target" 2>/dev/null) || return 1
  [ -n "$(find "$libraries" -name 'libstd-*.rlib' -print -quit 2>/dev/null)" ]
}

if [ -z "${SETUP_WASM_FORCE_DEBIAN:-}" ]; then
  if has_std rustc; then echo rustc; exit; fi
fi
if [ -x "$cache/rustc" ] && has_std "$cache/rustc"; then echo "$cache/rustc"; exit; fi
if [ -z "${SETUP_WASM_FORCE_DEBIAN:-}" ] && command -v rustup >/dev/null; then
  say "adding $target with rustup"
  timeout 300 rustup target add "$target" >&2 || say "rustup could not: trying Debian's packages"
  if has_std rustc; then echo rustc; exit; fi
fi

host=$(rustc -vV | sed -n 's/^host: //p')
[ "$host" = x86_64-unknown-linux-gnu ] || fail "Debian's packages are used on amd64 only, this is $host"
command -v apt-get >/dev/null || fail "neither rustup nor apt-get can provide $target"
lld=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
[ -x "$lld" ] || fail "this toolchain has no rust-lld to link modules with"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as its own user

say "downloading Debian's rustc-web and its sources (about 140 MB)"
if [ -z "$(apt-cache pkgnames rustc-web)" ]; then apt-get update -q >&2 || true; fi
[ -n "$(apt-cache pkgnames rustc-web)" ] || fail "this release of Debian or Ubuntu has no rustc-web"
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances rustc-web | grep -E '^(rustc-web|libstd-rust-web|libllvm)' | sort -u)
# shellcheck disable=SC2086 # a list of names
(cd "$work" && apt-get download -q $packages rust-web-src >&2)

say "unpacking into $cache"
rm -rf "$cache"
mkdir -p "$cache" "$work/source"
for package in "$work"/*.deb; do
  case $package in
    *rust-web-src*) dpkg-deb --fsys-tarfile "$package" \
      | tar -x -C "$work/source" --wildcards './usr/src/*/library/*' './usr/lib/*' ;;
    *) dpkg -x "$package" "$cache" ;;
  esac
done
# build-std looks for the sources below the compiler's own sysroot.
mv "$work/source/usr/src" "$cache/usr/src"
mkdir -p "$cache/usr/lib/rustlib/src" "$cache/usr/lib/rustlib/$host/bin"
ln -sfn "$(cd "$cache/usr/src" && ls -d "$PWD"/rustc-*)" "$cache/usr/lib/rustlib/src/rust"
ln -sf "$lld" "$cache/usr/lib/rustlib/$host/bin/rust-lld"
printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\nexec %s "$@"\n' \
  "$cache/usr/lib/x86_64-linux-gnu" "$cache/usr/bin/rustc" > "$cache/rustc"
chmod +x "$cache/rustc"

say "building the standard library for $target, once"
mkdir -p "$work/sysroot/src"
echo '#![no_std]' > "$work/sysroot/src/lib.rs"
cat > "$work/sysroot/Cargo.toml" <<'TOML'
[package]
name = "gatewright-sysroot"
version = "0.0.0"
edition = "2021"

[profile.release]
opt-level = "s"
codegen-units = 1
panic = "abort"

[workspace]
TOML
# The unstable flag is used here and in no build of a module: afterwards the sysroot is like any other. With the bitcode
# embedded, modules can use link-time optimisation.
(cd "$work/sysroot" && env -u CARGO_ENCODED_RUSTFLAGS -u RUSTFLAGS RUSTC="$cache/rustc" RUSTC_BOOTSTRAP=1 \
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=-Cembed-bitcode=yes \
  cargo build -q --release --target "$target" -Z build-std=core,alloc,std,panic_abort,proc_macro \
  --target-dir "$work/target" >&2)
libraries=$cache/usr/lib/rustlib/$target/lib
mkdir -p "$libraries"
cp "$work/target/$target"/release/deps/*.rlib "$libraries"
rm "$libraries"/libgatewright_sysroot*
rm -rf "$cache/usr/src" "$cache/usr/share" "$cache/usr/lib/rustlib/src"

has_std "$cache/rustc" || fail "the standard library that was built is not found by its compiler"
echo "$cache/rustc"
