package hookrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/sys/unix"

	"aspects-poc/registry/kit/world"
)

// Handler is snapd's endpoint for snaps, POST /v2/snapctl; all else is denied, as on snapd's socket for snaps. Who calls
// is told by the connection, if PeerContext is the server's ConnContext; else it is root.
func Handler(w *world.World) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/snapctl" {
			refuse(writer, &world.Error{Status: http.StatusForbidden, Kind: world.KindLoginRequired, Message: "access denied"})
			return
		}
		if r.Method != http.MethodPost {
			refuse(writer, &world.Error{Status: http.StatusMethodNotAllowed,
				Message: fmt.Sprintf("method %q not allowed", r.Method)})
			return
		}
		var body struct {
			Context string   `json:"context-id"`
			Args    []string `json:"args"`
			Stdin   []byte   `json:"stdin"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(writer, r.Body, 16<<20)).Decode(&body); err != nil {
			refuse(writer, &world.Error{Status: http.StatusBadRequest, Message: "cannot decode snapctl request: " + err.Error()})
			return
		}
		uid, _ := r.Context().Value(peerKey{}).(int)
		output, err := w.Snapctl(r.Context(), world.SnapctlCall{Cookie: body.Context, UID: uid, Args: body.Args})
		if err != nil {
			refuse(writer, err)
			return
		}
		send(writer, http.StatusOK, map[string]any{"type": "sync",
			"result": map[string]string{"stdout": output.Stdout, "stderr": output.Stderr}})
	})
}

func refuse(w http.ResponseWriter, err error) {
	refused := &world.Error{}
	if !errors.As(err, &refused) {
		refused = &world.Error{Status: http.StatusInternalServerError, Message: err.Error()}
	}
	result := map[string]any{"message": refused.Message}
	if refused.Kind != "" {
		result["kind"] = refused.Kind
	}
	if refused.Value != nil {
		result["value"] = refused.Value
	}
	send(w, refused.Status, map[string]any{"type": "error", "result": result})
}

func send(w http.ResponseWriter, status int, envelope map[string]any) {
	envelope["status-code"], envelope["status"] = status, http.StatusText(status)
	text, err := json.Marshal(envelope)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away is its own affair
}

type peerKey struct{}

// PeerContext puts the user ID at the other end of a unix socket into the context. Whoever runs the world counts as root:
// that is who its hooks run as.
func PeerContext(ctx context.Context, conn net.Conn) context.Context {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx
	}
	uid := 0
	err = raw.Control(func(fd uintptr) {
		credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil && int(credentials.Uid) != unix.Geteuid() {
			uid = int(credentials.Uid)
		}
	})
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, uid)
}
