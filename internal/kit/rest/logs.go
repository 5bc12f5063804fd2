package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A LogLine is a line in the log of a service.
type LogLine struct {
	Time    time.Time
	Service string // SNAP.SERVICE that the line is about
	PID     int
	Text    string
	Systemd bool // the service manager has written the line, not the service
}

// Logs returns the lines that services have printed.
type Logs interface {
	// Logs calls yield for the last lines of the services together, oldest first; a negative last means all lines. With
	// follow it continues with new lines until ctx ends. It ends when yield returns an error.
	Logs(ctx context.Context, services []string, last int, follow bool, yield func(LogLine) error) error
}

// defaultLines is the number of lines that snapd returns if the request has none.
const defaultLines = 10

// showLogs returns lines of services as a sequence of JSON texts (RFC 7464), as snapd does.
func (s *Server) showLogs(r *http.Request) (reply, error) {
	query := r.URL.Query()
	last, follow := defaultLines, false
	var err error
	if text := query.Get("n"); text != "" {
		if last, err = strconv.Atoi(text); err != nil {
			return reply{}, badRequest(fmt.Sprintf("invalid value for n: %q: %v", text, err))
		}
	}
	if text := query.Get("follow"); text != "" {
		if follow, err = strconv.ParseBool(text); err != nil {
			return reply{}, badRequest(fmt.Sprintf("invalid value for follow: %q: %v", text, err))
		}
	}
	apps, err := s.namedApps(commaSeparated(query.Get("names")), servicesOnly)
	if err != nil {
		return reply{}, err
	}
	if len(apps) == 0 {
		return reply{}, refuse(http.StatusNotFound, "no matching services")
	}
	var services []string
	for _, app := range apps {
		services = append(services, app.Snap+"."+app.Name)
	}
	slices.Sort(services)
	return reply{raw: func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json-seq")
		w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(w).Flush
		if s.options.Logs == nil || flush() != nil {
			return
		}
		err := s.options.Logs.Logs(r.Context(), services, last, follow, func(line LogLine) error {
			sid := line.Service
			if line.Systemd {
				sid = "systemd"
			}
			text, err := json.Marshal(map[string]string{"timestamp": line.Time.UTC().Format(time.RFC3339Nano),
				"message": line.Text, "sid": sid, "pid": strconv.Itoa(line.PID)})
			if err == nil {
				_, err = fmt.Fprintf(w, "\x1e%s\n", text)
			}
			if err == nil && follow {
				err = flush()
			}
			return err
		})
		if err != nil && r.Context().Err() == nil {
			s.log.Debug("client has gone", "error", err)
		}
	}}, nil
}
