package stripe

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// maxOverlap bounds how long an old secret may still sign.
const maxOverlap = 24 * time.Hour

// roll gives an endpoint a new secret. The old one also signs for the time that the request
// gives, and ends at once without one. At Stripe this works only in the Dashboard.
func (s *Fake) roll(r *http.Request) ([]byte, *apiError) {
	var want struct {
		Expire int64 `json:"expire_s"`
	}
	if err := readControl(r, &want); err != nil {
		return nil, err
	}
	overlap := time.Duration(want.Expire) * time.Second
	if want.Expire < 0 || want.Expire > int64(maxOverlap/time.Second) {
		return nil, invalid(http.StatusBadRequest, "", "expire_s", "expire_s is from 0 to %d.", int64(maxOverlap/time.Second))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	e := *old
	e.Secrets = rolled(old.Secrets, newSecret(), s.now(), overlap)
	if err := s.keepEndpoint(&e); err != nil {
		return nil, broken(err)
	}
	answer := map[string]any{"id": e.ID, "secret": e.Secrets[0].Value}
	if overlap > 0 {
		answer["previous_expires_at"] = e.Secrets[1].Until.Unix()
	}
	raw, _ := json.MarshalIndent(answer, "", "  ") // texts and a number cannot fail
	return raw, nil
}

// rolled puts a new secret first and sets the end of the others, unless they end earlier.
func rolled(old []secret, fresh secret, now time.Time, overlap time.Duration) []secret {
	secrets := []secret{fresh}
	for _, each := range old {
		if end := now.Add(overlap); each.Until.IsZero() || end.Before(each.Until) {
			each.Until = end
		}
		if now.Before(each.Until) {
			secrets = append(secrets, each)
		}
	}
	return secrets
}

// active returns the secrets that sign at a time.
func active(secrets []secret, now time.Time) []secret {
	return slices.DeleteFunc(slices.Clone(secrets), func(each secret) bool { return !each.Until.IsZero() && !now.Before(each.Until) })
}
