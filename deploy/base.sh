#!/bin/sh
# A base image without an image registry: Debian with Python, from the archive that apt is set up for on this machine.
#     deploy/base.sh [NAME]        (as root; needs mmdebstrap and buildah: make service-tools)
# Then: buildah bud --build-arg BASE=NAME ...  Where images can be pulled, the Containerfile's own BASE needs none of this.
set -eu
name=${1:-localhost/recsys_lab-base:bookworm}
suite=${name##*:}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# the lines of apt's sources that are Debian's, for this suite, its updates and its security fixes
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
  awk -v suite="$suite" '$3 == suite || index($3, suite "-") == 1' | sort -u >"$folder/sources"
# none found, as on another distribution: mmdebstrap's own
[ -s "$folder/sources" ] && sources="$folder/sources" || sources=

# what Debian's own slim images leave out: manuals and translations, not the licences
mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include=ca-certificates,python3,python3-venv "$suite" "$folder/base.tar" $sources

container=$(buildah from scratch)
buildah add --quiet "$container" "$folder/base.tar"
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python3 "$container"
buildah commit --quiet --rm "$container" "$name"
