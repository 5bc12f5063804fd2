package postgres

import (
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// devicesFrom has the tables of rows.DeviceColumns.
const devicesFrom = ` FROM devices d JOIN reports r ON r.device = d.id JOIN standings s ON s.device = d.id
	LEFT JOIN layers o ON o.device = d.id`

// eachDevice reads rows of rows.DeviceColumns or rows.BriefColumns.
func eachDevice(from pgx.Rows, each func(id int64, device fleet.Device)) error {
	var row rows.Device
	_, err := pgx.ForEachRow(from, row.Into(), func() error {
		device, err := row.Device()
		if err == nil {
			each(row.ID, device)
		}
		return err
	})
	return err
}
