package control

import (
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// report is what a poll tells beside the configuration: what became of targets, as the journal has it, and what was
// counted. It is told with every poll, so that it need not be known which of them the server has kept.
func (a *agent) report(config serverapi.Config, documents map[string]map[string]any) *serverapi.Report {
	report := &serverapi.Report{}
	if a.journal.ours() {
		report = a.journal.Report()
		report.Instance = a.state.instance()
		if err := a.journal.number(report, config); err != nil {
			a.trouble.note(ofJournal, err)
		}
	}
	report.Stats = a.stats(documents)
	return report
}

// stats is what was counted last, of what is known already: nothing is read for it. It is nil before the first count.
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
