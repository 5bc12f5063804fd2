#!/usr/bin/env bash
# Installs the four snaps of aspects-poc on this machine, or removes them.
#
#   sudo ./install.sh                   from the store, channel edge
#   sudo ./install.sh --from DIR        snaps that `make` has built, and assertions, from a folder
#   sudo ./install.sh --uninstall       remove the snaps, what they stored in confdb, and what this script turned on
#
#   --assertions DIR   folder with the account, account-key and confdb-schema assertions (default: the folder of
#                      --from, then that of this script, then what snapd knows or can fetch)
#   --channel NAME     channel of the store (default: edge)
#   --wait SECONDS     how long to wait for the views to answer (default: 180)
#   --keep-data        with --uninstall: leave the stored values of the views in snapd
#   --dry-run          print what the script would do, and change nothing
#
# A second run changes nothing. Each step prints what it does. If a step fails, the error names the remedy; the next run
# continues with that step.
set -Eeuo pipefail
trap 'printf "Error: an unforeseen failure in line %s: %s\n" "$LINENO" "$BASH_COMMAND" >&2' ERR

snaps=(aspects-poc-server aspects-poc-control aspects-poc-vpn aspects-poc-reporting)
root=${INSTALL_ROOT:-} # tests have another root than /
marker=$root/var/lib/aspects-poc/turned-on

usage() { sed -n '2,/^set /{/^set /!p}' "${BASH_SOURCE[0]:-/dev/null}" 2>/dev/null | sed 's/^# \{0,1\}//'; }

say() { printf '%s\n' "$*"; }
warn() { printf 'Warning: %s\n' "$*" >&2; }

# die WHAT [WAY-OUT]...
die() {
	printf 'Error: %s\n' "$1" >&2
	shift
	(($# == 0)) || printf '  %s\n' "$@" >&2
	exit 1
}

misused() {
	printf 'Error: %s\nSee the top of this script, or --help.\n' "$1" >&2
	exit 2
}

arguments=("$@")
from='' assertions='' channel=edge patience=180 uninstall='' keep_data='' dry_run=''
while (($#)); do
	case $1 in
	--from | --assertions | --channel | --wait)
		(($# > 1)) || misused "$1 needs a value"
		case $1 in
		--from) from=$2 ;;
		--assertions) assertions=$2 ;;
		--channel) channel=$2 ;;
		--wait) patience=$2 ;;
		esac
		shift
		;;
	--from=*) from=${1#*=} ;;
	--assertions=*) assertions=${1#*=} ;;
	--channel=*) channel=${1#*=} ;;
	--wait=*) patience=${1#*=} ;;
	--uninstall) uninstall=yes ;;
	--keep-data) keep_data=yes ;;
	--dry-run) dry_run=yes ;;
	-h | --help)
		usage
		exit
		;;
	*) misused "unknown argument $1" ;;
	esac
	shift
done
[[ $patience =~ ^[0-9]+$ ]] || misused "--wait needs a number of seconds, not '$patience'"
for folder in "$from" "$assertions"; do
	[[ -z $folder || -d $folder ]] || misused "there is no folder $folder"
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# unwrapped joins lines: the snap command breaks long errors at the width of a terminal
unwrapped() { tr -s ' \t\n' ' ' | sed 's/^ *//; s/ *$//; s/^error: //'; }

# run COMMAND...: runs a command that changes the machine, or prints it. If the command fails, $failure has its error.
failure=''
run() {
	if [[ $dry_run ]]; then
		printf '+'
		printf ' %q' "$@"
		printf '\n'
		return
	fi
	if "$@" 2>"$scratch/stderr"; then
		cat "$scratch/stderr" >&2
		return
	fi
	failure=$(unwrapped <"$scratch/stderr")
	return 1
}

