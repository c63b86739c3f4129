#!/bin/sh
# Build an image with buildah:  deploy/build.sh TARGET NAME [arguments of buildah bud ...]      TARGET: api or mlflow
# pip in the build asks where pip on this machine asks: its configuration and certificates are lent, not copied.
set -eu
target=$1 name=$2
shift 2
for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" /etc/pip.conf; do
  if [ -f "$file" ]; then
    set -- --secret "id=pip,src=$file" "$@"
    break
  fi
done
certificates=${PIP_CERT:-${SSL_CERT_FILE:-}}
if [ -n "$certificates" ]; then
  set -- --secret "id=ca,src=$certificates" "$@"
fi
export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
cd "$(dirname "$0")/.."
exec buildah bud --layers --file deploy/Containerfile --target "$target" --tag "$name" "$@" .
