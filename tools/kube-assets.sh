#!/usr/bin/env bash
# Puts a real kube-apiserver and etcd into a folder, and prints that folder:
#
#     KUBEBUILDER_ASSETS=$(tools/kube-assets.sh target/kube-assets) cargo nextest run --workspace -E 'binary(kubernetes*)'
#
# Both come from Debian 12's archive and from nowhere else, on any machine with apt and Debian's keys: apt gets a configuration, lists and
# a cache of its own, so nothing is installed, nothing of the system's changes, and nobody has to be root. etcd is a package. The API
# server (1.20, the last that Debian has the whole source of) is built here with Debian's Go, which is unpacked and not installed.
# About 200 MB to fetch, 2 GB while it builds, and some ten minutes on two cores; once.
#
# GATEWRIGHT_DEBIAN names a mirror, where the archive itself can not be reached.
set -euo pipefail

release=bookworm
archive=${GATEWRIGHT_DEBIAN:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ $# -eq 1 ] || { echo "usage: tools/kube-assets.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
assets=$(cd "$1" && pwd)

say() { echo "kube-assets: $*" >&2; }
fail() { say "$*"; exit 1; }

if [ -x "$assets/kube-apiserver" ] && [ -x "$assets/etcd" ]; then echo "$assets"; exit; fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "Debian's packages are fetched with apt-get: it is not here"
[ -r "$keys" ] || fail "Debian's keys are not in $keys: install the package debian-archive-keyring"

# Beside the assets: /tmp may be small, and may be memory.
work=$(mktemp -d "$assets/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching etcd, Go and the source of Kubernetes from $archive ($release, about 150 MB)"
mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial,parts} "$work"/{packages,source}
for kind in deb deb-src; do echo "$kind [signed-by=$keys] $archive $release main"; done > "$work/apt/sources.list"
cat > "$work/apt/apt.conf" <<CONF
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "$work/apt/parts";
Dir::Etc::Preferences "$work/apt/none";
Dir::Etc::PreferencesParts "$work/apt/parts";
Dir::State "$work/apt/state";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt/apt.conf
apt-get update -q -o APT::Update::Error-Mode=any >&2
go=$(apt-cache depends golang-go | sed -n 's/^ *Depends: \(golang-[0-9.]*-go\)$/\1/p')
[ -n "$go" ] || fail "$release names no Go"
(cd "$work/packages" && apt-get download -q etcd-server "$go" "${go%-go}-src" golang-github-modern-go-reflect2-dev >&2)
(cd "$work/source" && apt-get source -q --download-only --only-source kubernetes >&2)

mkdir "$work/debian"
for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/debian"; done

# Debian's patches are kubectl's, which is not built here.
tree=$work/go/src/k8s.io/kubernetes
mkdir -p "$tree"
tar -x -f "$work"/source/kubernetes_*.orig.tar.* -C "$tree" --strip-components=1
# The release came with Go 1.15. With Go 1.18 and later, its copy of this one ends the server in the middle of an answer: it knows how maps
# were iterated then. Debian has the version that asks.
vendored=$tree/vendor/github.com/modern-go/reflect2
rm -r "$vendored"
cp -R "$work/debian/usr/share/gocode/src/github.com/modern-go/reflect2" "$vendored"
version=$(basename "$work"/source/kubernetes_*.orig.tar.*)
version=${version#kubernetes_} version=${version%.orig.tar.*}
version=${version##*really} # 1.20.5+really1.20.2

go_root=${go%-go}
export GOROOT=$work/debian/usr/lib/${go_root/golang-/go-} GOPATH=$work/go GOCACHE=$work/cache GO111MODULE=off GOFLAGS='' GOENV=off CGO_ENABLED=0
cd "$tree"

# Of all that Kubernetes' own Makefile generates, this one is not in the source that is shipped: what the API says of itself.
say "generating OpenAPI definitions"
go_() { nice -n 10 "$GOROOT/bin/go" "$@" >&2; }
go_ build -p 2 -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(find -L cmd pkg vendor/k8s.io -name '*.go' ! -name '*_test.go' ! -path '*/_*' \
  ! -path 'vendor/k8s.io/code-generator/*' ! -path 'vendor/k8s.io/sample-apiserver/*' ! -path 'vendor/k8s.io/kube-openapi/*' \
  -exec grep -l '^// +k8s:openapi-gen=' {} + | xargs -n 1 dirname | LC_ALL=C sort -u | sed 's#^#k8s.io/kubernetes/#' | paste -s -d ,)
PATH=$GOROOT/bin:$PATH "$work/openapi-gen" -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations" >&2

say "building kube-apiserver $version (some ten minutes on two cores)"
flags='-s -w'
for package in component-base/version client-go/pkg/version; do
  name=k8s.io/kubernetes/vendor/k8s.io/$package
  rest=${version#*.}
  flags+=" -X $name.gitVersion=v$version -X $name.gitMajor=${version%%.*} -X $name.gitMinor=${rest%%.*}"
done
go_ build -p 2 -trimpath -ldflags "$flags" -o "$work/kube-apiserver" ./cmd/kube-apiserver

# Whole files or none, and the server last: it is what this script looks for.
mv "$work/debian/usr/bin/etcd" "$work/kube-apiserver" "$assets"
echo "$assets"