# way_out TEXT: the remedy for a refusal of snapd, by its words
way_out() {
	case $1 in
	*'feature flag'* | *'is disabled'*) say "Turn it on: sudo snap set system experimental.$flag=true" ;;
	*'no custodian snap'*) say "Connect the custodian: sudo snap connect aspects-poc-control:VIEW, or run this script again" ;;
	*'unconnected plug'*) say "Connect it with snap connect, or run this script again" ;;
	*'prerequisite'* | *'no matching public key'*)
		say "snapd does not know the account or the key that signed it. Put both assertions beside it:" \
			"snap known --remote account account-id=ID, snap known --remote account-key public-key-sha3-384=KEY"
		;;
	*'signing key validity'*) say "It is dated before its key was made: sign it again (make assertion), which dates it now" ;;
	*'older than current revision'*) say "snapd has a newer one. Sign it again with a higher REVISION, or leave it as it is" ;;
	*'cannot parse unknown type'* | *'cannot find alias'*)
		say "This snapd spells types in another way: make assertion NO_ALIASES=1 writes one that 2.69 and later take"
		;;
	*'assertion-not-found'* | *'assertion not found'* | *'confdb-schema ('*)
		say "The confdb-schema is not acknowledged: run this script with --assertions DIR"
		;;
	*'persistent network error'* | *'no such host'*) say "The store cannot be reached: give --from DIR and --assertions DIR, or mend the network" ;;
	*'cannot find signatures'*) say "That needs --dangerous, which --from gives: is the file a snap of yours?" ;;
	*'does not exist'* | *'snap not found'* | *'" not found'*) say "It is not in the store's channel $channel: build it, make all, and give --from DIR" ;;
	*'assumes unsupported features'*) say "This snapd is too old for it: sudo snap refresh snapd" ;;
	*'cannot communicate with server'*) say "snapd does not run: sudo systemctl start snapd.socket" ;;
	*'change in progress'*) say "snapd is busy with the snap (snap changes): run this script again in a moment" ;;
	*) say "See: snap changes, snap tasks --last=install, journalctl -u snapd" ;;
	esac
}

# patiently COMMAND...: run, and again while snapd is busy. snapd does not wait: it refuses to change a snap whose daemon
# is writing through confdb, and before 2.76 it also refuses a second write.
patiently() {
	local tries=30
	until run "$@"; do
		[[ $failure == *'change in progress'* || $failure == *'ongoing'* ]] && ((--tries > 0)) || return 1
		sleep 2
	done
}

# try WHAT COMMAND...: patiently, and end with the remedy if the command fails
try() {
	local what=$1
	shift
	patiently "$@" || die "cannot $what: ${failure:-$* failed}" "$(way_out "$failure")"
}

# --- what is there -----------------------------------------------------------

flag='' kind='' version=''

system_info() {
	snap debug api /v2/system-info 2>/dev/null ||
		curl -fsS --max-time 10 --unix-socket "$root/run/snapd.socket" http://localhost/v2/system-info 2>/dev/null
}

