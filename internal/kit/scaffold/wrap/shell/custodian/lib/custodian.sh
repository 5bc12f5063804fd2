# The hooks' work: what the views show is in the file, and what is written through them goes into the file.
#
# load    load-view: reads the file, and hands its values in
# change  change-view: refuses what cannot be put into the file, and adds what the file has
# save    save-view: changes the file; if the write fails later on, snapd calls it again, and it changes the file back
#
# Only lines with changed values change. The file is replaced as a whole: who reads it sees the old one or the new one.

export LC_ALL=C
umask 077
. "$SNAP/lib/table.sh"
export FILE
act=$1
state=$SNAP_COMMON/.custodian # what this write has done so far, with the text from before; the next read removes it
copy=$state.copy              # of the file
text=$state.text              # that the file gets
trap 'rm -f "$copy" "$text" "$state.next"' EXIT

# stop ends a hook that cannot go on, with the reason for a person.
stop() {
	if [ "$act" = change ]; then
		reason=$(snapctl fail "$1" 2>&1) && exit 0 # snapd has the reason; an error of the hook would hide it
		set -- "$reason"
	fi
	printf '%s\n' "$1" >&2
	exit 1
}

# view puts what a plug's view has into $shown.
view() {
	shown=
	[ -n "$1" ] || return 0
	shown=$(snapctl get -d --view "$@" 2>/dev/null) && return 0
	reason=$(snapctl get -d --view "$@" 2>&1 >/dev/null)
	case $reason in
	*"no data"*) shown= ;;
	*) stop "$reason" ;;
	esac
}

# views puts what confdb has now, and had before this write, into variables. Secrets are read through the view that only custodians
# may read.
views() {
	view "$ADMIN" && staged=$shown
	view "$SECRETS" && staged_secrets=$shown
	view "$ADMIN" --previous && previous=$shown
	view "$SECRETS" --previous && previous_secrets=$shown
}

# take copies the file.
take() {
	[ -e "$FILE" ] || stop "$FILE does not exist: put the file there again; default/$DEFAULT in the snap is one to begin with"
	reason=$(cat "$FILE" 2>&1 >"$copy") || stop "cannot read $FILE: ${reason##*: }"
}

# keep runs keep.awk on the copy. What it prints is in the file $text.
keep() {
	{
		keys
		printf '\001staged\n%s\n\001staged-secrets\n%s\n' "${staged-}" "${staged_secrets-}"
		printf '\001previous\n%s\n\001previous-secrets\n%s\n' "${previous-}" "${previous_secrets-}"
		printf '\001stale\n' && remembered stale
		printf '\001undo\n' && remembered undo
		printf '\001text\n' && cat "$copy" && echo x
	} | awk -v act="$1" -v size="$(wc -c <"$copy")" -f "$SNAP/lib/keep.awk" >"$text" || stop "$(cat "$text")"
}

# remembered prints the lines of a name in the memory of this write.
remembered() {
	[ ! -e "$state" ] || sed -n "/^text\$/q; s/^$1 //p" "$state"
}

# replace puts a text into the place of a file, as a whole, and gives it the mode and the owner of another one.
replace() {
	path=$(readlink -f -- "$2") || stop "cannot find the folder of $2"
	folder=${path%/*}
	new=$folder/.${path##*/}.new
	rm -f "$new" # of a hook that was killed
	reason=$(cat "$1" 2>&1 >"$new") || stop "cannot write $2: ${reason##*: }"
	if [ $# -gt 2 ]; then
		chown --reference="$3" "$new" 2>/dev/null
		chmod --reference="$3" "$new" || stop "cannot give $new the mode of $3"
	fi
	reason=$(sync "$new" 2>&1 && mv -T "$new" "$path" 2>&1 && sync "$folder" 2>&1) || stop "cannot write $2: ${reason##*: }"
}

# give hands values in, in one call: of several only the last one counts.
give() {
	lines=$1 hidden=${2-}
	[ -n "$lines" ] || return 0
	set --
	while IFS= read -r line; do
		set -- "$@" "$line"
	done <<END
$lines
END
	reason=$(snapctl set -t --view "$ADMIN" "$@" 2>&1 >/dev/null) ||
		stop "$FILE has a value that the confdb-schema refuses: ${hidden:-$reason}: correct the file"
}

# salted prints the sum of a text on standard input. Without the salt nobody can tell from the sum what the text was.
salted() {
	{ printf %s "$salt" && cat; } | sha256sum
}

load() {
	rm -f "$state" # snapd reads only when no write is under way
	take
	keep "$1"
	hidden=
	[ "$1" != secrets ] || hidden="what it is stays unsaid, for it is secret"
	give "$(cat "$text")" "$hidden"
}

change() {
	views
	take
	keep check
	salt=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
	{ echo "salt $salt" && cat "$text"; } >"$copy"
	replace "$copy" "$state"
	give "$(remembered stale)"
}

save() {
	views
	take
	salt=$(remembered salt)
	keep staged
	mark=$(salted <"$text")
	after=$(remembered after)
	if [ -n "$after" ] && [ "$mark" != "$(remembered mark)" ]; then
		undo
		return
	fi
	for _ in 1 2 3 4 5; do
		take
		keep undo
		undo=$(cat "$text")
		keep save
		! cmp -s "$text" "$copy" || return 0
		{
			printf 'salt %s\nmark %s\nafter %s\n%s\n' "$salt" "$mark" "$(salted <"$text")" "$undo"
			remembered stale | sed 's/^/stale /'
			echo text && cat "$copy"
		} >"$state.next"
		replace "$state.next" "$state"
		rm -f "$state.next"
		if cmp -s "$copy" "$FILE"; then
			replace "$text" "$FILE" "$FILE"
			return 0
		fi # somebody has just changed it
	done
	stop "$FILE changes all the time: try again"
}

# undo takes a write back that has failed.
undo() {
	if [ "$(salted <"$copy")" = "$after" ]; then
		sed '1,/^text$/d' "$state" >"$text"
	else # somebody has changed the file meanwhile
		keep back
	fi
	cmp -s "$text" "$copy" || replace "$text" "$FILE" "$FILE"
	rm -f "$state"
}

# install puts the file that the snap brings along in its place, if there is none.
install() {
	[ ! -e "$FILE" ] || return 0
	replace "$SNAP/default/$DEFAULT" "$FILE"
	chmod "$MODE" "$FILE"
}

"$@"
