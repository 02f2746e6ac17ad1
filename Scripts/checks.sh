# Counted checks of the test scripts; to be sourced. $work/log holds what the last check printed.

passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  echo "FAILED $1: $2"
}
skip() {
  skipped=$((skipped + 1))
  echo "skipped $1: $2"
}

# check WHAT COMMAND...: passes if the command succeeds.
check() {
  local what=$1 code=0
  shift
  "$@" > "$work/log" 2>&1 || code=$?
  if [ $code -eq 0 ]; then pass; else fail "$what" "exit status $code: $(tail -20 "$work/log")"; fi
}

# report: the closing line; fails if a check failed.
report() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