# feature NAME: what snapd says about a feature, as JSON without blanks; fails if snapd does not know the feature
feature() {
	[[ $info =~ \"$1\":\{([^\}]*)\} ]] && printf '%s' "${BASH_REMATCH[1]}"
}

check_snapd() {
	command -v snap >/dev/null ||
		die "snapd is not installed" "sudo apt-get install snapd (then log in again), and run this script again"
	version=$(snap version 2>/dev/null | awk '$1 == "snapd" { print $2 }')
	[[ $version && $version != unavailable ]] ||
		die "snapd does not answer" "sudo systemctl enable --now snapd.socket snapd.apparmor, and run this script again"
	info=$(system_info | tr -d ' \t\n') || true
	[[ $info == *'"version"'* ]] ||
		die "cannot ask snapd $version which features it has (GET /v2/system-info)" \
			"sudo apt-get install curl, and run this script again"
	local newer=("The snap of snapd is newer than most distributions' package: sudo snap install snapd, or" \
		"sudo snap refresh snapd where it is there already. Then run this script again.")
	if feature confdb >/dev/null; then
		flag=confdb kind=confdb-schema
	elif feature confdbs >/dev/null; then
		flag=confdbs kind=confdb # snapd 2.68
	else
		die "snapd $version has no confdb; these snaps need snapd 2.68 or later" "Nothing was changed. ${newer[0]}" "${newer[@]:1}"
	fi
	local state
	state=$(feature "$flag")
	[[ $state == *'"supported":true'* ]] ||
		die "snapd $version does not support confdb on this system: $state" "${newer[@]}"
}

# below MAJOR MINOR: whether snapd is older. A version that cannot be read counts as new.
below() {
	[[ $version =~ ^([0-9]+)\.([0-9]+) ]] || return 1
	((BASH_REMATCH[1] < $1 || (BASH_REMATCH[1] == $1 && BASH_REMATCH[2] < $2)))
}

# revision SNAP: the installed revision; fails if there is none
revision() { snap list "$1" 2>/dev/null | awk -v name="$1" '$1 == name { print $3; found = 1 } END { exit !found }'; }

# meta SNAP: the snap.yaml of the installed snap, or else of the file that would be installed
meta() {
	local file=$root/snap/$1/current/meta/snap.yaml
	[[ -f $file ]] || file=$root/var/lib/snapd/snap/$1/current/meta/snap.yaml
	if [[ -f $file ]]; then
		cat "$file"
	elif file=$(snap_file "$1") && command -v unsquashfs >/dev/null; then
		unsquashfs -cat "$file" meta/snap.yaml 2>/dev/null || true
	fi
}

# values NAME: the values of an attribute in snap.yaml, each once
values() { sed -n "s/^ *$1: *[\"']\{0,1\}\([^\"' ]*\).*/\1/p" | sort -u; }

# snap_file SNAP: its file for this machine in the folder of --from, the latest if there are several
snap_file() {
	[[ $from ]] || return 1
	local found arch
	arch=$(dpkg --print-architecture 2>/dev/null || uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/; s/armv7l/armhf/; s/ppc64le/ppc64el/')
	found=$(find "$from" -maxdepth 1 \( -name "$1_*_$arch.snap" -o -name "$1_*_all.snap" -o -name "$1.snap" \) | sort -V | tail -n 1)
	[[ $found ]] && printf '%s' "$found"
}

# custodians_first: the snaps, custodians first: without them no view answers
custodians_first() {
	local snap others=()
	for snap in "${snaps[@]}"; do
		if meta "$snap" | grep -q '^ *role: *["'\'']\{0,1\}custodian'; then say "$snap"; else others+=("$snap"); fi
	done
	((${#others[@]} == 0)) || printf '%s\n' "${others[@]}"
}

# plugs SNAP: its plugs that are not connected
plugs() { snap connections "$1" 2>/dev/null | awk 'NR > 1 && $3 == "-" && $2 ~ /:/ { print $2 }'; }

# --- assertions --------------------------------------------------------------

# header NAME FILE: the header's value in the first assertion of a file
header() { sed -n "/^\$/q; s/^$1: //p" "$2"; }

# known TYPE FILE: whether snapd already has this assertion, in this revision or a later one
known() {
	local type=$1 file=$2 have key
	key=account-id=$(header account-id "$file")
	case $type in
	account) ;;
	account-key) key=public-key-sha3-384=$(header public-key-sha3-384 "$file") ;;
	*) key+=" name=$(header name "$file")" ;;
	esac
	# shellcheck disable=SC2086 # two words where there are two
	snap known "$type" $key >"$scratch/known" 2>/dev/null && [[ -s $scratch/known ]] || return 1
	have=$(header revision "$scratch/known")
	local offered
	offered=$(header revision "$file")
	((${have:-0} >= ${offered:-0}))
}

acknowledge() {
	local type=$1 file=$2 name
	case $type in
	account) name=account/$(header account-id "$file") ;;
	account-key) name=account-key/$(header public-key-sha3-384 "$file") ;;
	*) name=${file##*/} ;;
	esac
	if known "$type" "$file"; then
		say "Acknowledged before: $name assertion"
	else
		say "Acknowledging $name assertion..."
		try "acknowledge $file" snap ack "$file"
	fi
}

