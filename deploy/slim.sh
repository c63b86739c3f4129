#!/bin/sh
# What an image needs and no more; run while it is built, as root.
#     slim.sh packages FOLDER      of an environment of Python: no tests, headers, symbols or build tools
#     slim.sh system NEW           a root in NEW: Python and the libraries it is linked with, a shell and its tools.
#                                  No package manager, no perl, no log-in, nothing that may become root.
set -eu

packages() {
  "$1/bin/pip" uninstall --quiet --yes pip setuptools
  find "$1" -depth -type d '(' -name tests -o -name __pycache__ ')' -exec rm -rf '{}' +
  find "$1" -type f '(' -name '*.a' -o -name '*.h' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' ')' -delete
  # not what auditwheel put into *.libs: it has moved their parts, and strip moves them to where no loader takes them
  find "$1" -type f -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded '{}' +
}

system() {
  kept='base-files|base-passwd|ca-certificates|coreutils|dash|gcc-[0-9]*-base|lib(acl1|attr1|gmp10|pcre2-8-0|selinux1)|'
  kept="$kept"'lib(bz2-1.0|c6|com-err2|crypt1|db5.3|expat1|ffi8|gcc-s1|gdbm6|gssapi-krb5-2|k5crypto3|keyutils1|krb5-3)|'
  kept="$kept"'lib(krb5support0|lzma5|ncursesw6|nsl2|readline8|sqlite3-0|ssl3|stdc\+\+6|tinfo6|tirpc3|uuid1|zstd1)|'
  kept="$kept"'(lib)?python3.*(minimal|stdlib)|python3(\.[0-9]+)?|media-types|netbase|tzdata|usr-is-merged|zlib1g'
  names=$(dpkg-query --show --showformat '${Package}\n' | grep -xE "$kept")
  mkdir -p "$1/tmp" "$1/var/lib/dpkg" "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64"
  chmod 1777 "$1/tmp"
  cp --archive /bin /sbin /lib /lib64 "$1/"  # links into /usr
  dpkg-query --listfiles $names | sort -u |
    grep -vE '/(gconv|pydoc_data|lib2to3|distutils|ensurepip|idlelib|turtledemo|test)(/|$)|^/(bin|sbin|lib|lib64|tmp|dev)$' |
    grep -vE '^/usr/share/(doc/.*/[^c][^/]*|man/.*|locale/.*|info/.*|bash-completion/.*|lintian/.*|zoneinfo/right/.*)$' |
    tar --create --no-recursion --ignore-failed-read --warning=no-failed-read --files-from - |
    tar --extract --keep-directory-symlink --directory "$1"
  cp --archive /etc /usr/local "$1/tmp/" && cp --archive "$1/tmp/etc" "$1/" && cp --archive "$1/tmp/local" "$1/usr/"
  rm -rf "$1/tmp/etc" "$1/tmp/local" "$1/etc/apt" "$1/etc/shadow-" "$1/etc/passwd-" "$1/etc/group-" "$1/etc/gshadow-"
  dpkg --status $names >"$1/var/lib/dpkg/status" # for those who look for known holes by package
  find "$1" -xdev '(' -perm /4000 -o -perm /2000 ')' -exec chmod ug-s '{}' +
  for library in "$1"/usr/lib/python3.* "$1"/usr/local/lib/python3.*; do
    [ -d "$library" ] && python3 -m compileall -q -j 0 -s "$1" --invalidation-mode unchecked-hash "$library"
  done
}

"$@"
