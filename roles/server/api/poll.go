package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// document is serverapi.Document with the configuration as text, so that numbers keep their digits.
type document struct {
	Config fleet.Config `json:"config"`
}

// offer is serverapi.Offer with the configuration as text.
type offer struct {
	Config   fleet.Config     `json:"config"`
	Revision int64            `json:"revision"`
	Hash     string           `json:"hash"`
	Signed   *signed.Evidence `json:"signed,omitempty"`
}

// The limits of a report, in characters and bytes.
const (
	longestReason = 4000
	longestPath   = 1000
	largestStats  = 16 << 10
)

// answerTime is the longest time to send the answer to a held poll.
const answerTime = 10 * time.Second

// poll stores a device's report and answers with its target.
//
//	@Summary		Report a device's configuration, and get the target
//	@Description	A device is in sync when it runs the desired revision, with its hash, and reports no value that
//	@Description	contradicts it. A client that does not say what it runs is in sync when every leaf of the target equals
//	@Description	what it reports. Arrays are compared whole; null in the target means that the device must not report the
//	@Description	value; an empty object demands nothing. A target that the device has refused is not offered again.
//	@Description	A report that equals the previous one is not written to the store. The server ignores a report whose
//	@Description	sequence is lower than the last stored one; the header Report-Sequence then has the stored one.
//	@Description	With "Prefer: wait=SECONDS" the server answers when there is an offer that the device has not tried, or
//	@Description	when the time is up; Preference-Applied has the longest time that it waits. A newer poll of the device
//	@Description	ends an older one with 204. Poll-Interval has the number of seconds between polls.
//	@Description	Poll-Proof shows a device that this server knows its key and has the report of this poll: it is the
//	@Description	base64url of the SHA-256 over "aspects-poc answer", the signature base of the poll (RFC 9421), each with a
//	@Description	line feed after it, and the public key (SubjectPublicKeyInfo).
//	@Tags			device
//	@ID				poll
//	@Param			Prefer	header		string					false	"wait=SECONDS, up to 300"
//	@Param			body	body		serverapi.PollRequest	true	"The device, its configuration, the target that it runs, and the outcome of the last one that it tried"
//	@Success		200		{object}	serverapi.Offer			"The target to apply"
//	@Success		204		"There is no new target"
//	@Failure		400		{object}	serverapi.Problem	"Agent not registered"
//	@Failure		401		{object}	serverapi.Problem	"The signature is missing, wrong or expired; type says which"
//	@Failure		403		{object}	serverapi.Problem	"The device is pending or revoked, as type says; or a browser sent the request for another site's page"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/poll/ [post]
func (h *handlers) poll(c echo.Context) error {
	header := c.Response().Header()
	header.Set(serverapi.PollInterval, strconv.FormatInt(int64(h.fleet.PollInterval()/time.Second), 10))
	var id uuid.UUID
	var poll fleet.Poll
	err := h.decode(c,
		field{name: "uuid", read: deviceID(&id)},
		field{name: "config", read: configuration(&poll.Config)},
		field{name: "report", fields: reportFields(&poll), optional: true, present: &poll.Report},
	)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	caller := access.From(ctx)
	poll.Sent = caller.Sent
	if h.gate != nil {
		if err := h.gate.Speaks(ctx, caller, id); err != nil {
			return err
		}
		poll.Idle = caller.Unconfirmed != nil
	}
	if poll.Wait = preferredWait(c.Request().Header); poll.Wait > 0 {
		// The server's timeouts would end a held poll.
		control := http.NewResponseController(c.Response())
		err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Now().Add(poll.Wait+answerTime)))
		if err != nil { // a connection without deadlines
			poll.Wait = 0
		}
	}
	answers := answers{wait: poll.Wait, reports: poll.Report}
	answer, held, err := h.fleet.Take(ctx, id, poll)
	if held == nil {
		return answers.poll(c, answer, err)
	}
	return h.later(c, held, func(c echo.Context) error {
		answer, err := held.Answer()
		return answers.poll(c, answer, err)
	})
}

// answers has what the answer to a poll needs beside fleet.Answer. A held poll has only this of its request.
type answers struct {
	wait    time.Duration
	reports bool
}

func (a answers) poll(c echo.Context, answer fleet.Answer, err error) error {
	caller := access.From(c.Request().Context())
	if caller.Unconfirmed != nil && errors.Is(err, fleet.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", err, caller.Unconfirmed)
	}
	if err != nil {
		return err
	}
	header := c.Response().Header()
	if answer.Waits {
		header.Set("Preference-Applied", "wait="+strconv.FormatInt(int64(a.wait/time.Second), 10))
	}
	if answer.Later > 0 {
		header.Set(serverapi.ReportSequence, strconv.FormatInt(answer.Later, 10))
	} else if a.reports && caller.Proof != "" {
		header.Set(serverapi.PollProof, caller.Proof)
	}
	if answer.Offer == nil {
		return c.NoContent(http.StatusNoContent)
	}
	header.Set(echo.HeaderCacheControl, "no-store") // a target may have secrets
	return answerJSON(c, offer{Config: answer.Offer.Config, Revision: answer.Offer.Revision, Hash: answer.Offer.Hash,
		Signed: answer.Offer.Signing.Evidence})
}

// preferredWait returns the time of "Prefer: wait=SECONDS" (RFC 7240, section 4.3); 0 for none. It ignores malformed
// values, as the RFC demands.
func preferredWait(header http.Header) time.Duration {
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0
			}
			return time.Duration(min(seconds, serverapi.MaxWait)) * time.Second
		}
	}
	return 0
}

// reportFields returns the fields of serverapi.Report.
func reportFields(poll *fleet.Poll) []field {
	tried := &poll.Attempted
	return []field{
		{name: "sequence", read: integer(&poll.Sequence, 0), optional: true},
		{name: "instance", read: word(&poll.Instance, 64), optional: true},
		{name: "running", optional: true, fields: []field{
			{name: "revision", read: integer(&poll.Running.Revision, 0)},
			{name: "hash", read: word(&poll.Running.Hash, 100)},
		}},
		{name: "attempted", optional: true, fields: []field{
			{name: "revision", read: integer(&tried.Revision, 0)},
			{name: "outcome", read: outcome(&tried.Outcome)},
			{name: "path", read: word(&tried.Path, longestPath), optional: true},
			{name: "reason", read: word(&tried.Reason, longestReason), optional: true},
			{name: "at", read: integer(&tried.At, 0), optional: true},
		}},
		{name: "stats", read: stats(&poll.Stats), optional: true},
	}
}

func outcome(target *fleet.Outcome) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given string
		if complaint := text(&given, 100)(value); complaint != "" {
			return complaint
		}
		parsed, err := wire.ParseOutcome(given)
		if err != nil {
			return err.Error()
		}
		*target = parsed
		return ""
	}
}

// stats parses serverapi.Stats as JSON text.
func stats(target *string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '{' {
			return "must be an object, not " + kindOf(value)
		}
		if len(value) > largestStats {
			return "must not be larger than " + strconv.Itoa(largestStats) + " bytes"
		}
		var counted serverapi.Stats
		if err := json.Unmarshal(value, &counted); err != nil {
			return `must be such as {"at":0,"packets":{"eth0":{"sent":1,"received":2}},"peers":3}`
		}
		plain, err := json.Marshal(counted)
		if err != nil {
			return "cannot be stored: " + err.Error()
		}
		*target = string(plain)
		return ""
	}
}
