#!/bin/bash
# Proves what libqkernels.a promises, on its symbols and its code, for the targets given (default: all):
# undefined symbols within the list below, global symbols only qk_..., nothing of a Swift runtime, no writable data, no
# floating-point instruction. Builds the archives.
#
#   Scripts/check-symbols.sh [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- x86_64-linux aarch64-linux armv7em armv6m riscv64 riscv32
tools=$(dirname "$(readlink -f "$(command -v "${SWIFTC:-swiftc}")")")
failures=0

# refuse TARGET MESSAGE LINES: a failure if there are any lines.
refuse() {
  [ -z "$3" ] || {
    echo "check-symbols: $1: $2"
    head -20 <<< "$3" | sed 's/^/    /'
    failures=$((failures + 1))
  } >&2
}

for target in "$@"; do
  archive=build/$target/libqkernels.a
  Scripts/build-static-library "$target" > /dev/null
  allowed='mem(cpy|move|set|cmp)'
  case $target in
    x86_64-linux) float='^(add|sub|mul|div|sqrt|max|min|cmp|u?comi|round)[sp][sd]$|^v(add|sub|mul|div|sqrt|f[nm])[a-z0-9]*[sp][sdh]$|^v?cvt.*[sp][sd]|^f(add|sub|mul|div|ild|ld|st)' ;;
    aarch64-linux)
      allowed="$allowed|getauxval"
      float='^(f(add|sub|mul|div|madd|msub|sqrt|cmp|cvt|rint)|[su]cvtf)'
      ;;
    arm*)
      # Run-time helpers of the ARM EABI for integers and memory.
      allowed="$allowed|__aeabi_mem(cpy|move|set|clr)[48]?|__aeabi_u?idiv(mod)?|__aeabi_l(mul|lsl|lsr|asr)|__clzsi2"
      float='^v(add|sub|mul|div|mla|mls|fm|sqrt|cvt|cmp)[a-z]*\.(f|[su]32\.f)'
      ;;
    riscv*)
      allowed="$allowed|__(ashl|ashr|lshr|mul)di3"
      float='^f(add|sub|mul|div|m?n?m(add|sub)|sqrt|cvt|eq|lt|le|min|max)\.'
      ;;
  esac
  symbols=$("$tools/llvm-nm" --format=posix "$archive")
  before=$failures
  found=$(awk '$2 == "U" { print $1 }' <<< "$symbols" | sort -u | { grep -Evx "$allowed" || true; })
  refuse "$target" "undefined symbols beyond the list" "$found"
  found=$("$tools/llvm-nm" --format=posix --extern-only --defined-only "$archive" | awk 'NF > 2 { print $1 }' |
    { grep -v '^qk_' || true; })
  refuse "$target" "global symbols without the prefix qk_" "$found"
  found=$(awk '{ print $1 }' <<< "$symbols" | { grep -E '^_?swift_' || true; })
  refuse "$target" "symbols of a Swift runtime" "$found"
  # The table of kernels is constant, but a position-independent program has its addresses filled in when it starts.
  found=$(awk '$2 ~ /^[bBC]$/ || ($2 ~ /^[dD]$/ && $1 !~ /^(qk_every_kernel|\.Lswitch\.table\..*)$/)' <<< "$symbols")
  refuse "$target" "writable data" "$found"
  found=$("$tools/llvm-objdump" -d --no-show-raw-insn --no-leading-addr "$archive" |
    awk -F '\t' -v float="$float" '/^[0-9a-f]* *<.*>:$/ { name = $0 } NF > 1 && $2 ~ float { print name, $2, $3 }')
  refuse "$target" "floating-point instructions" "$found"
  [ "$failures" -gt "$before" ] || echo "check-symbols: $target ok"
done
[ "$failures" -eq 0 ]