# files TYPE: the files with an assertion of a type, in the first of the folders that has any
files() {
	local folder file found=()
	for folder in "$assertions" "$from" "$here"; do
		[[ $folder ]] || continue
		for file in "$folder"/*.assert "$folder"/*.account "$folder"/*.account-key; do
			[[ -f $file && $(header type "$file") == "$1" ]] && found+=("$file")
		done
		((${#found[@]} == 0)) || break
	done
	((${#found[@]} == 0)) || printf '%s\n' "${found[@]}"
}

# fetch TYPE KEY=VALUE...: an assertion from the store
fetch() {
	local file=$scratch/$1.assert
	timeout 60 snap known --remote "$@" >"$file" 2>/dev/null && [[ -s $file ]] && printf '%s' "$file"
}

here=''
[[ ! -f ${BASH_SOURCE[0]:-} ]] || here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

check_assertions() {
	local type file account key signer schema schemas found
	mapfile -t schemas < <(files "$kind")
	if ((${#schemas[@]} > 1)); then
		die "there are several $kind assertions: ${schemas[*]}" "Leave one of them, or give its folder with --assertions"
	fi
	account=$(meta aspects-poc-control | values account)
	schema=${schemas[0]:-}
	if [[ -z $schema ]]; then
		# shellcheck disable=SC2046 # one word, or none
		[[ $(snap known "$kind" name=network ${account:+account-id="$account"} 2>/dev/null) ]] && return
		if [[ -z $account ]] || ! schema=$(fetch "$kind" account-id="$account" name=network); then
			die "there is no $kind assertion: neither in ${assertions:-${from:-${here:-a folder}}}, nor does snapd or the store have it" \
				"The publisher makes it: make assertion KEY=NAME ACCOUNT_ID=ID (docs/snaps.md)" \
				"Then give its folder: sudo ./install.sh --assertions DIR"
		fi
	elif [[ $account && $(header account-id "$schema") != "$account" ]]; then
		die "the snaps are made for account $account, but $schema is of account $(header account-id "$schema")" \
			"Build them for that: make all ACCOUNT_ID=$(header account-id "$schema")"
	fi
	signer=$(header sign-key-sha3-384 "$schema")
	for type in account account-key; do
		mapfile -t found < <(files "$type")
		if ((${#found[@]} == 0)) && ! grep -qx "type: $type" "$schema"; then
			# snapd may have them already; else the store has them.
			key=account-id=$(header account-id "$schema")
			[[ $type == account ]] || key=public-key-sha3-384=$signer
			if [[ -z $(snap known "$type" "$key" 2>/dev/null) ]] && file=$(fetch "$type" "$key"); then
				found=("$file")
			fi
		fi
		for file in "${found[@]}"; do acknowledge "$type" "$file"; done
	done
	acknowledge "$kind" "$schema"
}

# --- installing --------------------------------------------------------------

turn_on() {
	[[ $(feature "$flag") != *'"enabled":true'* ]] || return 0
	say "Turning on experimental.$flag..."
	try "turn on experimental.$flag" snap set system "experimental.$flag=true"
	[[ $dry_run ]] || { mkdir -p "${marker%/*}" && echo "$flag" >"$marker"; }
}

# same SNAP REVISION FILE: whether the installed snap is this file
same() { cmp -s "$3" "$root/var/lib/snapd/snaps/$1_$2.snap"; }

install_snap() {
	local snap=$1 have='' file=''
	have=$(revision "$snap") || true
	if [[ -z $from ]]; then
		if [[ $have ]]; then
			say "$snap is installed (revision $have)"
			return
		fi
		say "Installing $snap..."
		try "install $snap" snap install "--channel=$channel" "$snap"
		return
	fi
	file=$(snap_file "$snap") || die "there is no file of $snap in $from for this machine" \
		"make all builds ${snap}_VERSION_ARCH.snap; then: sudo ./install.sh --from ."
	if [[ $have ]] && same "$snap" "$have" "$file"; then
		say "$snap is installed (revision $have)"
		return
	fi
	say "Installing $snap..."
	try "install $file" snap install --dangerous "$file"
}

# Without a store, the snaps that ours need come from the folder, too.
install_bases() {
	[[ $from ]] || return 0
	local snap file
	for snap in snapd bare; do
		if ! revision "$snap" >/dev/null && file=$(snap_file "$snap"); then
			say "Installing $snap..."
			try "install $file" snap install --dangerous "$file"
		fi
	done
}

connect() {
	local snap plug ordered
	mapfile -t ordered < <(custodians_first)
	for snap in "${ordered[@]}"; do
		if [[ $dry_run ]] && ! revision "$snap" >/dev/null; then
			say "+ snap connect $snap:PLUG, for each that \`snap connections $snap\` shows without a slot"
			continue
		fi
		for plug in $(plugs "$snap"); do
			say "Connecting $plug..."
			try "connect $plug" snap connect "$plug"
		done
	done
}

# views: every view for which a snap has a plug, as ACCOUNT/SCHEMA/VIEW
views() {
	local snap
	for snap in "${snaps[@]}"; do
		meta "$snap" | awk '
			function bare(word) { gsub(/["\047]/, "", word); return word }
			$1 == "account:" { account = bare($2) }
			$1 == "view:" { view = bare($2) }
			account != "" && view != "" { print account "/" view; account = view = "" }'
	done | sort -u
}

# ask VIEW: reads a view; $answer has the answer on one line
answer=''
ask() {
	local code=0
	answer=$(timeout 60 snap get -d "$1" 2>&1) || code=$?
	answer=$(unwrapped <<<"$answer")
	return "$code"
}

verify() {
	local view first trouble='' missing=0 all pause=2 tries
	mapfile -t all < <(views)
	((${#all[@]})) || die "the snaps that are installed plug no confdb view" "Are they snaps of aspects-poc? snap connections aspects-poc-control"
	first=$(printf '%s\n' "${all[@]}" | grep '/observe-device$' || true)
	first=${first:-${all[0]}}
	say "Waiting for the device to be registered..."
	for ((tries = patience / pause; ; tries--)); do
		if ask "$first"; then break; fi
		((tries > 0)) || die "$first does not answer after $patience seconds: $answer" "$(way_out "$answer")" \
			"The control snap says why: snap logs aspects-poc-control -n 20" "The server as well: snap logs aspects-poc-server -n 20"
		sleep "$pause"
	done
	for view in "${all[@]}"; do
		if ask "$view"; then
			say "$view answers"
		elif [[ $answer == *': no data' || $answer == *': no view data' ]]; then
			say "$view answers: nothing is stored yet"
		else
			warn "$view does not answer: $answer"
			missing=$((missing + 1)) trouble=$answer
		fi
	done
	((missing == 0)) || die "$missing of ${#all[@]} views do not answer" "$(way_out "$trouble")"
	say "All ${#all[@]} views answer. Look at the device, and at the server's API:"
	say "  sudo snap get -d $first"
	say "  http://127.0.0.1:8000/docs"
}

# --- removing ----------------------------------------------------------------

# writable ACCOUNT: a line for each view of the acknowledged confdb-schema that can be written: its name and its requests
writable() {
	snap known "$kind" name=network "account-id=$1" 2>/dev/null | awk '
		function rule() { if (request != "" && access != "read") requests = requests " " request; request = access = "" }
		function flush() { rule(); if (view != "" && requests != "") print view requests; view = requests = "" }
		/^[^ ]/ { flush(); inside = $1 == "views:" }
		!inside { next }
		/^  [^ ].*:$/ { flush(); view = substr($1, 1, length($1) - 1) }
		/^      -/ { rule() }
		/^        access: / { access = $2 }
		/^        request: / { request = $2; sub(/\.?[{[].*/, "", request) }
		END { flush() }'
}

