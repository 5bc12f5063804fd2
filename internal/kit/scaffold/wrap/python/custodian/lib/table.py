"""How the views and the file belong together. registry new wrote it from [[.File]]; change it together with the confdb-schema."""

FILE = "$SNAP_COMMON/[[.File]]"  # where the file is on the machine
FORMAT = "[[.Format]]"
DEFAULT = "[[.File]]"  # the file that the snap brings along, in default/
MODE = [[.Mode]]
ADMIN = ":[[.Name]]-[[.Name]]-admin"
SECRETS = "[[if .Secrets]]:[[.Name]]-[[.Name]]-secrets-state[[end]]"

# The request in the views, the keys in the file, the kind of the value, a text whose style a key takes that comes back, and
# whether it is a secret.
KEYS = [
[[range .Rows]]    [[.]]
[[end]]]
