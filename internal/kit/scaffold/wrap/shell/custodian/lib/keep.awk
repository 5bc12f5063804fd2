# Reads and changes an INI file, and keeps all the rest: comments, order, quotes, indentation.
#
#   LC_ALL=C FILE=... awk -v act=ACT -v size=BYTES -f keep.awk
#
# It reads the rows of table.sh, and then parts. A line of "\001" and a name begins one:
#   staged, staged-secrets, previous, previous-secrets   what "snapctl get -d" prints
#   undo, stale                                          lines REQUEST=JSON, or REQUEST!
#   text                                                 the file up to the end, and one "x" behind it
# Acts:
#   values, secrets prints REQUEST=JSON for each value, as snapctl set takes it
#   check           prints "stale REQUEST=JSON" for what the file has and confdb remembers in another way
#   staged          prints what is staged
#   undo            prints "undo REQUEST=JSON" for the values in the file that the write changes
#   save            prints the file with what was written
#   back            prints the file with the values of undo
# Exit status 3: standard output says why it cannot be done. What is read is compared with what was asked for before it is printed.
#
# A value is its type and its text: "s:" a text, "b:" true or false, "n:" a number in its shortest form, "" for none.

BEGIN {
	FS = "\t"
	file = ENVIRON["FILE"]
	for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i
	split("true false True False TRUE FALSE yes no Yes No YES NO on off On Off ON OFF", word, " ")
	for (i = 1; i in word; i += 2) {
		is_bool[word[i]] = "true"
		is_bool[word[i + 1]] = "false"
		opposite[word[i]] = word[i + 1]
		opposite[word[i + 1]] = word[i]
	}
	part = "table"
}

part == "text" { L[++lines] = $0; length_of_all += length($0) + 1; next }
substr($0, 1, 1) == "\001" { part = substr($0, 2); next }
part == "table" {
	if ($0 == "" || $0 ~ /^#/) next
	request[++rows] = $1
	secret[$1] = $2 == "secret"
	kind[$1] = $3
	path[$1] = $4 SUBSEP $5
	like[$1] = substr($0, length($1 $2 $3 $4 $5) + 6)
	next
}
part == "undo" || part == "stale" {
	if (match($0, /[=!]/)) {
		given[part, substr($0, 1, RSTART - 1)] = json_value_of(substr($0, RSTART + 1))
		is_given[part, substr($0, 1, RSTART - 1)] = 1
	}
	next
}
{ doc[part] = doc[part] $0 }

END {
	if (ended) exit ended
	read_document("staged")
	read_document("previous")
	if (act == "staged") {
		for (r = 1; r <= rows; r++) print request[r] "=" json(staged[request[r]])
		exit 0
	}
	finish_lines()
	check_text()
	parse()
	if (broken != "") stop(file ", " broken ": correct the file")
	for (r = 1; r <= rows; r++) now[request[r]] = fitting(request[r])
	if (act == "values" || act == "secrets") {
		for (r = 1; r <= rows; r++)
			if (secret[request[r]] == (act == "secrets")) out = out argument(request[r], now[request[r]]) "\n"
		printf "%s", out
		exit 0
	}
	if (act == "check") check()
	else if (act == "undo") {
		for (r = 1; r <= rows; r++)
			if (written(request[r])) out = out "undo " argument(request[r], now[request[r]]) "\n"
		printf "%s", out
	} else {
		for (r = 1; r <= rows; r++) {
			q = request[r]
			if (act == "save" && written(q)) want[q] = staged[q]
			else if (act == "back" && (("undo" SUBSEP q) in is_given)) want[q] = given["undo", q]
		}
		edit()
		for (i = 1; i <= lines; i++) printf "%s%s", L[i], E[i]
	}
}

function stop(reason) {
	print reason
	ended = 3
	exit 3
}

# What the view of a request has.
function read_document(which) {
	rest = doc[which]
	if (rest != "") json_value(which, "")
	rest = doc[which "-secrets"]
	if (rest != "") json_value(which "-secrets", "")
	for (r = 1; r <= rows; r++) {
		q = request[r]
		if (which == "staged") staged[q] = leaf[which (secret[q] ? "-secrets" : ""), q]
		else previous[q] = leaf[which (secret[q] ? "-secrets" : ""), q]
	}
}

# written says whether a write has given a key another value. What the file had in another way before the write, and confdb was
# told of, is nothing that was written.
function written(q) {
	return staged[q] != previous[q] && !((("stale" SUBSEP q) in is_given) && given["stale", q] == staged[q])
}

function check(   r, q, changes, others, names, list) {
	for (r = 1; r <= rows; r++) {
		q = request[r]
		if (previous[q] != "") remembers = 1
		if (staged[q] != previous[q]) {
			changes++
			want[q] = staged[q]
			argument(q, staged[q]) # what is too long could not be read again
		}
	}
	edit()
	for (r = 1; r <= rows; r++) {
		q = request[r]
		if ((q in want) || now[q] == staged[q] || secret[q] && staged[q] == "") continue
		names[++others] = q
		if (!secret[q]) list = list "stale " argument(q, now[q]) "\n"
	}
	# snapd does not tell which keys are written. Without a change all have the values that confdb remembers.
	if (others && !changes && !remembers)
		stop("confdb remembers no value of " file " yet, so that nothing tells which one this write unsets: set it to a value first, then unset it")
	if (others && !changes)
		stop(file " was changed by hand since the last write: it has another " sorted(names, others) " than confdb remembers, so that this write cannot be told from none: write another value of the same key first, then this one")
	printf "%s", list
}

function sorted(names, n,   i, j, t, out) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && names[j - 1] "" > names[j] ""; j--) { t = names[j]; names[j] = names[j - 1]; names[j - 1] = t }
	for (i = 1; i <= n; i++) out = out (i > 1 ? ", " : "") names[i]
	return out
}

