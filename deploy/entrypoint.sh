#!/bin/sh
# Secrets come as files; the settings that can hold one are read from the file that NAME_FILE names.
set -eu
for name in RECSYS_LAB_DATABASE_URL RECSYS_LAB_LOG_SALT; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done
exec "$@"
