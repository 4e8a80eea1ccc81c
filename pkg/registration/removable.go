package registration

import "fmt"

// Removable returns the secrets after the first that none of the delivering endpoints uses.
// It is an error if the secret of one of several endpoints is unknown.
func Removable(list []Secret, delivering []Endpoint) (old []Secret, err error) {
	marks := map[string]bool{}
	for _, e := range delivering {
		mark := e.Metadata[MetaSecret]
		if mark == "" && len(delivering) > 1 {
			return nil, fmt.Errorf("%d endpoints deliver to this URL, and the secret of %s is unknown", len(delivering), e.ID)
		}
		marks[mark] = true
	}
	for _, s := range list[min(1, len(list)):] {
		if !marks[s.Fingerprint()] {
			old = append(old, s)
		}
	}
	return old, nil
}

// Delivering returns the enabled endpoints of a URL, for any accounts.
func Delivering(all []Endpoint, url string) (list []Endpoint) {
	for _, e := range all {
		if !e.Disabled && sameURL(e.URL, url) {
			list = append(list, e)
		}
	}
	return list
}
