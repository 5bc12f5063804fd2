# How the views and the file belong together. registry new wrote it from [[.File]]; change it together with the confdb-schema.

FILE=$SNAP_COMMON/[[.File]] # where the file is on the machine
DEFAULT=[[.File]]           # the file that the snap brings along, in default/
MODE=[[.Mode]]
ADMIN=:[[.Name]]-[[.Name]]-admin
SECRETS=[[if .Secrets]]:[[.Name]]-[[.Name]]-secrets-state[[end]]

# The request in the views, whether it is a secret, the kind of the value, the section and the key in the file, and a text whose
# style a key takes that comes back; a tab stands between two of them.
keys() {
	cat <<'END'
[[range .Rows]][[.]]
[[end]]END
}
