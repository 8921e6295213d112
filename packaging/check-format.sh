# Refuses to unpack a version that could not read the data, before anything is stopped. Part of the scripts
# that run before unpacking, in both packages: POSIX sh, and nothing of AtlasKV's own is there yet.
# A manifest begins with the magic "ATLASMAN" and the format version, 4 bytes, little-endian
# (docs/format.md).
readable=1

check_format() {
    [ -r "$1/MANIFEST" ] || return 0
    [ "$(head -c 8 "$1/MANIFEST")" = ATLASMAN ] || return 0
    bytes=$(od -A n -t u1 -j 8 -N 4 "$1/MANIFEST")
    # shellcheck disable=SC2086 # Four numbers; a shorter file has fewer.
    set -- "$1" $bytes
    [ $# -eq 5 ] || return 0
    format=$(($2 + $3 * 256 + $4 * 65536 + $5 * 16777216))
    [ "$format" -gt "$readable" ] || return 0
    echo "atlaskv: this version reads data of format $readable; $1 has format $format." >&2
    echo "atlaskv: nothing was changed, and the installed daemon goes on. Install the version that wrote the data, or a newer one." >&2
    return 1
}

for dir in /var/lib/atlaskv /var/lib/atlaskv-*; do
    check_format "$dir" || exit 1
done
# Data directories that the configuration names.
for file in /etc/atlaskv/*.toml; do
    [ -r "$file" ] || continue
    dir=$(sed -n "s/^[[:space:]]*data_dir[[:space:]]*=[[:space:]]*[\"']\([^\"']*\)[\"'].*/\1/p" "$file")
    [ -z "$dir" ] || check_format "$dir" || exit 1
done
