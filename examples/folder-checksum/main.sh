#!/usr/bin/env bash
# Writes the checksum of every file in the archives or files it is given.
set -euo pipefail
export LC_ALL=C  # one order of names, everywhere

algorithm=${INPUT_ALGORITHM:-sha256}
fail() {
    echo "$1" >&2
    exit 1
}

progress() {
    echo "$1 $2"
    if [ -n "${EXECFABRIC_PROGRESS:-}" ]; then
        echo "$1 $2" >>"$EXECFABRIC_PROGRESS"
    fi
}

unpack_zip() {
    if command -v unzip >/dev/null; then
        unzip -q -o "$1" -d "$2" </dev/null >/dev/null 2>&1
    else
        python3 -m zipfile -e "$1" "$2" 2>/dev/null
    fi
}

# Whether $1 is a tar archive with at least one member.
is_tar() {
    tar -tf "$1" >members 2>/dev/null && [ -s members ]
}

# Puts the content of $1, or $1 itself when it is no archive, into folder $2.
collect() {
    local source=$1 target=$2 name
    name=$(basename -- "$source")
    mkdir -p "$target"
    if is_tar "$source"; then
        tar -xf "$source" -C "$target" --no-same-owner --no-same-permissions ||
            fail "$name: the archive can't be unpacked."
    elif [[ ${name,,} == *.zip ]]; then
        # Only by its name: office files are zip archives too, and nobody wants them unpacked.
        unpack_zip "$source" "$target" || fail "$name: not a zip archive that can be unpacked."
    else
        cp -- "$source" "$target/$name"
    fi
    # Members may come without the right to read them.
    chmod -R u+rwX "$target"
}

case $algorithm in
sha256 | sha512) ;;
*) fail "The checksum '$algorithm' is not known; choose sha256 or sha512." ;;
esac
[ -n "${INPUT_FILE:-}" ] || fail "No file was given."
content=$PWD/content
place=0
for source in "$INPUT_FILE" "${INPUT_FILE_2:-}" "${INPUT_FILE_3:-}"; do
    [ -n "$source" ] || continue
    [ -f "$source" ] || fail "$(basename -- "$source"): the file is not there."
    place=$((place + 1))
    progress "0.${place}" "Reading $(basename -- "$source")"
    collect "$source" "$content/$place"
done

# One input keeps its own names; several are told apart by their place.
root=$content
[ "$place" -gt 1 ] || root=$content/1
list=$EXECFABRIC_OUTPUT_DIR/checksums.$algorithm
progress 0.5 "Computing checksums"
cd "$root"
# Links are left out: they have no content of their own and may point anywhere.
find . -type f -printf '%P\0' | sort -z | xargs -0 -r "${algorithm}sum" -- >"$list"

files=$(find . -type f -printf x | wc -c)
[ "$files" -gt 0 ] || fail "There are no files in $(basename -- "$INPUT_FILE")."
total=$(find . -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
own=$("${algorithm}sum" <"$list" | cut -d ' ' -f 1)
{
    printf '{"summary": "%s", ' "$files files, $total bytes together."
    printf '"files": %d, "total_bytes": %s, ' "$files" "$total"
    printf '"algorithm": "%s", "list_checksum": "%s"}\n' "$algorithm" "$own"
} >"$EXECFABRIC_RESULT"
progress 1 "$files files"