# snapd keeps the stored values when the snaps are removed, and without a custodian nobody can unset them.
forget_data() {
	local account line words todo left refused=''
	account=$(meta aspects-poc-control | values account)
	mapfile -t todo < <(writable "$account")
	if ((${#todo[@]} == 0)); then
		warn "snapd does not know the confdb-schema any more; nothing can be unset"
		return
	fi
	# A custodian may refuse to unset what another view still needs. So a refused view comes again after the others.
	while ((${#todo[@]})); do
		left=()
		for line in "${todo[@]}"; do
			read -ra words <<<"$line"
			say "Unsetting $account/network/${words[0]}..."
			patiently snap unset "$account/network/${words[0]}" "${words[@]:1}" || { left+=("$line") && refused=$failure; }
		done
		if ((${#left[@]} == ${#todo[@]})); then
			die "cannot unset what the views hold: $refused" "$(way_out "$refused")" \
				"Without its custodian the data would stay in snapd. To have it so: sudo ./install.sh --uninstall --keep-data"
		fi
		todo=("${left[@]}")
	done
}

take_away() {
	local snap present=() order=()
	for snap in "${snaps[@]}"; do
		if revision "$snap" >/dev/null; then present+=("$snap"); fi
	done
	for snap in "${present[@]}"; do
		say "Stopping $snap..."
		patiently snap stop "$snap" || warn "$failure" # else control would write its defaults again
	done
	if revision aspects-poc-control >/dev/null && [[ -z $keep_data ]]; then forget_data; fi
	mapfile -t order < <(custodians_first | tac)
	for snap in "${order[@]}"; do
		revision "$snap" >/dev/null || continue
		say "Removing $snap..."
		try "remove $snap" snap remove --purge "$snap"
	done
	if [[ -f $marker ]]; then
		if snap connections --all 2>/dev/null | grep '^confdb ' | grep -qv ' aspects-poc-'; then
			say "Leaving experimental.$(<"$marker") on: other snaps plug confdb"
		else
			say "Turning off experimental.$(<"$marker")..."
			try "turn it off" snap unset system "experimental.$(<"$marker")"
		fi
		if [[ -z $dry_run ]]; then
			rm -f "$marker"
			rmdir "${marker%/*}" 2>/dev/null || true
		fi
	fi
	say "Done. Assertions stay known to snapd, which cannot forget any; so do the snaps that others share (snapd, bare)."
}

# -----------------------------------------------------------------------------

check_snapd
if [[ -z $dry_run && $(id -u) != 0 ]]; then
	again=()
	[[ -z $here ]] || again=("sudo$(printf ' %q' "${BASH_SOURCE[0]}" "${arguments[@]}")")
	die "this needs root" "${again[@]:-sudo bash -c \"\$(curl …)\"}"
fi
if [[ $uninstall ]]; then
	take_away
	exit
fi
if below 2 77; then
	warn "snapd $version: below 2.77 the first write through a new confdb-schema erases the data of all others"
fi
try "wait for snapd" snap wait system seed.loaded
turn_on
install_bases
check_assertions
for snap in "${snaps[@]}"; do install_snap "$snap"; done
connect
if [[ $dry_run ]]; then say "Then every view would be read until it answers, for $patience seconds at most."; else verify; fi
