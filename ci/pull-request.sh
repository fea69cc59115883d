#!/usr/bin/env bash
# What a pull request is checked with, on any platform and on a person's machine:
# the spec and all that it compiles to, the committed tree, and what the change does.
#
#   HCB_SPEC      the spec                                       default: hybrid
#   HCB_TREE      the committed tree                             default: the folder that the spec names
#   HCB_BASE      the branch that the change is for              default: the main branch
#   HCB_FAIL_ON   note, caution or danger: fail at this level    default: never
#   HCB_REPORT    a report for the platform: github or gitlab    default: none
#   HCB_OUT       where reports are put                          default: hcb-reports
#
# Everything is checked, whatever is found first. Exit codes: 0 fine, 1 findings, 2 a failure.
set -uo pipefail

spec=${HCB_SPEC:-hybrid}
out=${HCB_OUT:-hcb-reports}
mkdir -p "$out" || exit 2

worst=0
run() {
  printf '\n== hcb %s\n' "$*" >&2
  hcb "$@"
  local code=$?
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
}

reports=()
report() { # a report of what the next command finds
  reports=()
  if [ -n "${HCB_REPORT:-}" ]; then reports+=(--report "$HCB_REPORT=$out/$1.$HCB_REPORT"); fi
  reports+=(--report "sarif=$out/$1.sarif")
}

report validate
run validate "$spec" "${reports[@]}"

check=(compile "$spec" --check)
if [ -n "${HCB_TREE:-}" ]; then check+=(--out "$HCB_TREE"); fi
run "${check[@]}"

report diff
range=--git
if [ -n "${HCB_BASE:-}" ]; then range="--git=$HCB_BASE...HEAD"; fi
differ=(diff "$range" "$spec" --summary --markdown "$out/comment.md" --html "$out/diff.html")
if [ -n "${HCB_FAIL_ON:-}" ]; then differ+=(--fail-on "$HCB_FAIL_ON"); fi
run "${differ[@]}" "${reports[@]}"

# Annotations are read from the log of the job.
if [ "${HCB_REPORT:-}" = github ]; then cat "$out"/*.github 2>/dev/null; fi
exit "$worst"
