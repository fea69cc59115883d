#!/usr/bin/env bash
# Puts a report into the one comment of a pull request that holds it: the comment that begins with the
# marker is brought up to date, and made where there is none.
#
#   ci/comment.sh github FILE    GITHUB_API_URL, GITHUB_REPOSITORY, HCB_PULL_REQUEST, GITHUB_TOKEN
#   ci/comment.sh gitlab FILE    CI_API_V4_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID, HCB_GITLAB_TOKEN
#
# It needs curl and jq.
set -euo pipefail

platform=$1
file=$2
marker='<!-- hcb diff -->'

case $platform in
  github)
    list=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$HCB_PULL_REQUEST/comments
    one=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/comments
    change=PATCH
    header="Authorization: Bearer $GITHUB_TOKEN"
    ;;
  gitlab)
    list=$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes
    one=$list
    change=PUT
    header="PRIVATE-TOKEN: $HCB_GITLAB_TOKEN"
    ;;
  *)
    echo "usage: ci/comment.sh github|gitlab FILE" >&2
    exit 2
    ;;
esac

# The token is read from a file descriptor, so that no list of processes shows it.
ask() { curl --silent --show-error --fail-with-body --retry 3 --header @<(printf '%s\n' "$header") "$@"; }

id=
page=1
while [ -z "$id" ]; do
  comments=$(ask "$list?per_page=100&page=$page")
  id=$(jq --arg marker "$marker" 'map(select(.body | startswith($marker)))[0].id // empty' <<<"$comments")
  [ "$(jq length <<<"$comments")" -eq 100 ] || break
  page=$((page + 1))
done

send() { jq --null-input --rawfile body "$file" '{body: $body}' | ask --header 'Content-Type: application/json' --data-binary @- --output /dev/null "$@"; }

if [ -n "$id" ]; then
  send --request "$change" "$one/$id"
  echo "brought comment $id up to date" >&2
else
  send --request POST "$list"
  echo "wrote a comment" >&2
fi
