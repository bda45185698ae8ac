#!/bin/sh
# The image's command `lockstep`: becomes the program, so that a container's signals reach it. The permissions are those of
# the task `cli` in deno.json.
folder=$(dirname "$(dirname "$(readlink -f "$0")")")
exec deno run --quiet --no-prompt --config="$folder/deno.json" --frozen \
  --allow-read --allow-write --allow-env --allow-sys --allow-ffi --allow-run --allow-net \
  "$folder/mod.ts" "$@"