# fitting returns the value of a key in the file, if it is of the kind that the confdb-schema has.
function fitting(q,   p, reason) {
	p = path[q]
	if (!(p in line)) return ""
	if (kind[q] == "string" && type[p] ~ /^(bool|int|number)$/) return "s:" raw[p]
	if (type[p] == kind[q] || kind[q] == "number" && type[p] == "int") return value[p]
	reason = why[p]
	if (reason == "") reason = "the file has " type[p] ", and the confdb-schema " kind[q]
	stop(file ", line " line[p] ": " dotted(p) ": " reason ": correct the file")
}

function dotted(p,   keys) {
	split(p, keys, SUBSEP)
	return (keys[1] == "" ? "" : keys[1] ".") keys[2]
}

function argument(q, v,   out) {
	out = v == "" ? q "!" : q "=" json(v)
	if (length(out) > 131071) stop(file ": " q " is too long: a value may have 128 KiB, with its key")
	return out
}

# The text of the file

# finish_lines takes the "x" behind the text away, and finds out how each line ends.
function finish_lines(   i) {
	if (lines == 0 || substr(L[lines], length(L[lines])) != "x") stop("cannot read " file)
	length_of_all -= 2
	L[lines] = substr(L[lines], 1, length(L[lines]) - 1)
	if (L[lines] == "") lines--
	else last_is_open = 1
	for (i = 1; i <= lines; i++) {
		E[i] = i == lines && last_is_open ? "" : "\n"
		if (E[i] != "" && L[i] ~ /\r$/) {
			E[i] = "\r\n"
			L[i] = substr(L[i], 1, length(L[i]) - 1)
		}
	}
	eol = lines > 0 && E[1] == "\r\n" ? "\r\n" : "\n"
}

# check_text stops if a shell and awk would not keep the file as it is.
function check_text(   i, t, n, c, k, more, least, most) {
	if (lines > 0 && substr(L[1], 1, 3) == "\357\273\277") stop(file ", line 1: the file begins with a byte order mark: remove it: correct the file")
	if (length_of_all != size) stop(file " has a NUL byte, so that it is no text: correct the file")
	for (i = 1; i <= lines; i++) {
		t = L[i]
		while (match(t, /[\200-\377]/)) {
			t = substr(t, RSTART)
			c = byte[substr(t, 1, 1)]
			more = c >= 240 ? 3 : c >= 224 ? 2 : 1
			for (k = 1; k <= more; k++) {
				n = byte[substr(t, 1 + k, 1)]
				least = k > 1 ? 128 : c == 224 ? 160 : c == 240 ? 144 : 128
				most = k > 1 ? 191 : c == 237 ? 159 : c == 244 ? 143 : 191
				if (n < least || n > most) c = 0
			}
			if (c < 194 || c > 244) stop(file " is not UTF-8: save it as UTF-8")
			t = substr(t, more + 2)
		}
	}
}

function is_blank(   i) {
	for (i = 1; i <= lines; i++) if (trim(L[i]) != "") return 0
	return 1
}

