#!/usr/bin/env bash
# Puts PostgreSQL's own regression suite into a folder, for the server that is installed, and prints that folder:
#
#     tools/regress-suite.sh /usr/lib/postgresql/15/bin target/regress
#
# The scripts and what they should print are in the source package of the server, and they fit one minor version: so the source that is
# fetched has exactly the version of the package that is installed, and so must psql have. pg_regress comes with psql's package; the
# one library that is in no package is compiled here, with the headers of the development package, which is unpacked and not installed.
#
# As tools/kube-assets.sh: apt gets a configuration, lists and a cache of its own, so nothing of the system's changes, and nobody has to
# be root. Some 45 MB to fetch, 17 MB to keep. GATEWRIGHT_DEBIAN names a mirror, where the archive itself can not be reached.
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: tools/regress-suite.sh BIN DIRECTORY" >&2; exit 2; }
bin=$1
say() { echo "regress-suite: $*" >&2; }
fail() { say "$*"; exit 1; }

for program in apt-get dpkg-query dpkg-deb cc bzip2 xz; do
  command -v "$program" >/dev/null || fail "$program is needed, and is not here"
done
package=$(dpkg-query -S "$bin/postgres" 2>/dev/null | cut -d: -f1) || true
[ -n "$package" ] || fail "$bin/postgres comes from no package of Debian or Ubuntu, so its source can not be found"
version=$(dpkg-query -W -f='${source:Version}' "$package")
number() { "$bin/$1" --version | grep -o '[0-9]*\.[0-9]*' | head -n 1; }
[ "$(number psql)" = "$(number postgres)" ] ||
  fail "psql is $(number psql) and the server is $(number postgres): install both in the same version"

mkdir -p "$2"
suite=$(cd "$2" && pwd)/$version
if [ -f "$suite/parallel_schedule" ]; then echo "$suite"; exit; fi

. /etc/os-release
case $ID in
  debian)
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    archive=${GATEWRIGHT_DEBIAN:-http://deb.debian.org/debian}
    suites=("$archive $VERSION_CODENAME" "$archive-security $VERSION_CODENAME-security") ;;
  ubuntu)
    keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    archive=http://archive.ubuntu.com/ubuntu
    suites=("$archive $VERSION_CODENAME" "$archive $VERSION_CODENAME-updates" "$archive $VERSION_CODENAME-security") ;;
  *) fail "neither Debian nor Ubuntu: where this system's sources are is not known here" ;;
esac
[ -r "$keys" ] || fail "the archive's keys are not in $keys"

# Beside the suite: /tmp may be small, and may be memory.
work=$(mktemp -d "$(dirname "$suite")/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching the source of $package $version and its headers (45 MB)"
mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial,parts} "$work"/{fetched,headers,suite}
for line in "${suites[@]}"; do
  for kind in deb deb-src; do echo "$kind [signed-by=$keys] $line main"; done
done > "$work/apt/sources.list"
cat > "$work/apt/apt.conf" <<CONF
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "$work/apt/parts";
Dir::Etc::Preferences "$work/apt/none";
Dir::Etc::PreferencesParts "$work/apt/parts";
Dir::State "$work/apt/state";
Dir::State::Status "/var/lib/dpkg/status";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt/apt.conf
apt-get update -q -o APT::Update::Error-Mode=any >&2
gone="the archive has no $version any more: install the newer $package and its client"
(cd "$work/fetched" && apt-get source -q --download-only --only-source "$package=$version" >&2) || fail "$gone"
(cd "$work/fetched" && apt-get download -q "postgresql-server-dev-${package#postgresql-}=$version" >&2) || fail "$gone"

say "unpacking the suite and compiling its library"
tar -x -f "$work"/fetched/*.orig.tar.* -C "$work/suite" --strip-components=4 --wildcards '*/src/test/regress/*'
dpkg-deb -x "$work"/fetched/postgresql-server-dev-*.deb "$work/headers"
mkdir "$work/suite/lib"
cc -O1 -fPIC -shared -I "$work/headers/usr/include/postgresql/${package#postgresql-}/server" \
  -o "$work/suite/lib/regress.so" "$work/suite/regress.c" >&2
# The server's package has these two of contrib already.
for library in autoinc refint; do
  cp "$bin/../lib/$library.so" "$work/suite/lib/" || fail "the server's package comes without contrib"
done
mv "$work/suite" "$suite"
echo "$suite"
