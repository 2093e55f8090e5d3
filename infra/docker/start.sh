#!/bin/sh
# The entry point of both images: `start.sh control|cpu|gpu|all|gateway` becomes the role's program, with a process id that
# no other user of the same online store has.
#
# LMDB tells its readers apart by process id, but every container counts its own from 1: of two with the same number, one
# would go on reading an old state, without an error. So each locks its number in a folder beside the store (the lock is
# the kernel's: it ends with the process, and holds between containers of one host). Where the number is taken, a child,
# which has another one, tries.
set -eu

run() {
  case "${1:-}" in
  # The gateway brings its own way of running TypeScript.
  gateway) exec node infra/docker/entrypoint.mjs "$@" ;;
  *) exec node --import tsx infra/docker/entrypoint.mjs "$@" ;;
  esac
}

online=${REFIT_ONLINE:-lmdb:.refit/online}
case "$online" in
lmdb:*) folder=${online#lmdb:} ;;
*:*) run "$@" ;;
*) folder=$online ;;
esac
case "$folder" in
/*) numbers=$folder.pids ;;
*) numbers=${REFIT_ROOT:-.}/$folder.pids ;;
esac

# A folder that cannot be written is the entry point's to tell.
if [ "${1:-}" = control ] || ! mkdir -p "$numbers" 2>/dev/null || ! [ -w "$numbers" ]; then run "$@"; fi

# Inherited by the program, which never closes it.
exec 9>"$numbers/$$"
if flock --nonblock 9; then run "$@"; fi
exec 9>&-

sh "$0" "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT HUP
status=0
wait "$child" || status=$?
# A signal ends the waiting, not the child.
while kill -0 "$child" 2>/dev/null; do
  status=0
  wait "$child" || status=$?
done
exit "$status"
