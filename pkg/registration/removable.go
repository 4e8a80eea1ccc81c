package registration

import "fmt"

// Removable returns which of the secrets behind the first are no endpoint's: delivering
// are the endpoints that deliver to the URL. One of several whose secret is not known
// makes that an error.
func Removable(list []Secret, delivering []Endpoint) (old []Secret, err error) {
	marks := map[string]bool{}
	for _, e := range delivering {
		mark := e.Metadata[MetaSecret]
		if mark == "" && len(delivering) > 1 {
			return nil, fmt.Errorf("%d endpoints deliver to this URL, and which secret is that of %s is not known", len(delivering), e.ID)
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

// Delivering returns the endpoints that deliver to a URL, for whichever accounts.
func Delivering(all []Endpoint, url string) (list []Endpoint) {
	for _, e := range all {
		if !e.Disabled && sameURL(e.URL, url) {
			list = append(list, e)
		}
	}
	return list
}
