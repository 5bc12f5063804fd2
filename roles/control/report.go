package control

import (
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// report returns what a poll reports besides the configuration: the results of targets, from the journal, and the
// counters. Every poll has it, so that it does not matter which reports the server has stored.
func (a *agent) report(config serverapi.Config, documents map[string]map[string]any) *serverapi.Report {
	report := &serverapi.Report{}
	if a.journal.ours() {
		report = a.journal.Report()
		report.Instance = a.dir.Instance()
		if err := a.journal.number(report, config); err != nil {
			a.trouble.note(ofJournal, err)
		}
	}
	report.Stats = a.stats(documents)
	return report
}

// stats returns the last counters without reading anything. It is nil before the first count.
func (a *agent) stats(documents map[string]map[string]any) *serverapi.Stats {
	if a.countedAt.IsZero() {
		return nil
	}
	stats := &serverapi.Stats{At: a.countedAt.Unix(), Packets: map[string]serverapi.Packets{}}
	var interfaces network.ControlInterfaces
	if kept.Decode(documents[network.ControlInterfacesView], &interfaces) == nil {
		for name, total := range interfaces.Stats {
			stats.Packets[name] = serverapi.Packets{Sent: total.NSent, Received: total.NReceived}
		}
	}
	var peers int64
	if list, ok := documents[network.ControlTunnelView]["peers"].([]any); ok {
		peers = int64(len(list))
	}
	stats.Peers = &peers
	return stats
}