function trim(t) {
	sub(/^[ \t\r\v\f]+/, "", t)
	sub(/[ \t\r\v\f]+$/, "", t)
	return t
}

function indentation(t) {
	match(t, /^[ \t]*/)
	return RLENGTH
}

# parse finds the keys: line, from and to (the value in its line), type, value, raw and why of each path, and the comments.
function parse(   i, t, s, c, start, end, tail, section, last, last_line, p, sign, key) {
	split("", line); split("", from); split("", to); split("", type); split("", value); split("", raw); split("", why)
	split("", order); split("", comment); split("", own_comment); split("", after); split("", indent)
	keys = 0; broken = ""; sep = ""; section = ""; last = ""; after[""] = 0
	for (i = 1; i <= lines && broken == ""; i++) {
		t = L[i]
		s = trim(t)
		if (s == "") { last = ""; continue }
		c = substr(s, 1, 1)
		start = index(t, c)
		if (c == "#" || c == ";") { comment[trim(substr(t, start))]++; continue }
		if (c == "[") {
			end = index(s, "]")
			tail = trim(substr(s, end + 1))
			if (end < 3) broken = "line " i ": a bracket or the name of a section is missing"
			else if (tail != "" && tail !~ /^[#;]/) broken = "line " i ": something stands behind the name of a section"
			else if (tail != "") comment[tail]++
			section = substr(s, 2, end - 2)
			after[section] = i
			last = ""
			continue
		}
		if (last != "" && start - 1 > indentation(L[last_line])) {
			type[last] = "other"; value[last] = ""; why[last] = "a text over several lines"
			raw[last] = raw[last] "\n" t
			after[section] = i
			continue
		}
		key = s
		last_line = i
		sign = match(s, /[=:]/)
		if (sign == 1) { broken = "line " i ": a key is missing"; continue }
		if (sign) key = trim(substr(s, 1, sign - 1))
		p = section SUBSEP key
		indent[section] = substr(t, 1, start - 1)
		after[section] = i
		last = p
		if (p in line) {
			type[p] = "other"; value[p] = ""; why[p] = "the key stands several times"
			raw[p] = raw[p] "\n" t
			continue
		}
		order[++keys] = p
		line[p] = i
		if (!sign) {
			type[p] = "other"; why[p] = "a key without a value"; raw[p] = ""
			continue
		}
		read_value(p, t, start + sign)
		if (sep == "" && start + length(key) < from[p] && from[p] < to[p]) sep = substr(t, start + length(key), from[p] - start - length(key))
	}
	if (sep == "") sep = " = "
}

# read_value reads the value that begins at a place of a line. to is behind its last character.
function read_value(p, t, at,   i, end, w, c, reason, outside, closing) {
	end = length(t) + 1
	while (at < end && substr(t, at, 1) ~ /[ \t]/) at++
	outside = at # where comments may begin
	c = substr(t, at, 1)
	if (c == "\"" || c == "'") {
		reason = "quotes that do not enclose the whole value"
		closing = index(substr(t, at + 1), c)
		if (closing) {
			outside = at + closing + 1
			if (substr(t, outside) ~ /^[ \t]*$|^[ \t]+[#;]/) reason = ""
		}
	} else if ((c == "#" || c == ";") && substr(t, at + 1) ~ /^[^ \t]/) {
		reason = "# or ; at its beginning, which is a text for some programs and a comment for others"
		outside = end
	}
	for (i = outside; i < end; i++)
		if (substr(t, i, 1) ~ /[#;]/ && substr(t, i - 1, 1) ~ /[ \t]/) {
			own_comment[p] = substr(t, i)
			comment[trim(own_comment[p])]++
			end = i
		}
	w = substr(t, at, end - at)
	sub(/[ \t]+$/, "", w)
	if (w == "") while (substr(t, at - 1, 1) ~ /[ \t]/) at-- # before the spaces in front of a comment
	from[p] = at
	to[p] = at + length(w)
	raw[p] = w
	if (reason != "") {
		type[p] = "other"
		why[p] = reason
		return
	}
	c = substr(w, 1, 1)
	if (length(w) > 1 && (c == "\"" || c == "'") && substr(w, length(w)) == c) {
		type[p] = "string"
		value[p] = "s:" substr(w, 2, length(w) - 2)
	} else if (w in is_bool) {
		type[p] = "bool"
		value[p] = "b:" is_bool[w]
	} else if (w ~ /^-?(0|[1-9][0-9]*)$/ && w != "-0") {
		type[p] = "int"
		value[p] = "n:" w
		if (too_large(w)) { type[p] = "other"; value[p] = ""; why[p] = "the number is too large to be held exactly" }
	} else if (w ~ /^-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+][0-9]+)?$/ && shortest(w) == w) {
		type[p] = "number"
		value[p] = "n:" number(w)
	} else {
		type[p] = "string"
		value[p] = "s:" w
	}
}

# Changes

# edit changes the keys of want, and stops if anything else would change. What the file has already stays as it is.
function edit(   r, q, i, p, old, old_raw, old_comment, old_type) {
	for (i = 1; i <= keys; i++) {
		p = order[i]
		old[p] = value[p]; old_raw[p] = raw[p]; old_type[p] = type[p]
	}
	for (p in comment) old_comment[p] = comment[p]
	for (r = 1; r <= rows; r++) {
		q = request[r]
		if (!(q in want) || want[q] == now[q]) continue
		p = path[q]
		if (want[q] == "") { remove(p); delete old[p] }
		else { put(p, q, want[q]); old[p] = want[q]; old_type[p] = "" }
		parse()
		if (broken != "") stop(file ": cannot change the file safely (" broken "): change it by hand")
	}
	for (i = 1; i <= keys; i++) {
		p = order[i]
		if (!(p in old) || !(old[p] == value[p] || old[p] == "s:" raw[p]) || old_type[p] == "other" && old_raw[p] != raw[p])
			stop(file ": cannot change the file safely (" dotted(p) " would change): change it by hand")
		delete old[p]
	}
	for (p in old) stop(file ": cannot change the file safely (a value would be lost): change it by hand")
	for (p in comment) old_comment[p] -= comment[p]
	for (p in old_comment) if (old_comment[p]) stop(file ": cannot change the file safely (a comment would be lost): change it by hand")
}

function put(p, q, v,   n, w, end, keys_of) {
	if (!(p in line)) {
		split(p, keys_of, SUBSEP)
		w = literal(p, v, like[q])
		if (keys_of[1] in after) add_line(after[keys_of[1]], indent[keys_of[1]] keys_of[2] sep w)
		else {
			n = lines
			if (!is_blank()) add_line(n++, "")
			add_line(n++, "[" keys_of[1] "]")
			add_line(n, keys_of[2] sep w)
		}
		return
	}
	n = line[p]
	if (type[p] == "other") stop(file ": cannot set " dotted(p) ": line " n " of the file has " why[p] ": change it there")
	w = literal(p, v, raw[p])
	end = to[p]
	if (from[p] == to[p]) {
		if (substr(L[n], from[p] - 1, 1) !~ /[ \t]/ && sep ~ / $/) w = " " w
		if (substr(L[n], end) ~ /^[ \t]*$/) end = length(L[n]) + 1
	}
	L[n] = substr(L[n], 1, from[p] - 1) w substr(L[n], end)
}

function remove(p,   i, n) {
	if (!(p in line)) return
	n = line[p]
	if (type[p] == "other") stop(file ": cannot set " dotted(p) ": line " n " of the file has " why[p] ": change it there")
	if (p in own_comment) {
		split(p, order_of, SUBSEP)
		L[n] = indent[order_of[1]] own_comment[p]
		E[n] = eol
		return
	}
	for (i = n; i < lines; i++) { L[i] = L[i + 1]; E[i] = E[i + 1] }
	lines--
}

# add_line adds a line behind the line of a number. A last line without an end gets one.
function add_line(n, t,   i) {
	for (i = lines; i > n; i--) { L[i + 1] = L[i]; E[i + 1] = E[i] }
	if (n > 0 && E[n] == "") E[n] = eol
	L[n + 1] = t
	E[n + 1] = eol
	lines++
}

# literal returns a value as the file has it, in the style of another one.
function literal(p, v, style,   t, c) {
	t = substr(v, 3)
	if (v ~ /^b:/) {
		if (!(style in is_bool)) return t
		return is_bool[style] == t ? style : opposite[style]
	}
	if (v ~ /^n:/) {
		if (too_large(t)) stop(file ": cannot set " dotted(p) ": the number is too large to be held exactly")
		return t
	}
	c = substr(style, 1, 1)
	if (c != "\"" && c != "'") c = ""
	if (t ~ /[\001-\037\177]|\302[\200-\237]|\342\200[\250\251]|\357\273\277/ || trim(t) != t || t ~ / [#;]/ || t ~ /^[#;]/ || t ~ /^(\302\240|\343\200\200)/ || t ~ /(\302\240|\343\200\200)$/ || c != "" && index(t, c) || c == "" && t ~ /^["']/)
		stop(file ": cannot set " dotted(p) ": the value cannot be in an INI file: no line breaks, spaces at the ends, quotes at the beginning, # or ;")
	return c t c
}

# Numbers

function too_large(w) {
	sub(/^-/, "", w)
	return w ~ /^[0-9]+$/ && (length(w) > 16 || length(w) == 16 && w "" > "9007199254740992")
}

# number returns the shortest form of a number: 1 and 1.0 are the same value.
function number(w,   t) {
	t = w
	sub(/\.0+$/, "", t)
	if (t ~ /^-?[0-9]+$/) return t == "-0" ? "0" : t
	t = shortest(w)
	sub(/\.0$/, "", t)
	return t
}

# shortest returns the shortest text of a floating-point number, with a "." in it.
function shortest(w,   x, n, t, exponent) {
	x = w + 0
	for (n = 0; n < 17; n++) if (sprintf("%." n "e", x) + 0 == x) break
	t = sprintf("%." n "e", x)
	exponent = substr(t, index(t, "e") + 1) + 0
	if (exponent < -4 || exponent > 15) return t
	return sprintf("%." (n > exponent + 1 ? n - exponent : 1) "f", x)
}

# JSON

function json(v,   t, out, c) {
	t = substr(v, 3)
	if (v !~ /^s:/) return v == "" ? "null" : t
	while (match(t, /["\\\001-\037]/)) {
		c = substr(t, RSTART, 1)
		out = out substr(t, 1, RSTART - 1) (c == "\"" || c == "\\" ? "\\" c : sprintf("\\u%04x", byte[c]))
		t = substr(t, RSTART + 1)
	}
	return "\"" out t "\""
}

function json_value_of(t) {
	if (t == "") return ""
	rest = t
	json_value("one", "")
	return leaf["one", ""]
}

# json_value reads a value from rest, and puts it into leaf, by document and path.
function json_value(which, p,   k, c) {
	sub(/^[ \t\r\n]+/, "", rest)
	c = substr(rest, 1, 1)
	if (c == "{") {
		rest = substr(rest, 2)
		while (1) {
			sub(/^[ \t\r\n,]+/, "", rest)
			if (substr(rest, 1, 1) != "\"") break
			k = json_text()
			sub(/^[ \t\r\n]*:/, "", rest)
			json_value(which, p == "" ? k : p "." k)
		}
		if (substr(rest, 1, 1) != "}") stop(file ": snapctl has printed something else than JSON")
		rest = substr(rest, 2)
	} else if (c == "\"") leaf[which, p] = "s:" json_text()
	else if (match(rest, /^[-+.a-zA-Z0-9]+/)) {
		c = substr(rest, 1, RLENGTH)
		rest = substr(rest, RLENGTH + 1)
		leaf[which, p] = c == "null" ? "" : (c == "true" || c == "false" ? "b:" c : "n:" number(c))
	} else stop(file ": confdb has a value of a type that an INI file cannot have")
}

# json_text reads a text in quotes from rest.
function json_text(   out, c, code) {
	rest = substr(rest, 2)
	while (match(rest, /["\\]/)) {
		c = substr(rest, RSTART, 1)
		out = out substr(rest, 1, RSTART - 1)
		rest = substr(rest, RSTART + 1)
		if (c == "\"") return out
		c = substr(rest, 1, 1)
		rest = substr(rest, 2)
		if (c == "u") {
			code = hex4()
			if (code >= 55296 && code < 56320 && substr(rest, 1, 2) == "\\u") {
				rest = substr(rest, 3)
				code = 65536 + (code - 55296) * 1024 + hex4() - 56320
			}
			out = out utf8(code)
		} else out = out (c == "n" ? "\n" : c == "t" ? "\t" : c == "r" ? "\r" : c == "b" ? "\b" : c == "f" ? "\f" : c)
	}
	stop(file ": snapctl has printed something else than JSON")
}

function hex4(   i, n) {
	for (i = 1; i <= 4; i++) n = n * 16 + index("0123456789abcdef", tolower(substr(rest, i, 1))) - 1
	rest = substr(rest, 5)
	return n
}

function utf8(n) {
	if (n < 128) return sprintf("%c", n)
	if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
	if (n < 65536) return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
	return sprintf("%c%c%c%c", 240 + int(n / 262144), 128 + int(n / 4096) % 64, 128 + int(n / 64) % 64, 128 + n % 64)
}
