#!/bin/sh
# An S3 server whose objects are files below a folder, with a bucket in it: for who has no S3 store elsewhere.
# OBJECTS_ROOT: the folder; OBJECTS_BUCKET: the bucket; VGW_PORT, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY and VGW_REGION are
# read by versitygw itself.
set -eu

# A folder below the root is a bucket.
mkdir -p "$OBJECTS_ROOT/$OBJECTS_BUCKET"
exec versitygw --quiet posix "$OBJECTS_ROOT"
