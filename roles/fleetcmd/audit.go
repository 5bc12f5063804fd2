package fleetcmd

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

func auditLog(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "audit", Usage: "list who did what, the newest first",
		Description: "Lists the audit log: who did what, from where, and what came of it. It has changes by operators, by commands on the " +
			"server's database and by the server itself, refused and failed requests, and the number of requests without a valid " +
			"token. It needs an admin's token. With --follow it prints the records that are there, the oldest first, and then those that come; " +
			"with -o json each line is then a JSON document.",
		UsageText: "aspects-poc fleet audit --since 24h\naspects-poc fleet audit --who anna@example.com --result refused\n" +
			"aspects-poc fleet audit --follow -o json",
		Flags: []cli.Flag{
			roles.SpanFlag("since", "only records that are younger than `DURATION`, such as 24h or 7d"),
			&cli.StringFlag{Name: "who", Usage: "only acts of `WHO`: a token, user or person, or server, command, loopback or stranger; or the " +
				"whole of a cell of Who, such as \"first (admin)\", which no other token or person has"},
			&cli.StringFlag{Name: "thing", Usage: "only acts on the `THING`, or on things below it, such as layers/labels"},
			&cli.StringFlag{Name: "result", Usage: "only acts that were `done|unchanged|refused|failed`"},
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "list this `NUMBER` of records at most; 0: all"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with new records until interrupted"},
			countFlag("records, with --follow"),
		},
	}, 0, 0, func(s *session, _ []string) error {
		limit, err := s.limit()
		if err != nil {
			return err
		}
		filter := operator.AuditFilter{Who: s.c.String("who"), Thing: s.c.String("thing"), Result: s.c.String("result"), Page: limit}
		if since := roles.SpanOf(s.c, "since"); since > 0 {
			filter.Since = now().Add(-since)
		}
		if s.c.Bool("follow") {
			return s.followAudit(filter)
		}
		return printList(s.out, "records", auditColumns(), func(r serverapi.AuditRecord) string { return revision(r.Number) },
			first(s.client.Audit(s, filter), limit))
	})
}

func auditColumns() []column[serverapi.AuditRecord] {
	return []column[serverapi.AuditRecord]{
		{head: "Number", wide: true, cell: func(r serverapi.AuditRecord) word { return word{text: revision(r.Number)} }},
		{head: "Time", cell: func(r serverapi.AuditRecord) word { return word{text: timeOf(r)} }},
		{head: "Who", cell: func(r serverapi.AuditRecord) word { return word{text: actorOf(r.Who)} }},
		{head: "From", cell: func(r serverapi.AuditRecord) word { return word{text: r.Who.Address} }},
		{head: "Agent", wide: true, cell: func(r serverapi.AuditRecord) word { return word{text: r.Who.UserAgent} }},
		{head: "Act", cell: func(r serverapi.AuditRecord) word { return word{text: actOf(r)} }},
		{head: "Result", cell: resultOf},
	}
}

// timeOf returns the time of a record in the local time zone.
func timeOf(r serverapi.AuditRecord) string {
	at, err := time.Parse(time.RFC3339, r.Time)
	if err != nil {
		return r.Time // the form of a later server
	}
	return at.Local().Format(time.DateTime)
}

// actorOf returns who acted: the person, or the name of the token, with the token's role.
func actorOf(who serverapi.Actor) string {
	text := cmp.Or(who.Person, who.Name, who.Kind)
	switch {
	case who.Person != "":
		text += " (" + who.Name + ", " + who.Role + ")"
	case who.Role != "" && who.Name != "":
		text += " (" + who.Role + ")"
	case who.Kind == "command", who.Kind == "server":
		text = who.Kind + " (" + who.Name + ")"
	}
	return text
}

func actOf(r serverapi.AuditRecord) string {
	text := r.Verb + " " + r.Thing
	if r.Details != "" {
		text += ": " + r.Details
	}
	if r.Times > 1 {
		text += fmt.Sprintf(", %d times", r.Times)
	}
	return text
}

func resultOf(r serverapi.AuditRecord) word {
	text := r.Result
	if r.Revision != 0 {
		text += ", revision " + revision(r.Revision)
	}
	if r.Status != 0 {
		text += fmt.Sprintf(" %d", r.Status)
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return word{text, map[string]tone{"done": good, "refused": warn, "failed": bad}[r.Result]}
}

// followPause is the time between two requests for new records.
const followPause = 2 * time.Second

// followAudit prints new records until the user interrupts. It continues after a broken connection.
func (s *session) followAudit(filter operator.AuditFilter) error {
	if s.out.form == "yaml" {
		return roles.Usagef("audit --follow prints lines: want table, wide, json or name for --%s", flagOutput)
	}
	printed, warned := 0, false
	filter.Page = 0
	for {
		var failed error
		for record, err := range s.client.AuditAfter(s, &filter) {
			if failed = err; err != nil {
				break
			}
			if err := s.printRecord(record); err != nil {
				return err
			}
			if printed++; printed == s.c.Int("count") {
				return nil
			}
		}
		switch {
		case s.Err() != nil:
			return nil // the user has interrupted
		case failed != nil && !passes(failed):
			return failed
		case failed != nil && !warned:
			s.say("interrupted, still trying: %s", failed)
		}
		warned = failed != nil
		select {
		case <-s.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

// printRecord prints a record as a line.
func (s *session) printRecord(record serverapi.AuditRecord) error {
	text := ""
	switch s.out.form {
	case "json":
		encoded, err := jsonvalue.Encode(record)
		if err != nil {
			return err
		}
		text = s.out.shown(string(encoded), plain.JSON)
	case "name":
		text = revision(record.Number)
	default:
		result := resultOf(record)
		from := strings.TrimSpace("from " + record.Who.Address)
		if record.Who.Address == "" {
			from = "here"
		}
		text = plain.Line(fmt.Sprintf("%s %s %s: %s: ", timeOf(record), actorOf(record.Who), from, actOf(record))) +
			s.out.painted(plain.Line(result.text), result.tone)
	}
	_, err := fmt.Fprintln(s.env.Stdout, text)
	return err
}
