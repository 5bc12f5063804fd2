# The file that holds the proxies: a line "PROTOCOL URL" for each.
kept=$SNAP_COMMON/proxies

# load sets what the file holds, in one call: of several in a hook only the last one counts.
load() {
	[ -s "$kept" ] || return 0
	set --
	while read -r protocol url; do
		set -- "$@" "$protocol.url=\"$url\""
	done <"$kept"
	snapctl set -t --view :proxy-admin "$@"
}
