#!/usr/bin/env bash
# `deno compile` fetches its runtime part, denort, from a host that not every machine reaches. This makes a Deno that can
# compile out of two npm packages: an older Deno, and a program that such a Deno compiled, of which the runtime part is what
# its ELF headers describe; the rest is somebody's program. For tests on 64-bit Linux, not for releases.
# Prints two lines for eval, COMPILE_DENO and DENORT_BIN: eval "$(.ci/compile-kit.sh [FOLDER])"
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "compile-kit: only for Linux on x86-64" >&2; exit 1; }
folder=${1:-${TMPDIR:-/tmp}/fanfare-compile-kit-$(id -u)}
deno_package=@deno/linux-x64-glibc@2.6.8
program_package=@mcp-stress/linux-x64@0.2.1
deno_sum=8b254e08be2565f608a06bfde3f62f3aabbf8994712f0078c7a7f24bc8c46676
denort_sum=1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2

whole() { sha256sum --status --check <<<"$2  $1" 2>/dev/null; }

unpack() { # package, file inside
  tar xzf "$(npm pack --silent "$1")" "package/$2"
}

mkdir -p "$folder"
if ! whole "$folder/deno" "$deno_sum" || ! whole "$folder/denort" "$denort_sum"; then
  work=$(mktemp -d "$folder/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  unpack "$deno_package" deno
  unpack "$program_package" bin/mcp-stress
  # The ELF file ends with its section headers: where they begin, how large one is, how many there are.
  node -e '
    const fs = require("node:fs");
    const program = fs.readFileSync("package/bin/mcp-stress");
    const end = Number(program.readBigUInt64LE(40)) + program.readUInt16LE(58) * program.readUInt16LE(60);
    fs.writeFileSync("denort", program.subarray(0, end));'
  chmod +x package/deno denort
  whole package/deno "$deno_sum" && whole denort "$denort_sum" ||
    { echo "compile-kit: the packages aren't those that were tried" >&2; exit 1; }
  mv package/deno denort "$folder"
fi
echo "export COMPILE_DENO='$folder/deno'"
echo "export DENORT_BIN='$folder/denort'"
