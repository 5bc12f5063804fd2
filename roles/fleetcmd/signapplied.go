package fleetcmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi/layers"
	"aspects-poc/roles/serverapi/signed"
)

// signApplied signs after a plan was applied, if --sign is given. It returns an error if the server has other layers
// than the plan.
func signApplied(s *session, plan savedPlan) error {
	if !s.c.Bool("sign") {
		return nil
	}
	return signAll(s, &plan)
}

// canSign returns an error if --sign is given and the signature after the plan would fail: nothing is signed in the
// fleet yet, or the key is not allowed or does not sign. It does not try a key of a hardware token, because each
// signature needs a touch.
func canSign(s *session) error {
	if !s.c.Bool("sign") {
		return nil
	}
	work := &signing{session: s}
	var err error
	if work.records, err = readSignRecords(s.env.Getenv); err != nil {
		return err
	}
	work.record = work.records.of[s.client.URL()]
	if _, err := work.readSecrets(); err != nil {
		return err
	}
	done := s.busy("reading who may sign")
	err = work.readPresent()
	if err == nil {
		err = work.permitted()
	}
	if done(); err != nil {
		return oneLine(err)
	}
	file := s.c.String("key")
	shown, err := work.keygen("", "-l", "-f", file)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(work.keys, func(key signed.Key) bool { return slices.Contains(strings.Fields(shown), key.Fingerprint()) }) {
		return fmt.Errorf("the key %s is none of those that may sign here", file)
	}
	if strings.HasSuffix(strings.TrimSpace(shown), "-SK)") {
		return nil
	}
	signature, err := work.signText(trial)
	if err == nil {
		_, err = work.keys.Verify(trial, signature)
	}
	return err
}

// trial is the text with which canSign tests a key. It is no statement.
const trial = "a trial"

// verify returns an error unless the layers are as the plan leaves them: the folder's layers as they were applied, and
// the others as they were when the plan was made.
func (p *savedPlan) verify(list []signed.Layer) error {
	present, others := map[string]signed.Layer{}, map[string]string{}
	for _, layer := range list {
		present[layer.Layer], others[layer.Layer] = layer, layerDigest(layer)
	}
	for _, change := range p.Batch.Changes {
		layer, there := present[change.Layer]
		delete(others, change.Layer)
		if change.Remove {
			if there {
				return fmt.Errorf("nothing is signed: the server still has the layer %s, which was removed", change.Layer)
			}
			continue
		}
		selector, err := layers.ParseSelector(change.Selector)
		if err != nil {
			return err
		}
		wanted := map[string]any{}
		for view, value := range change.Config {
			wanted[view[strings.LastIndex(view, "/")+1:]] = withoutDigests(value) // the server shortens names of views
		}
		if !there || layer.Selector != selector.String() || layer.Priority != change.Priority || !jsonvalue.Equal(layer.Config, wanted) {
			return fmt.Errorf("nothing is signed: the server shows another layer %s than was applied", change.Layer)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		switch digest, planned := p.Left[name]; {
		case !planned:
			return fmt.Errorf("nothing is signed: the server has a layer %s, which the plan does not have", name)
		case digest != others[name]:
			return fmt.Errorf("nothing is signed: the layer %s is not as it was when the plan was made", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Left)) {
		if _, there := others[name]; !there {
			return fmt.Errorf("nothing is signed: the server does not have the layer %s any more", name)
		}
	}
	return nil
}

// layerDigest returns a digest of a layer's whole content.
func layerDigest(layer signed.Layer) string {
	text, err := jsonvalue.Encode(layer)
	if err != nil {
		return ""
	}
	return signed.Digest(string(text))
}
