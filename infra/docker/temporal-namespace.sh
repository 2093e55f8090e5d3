#!/bin/sh
# Waits until Temporal serves, then makes the namespace where there is none; run again, it changes nothing.
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are read by the temporal command itself.
set -eu

tries=0
until temporal operator cluster health 2>/dev/null | grep -q SERVING; do
  tries=$((tries + 1))
  if [ "$tries" -ge 60 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS did not serve within two minutes." >&2
    exit 1
  fi
  sleep 2
done

temporal operator namespace describe >/dev/null 2>&1 ||
  temporal operator namespace create --retention "${TEMPORAL_RETENTION:-30d}" "$TEMPORAL_NAMESPACE"
echo "Namespace $TEMPORAL_NAMESPACE is there."
