package rows

import "aspects-poc/roles/server/fleet"

// SecretColumns are the columns of a Secret.
const SecretColumns = "name, value, revision, author, at"

// A Secret is a row of SecretColumns.
type Secret struct {
	name         string
	value        []byte
	revision, at int64
	author       Text
}

// Into returns what the columns are scanned into.
func (r *Secret) Into() []any {
	return []any{&r.name, &r.value, &r.revision, &r.author, &r.at}
}

// Secret returns the secret. It returns an error for a row that no store has written.
func (r *Secret) Secret() (fleet.Secret, error) {
	value, err := configOf("a secret", r.value)
	if err != nil {
		return fleet.Secret{}, err
	}
	return fleet.Secret{Name: r.name, Value: value, Revision: r.revision,
		Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}, nil
}

// SecretValues returns the values for SecretColumns.
func SecretValues(secret fleet.Secret) []any {
	return []any{secret.Name, []byte(secret.Value.String()), secret.Revision, Text(secret.By), Seconds(secret.At)}
}
