package stripe

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// apply changes an endpoint by a form; more are the parameters that the form may have besides
// those of every request. After an error the endpoint must not be used.
func (e *endpoint) apply(f form, more ...string) *apiError {
	if err := e.setURL(f); err != nil {
		return err
	}
	if err := e.setEvents(f); err != nil {
		return err
	}
	if text, given := f.text("description"); given {
		e.Description = text
	}
	e.setMetadata(f)
	f.list("expand") // an endpoint has nothing to expand
	for _, name := range more {
		if value, given := f.text(name); given {
			if err := e.set(name, value); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		return unknown(name)
	}
	return nil
}

func (e *endpoint) setURL(f form) *apiError {
	raw, given := f.text("url")
	if !given {
		return nil
	}
	if u, err := url.Parse(raw); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return invalid(http.StatusBadRequest, "url_invalid", "url", "Invalid URL: it must have an explicit scheme, http or https, and name a host.")
	}
	e.URL = raw
	return nil
}

func (e *endpoint) setEvents(f form) *apiError {
	names := f.list("enabled_events")
	for _, name := range names {
		if !isEventType(name) {
			return invalid(http.StatusBadRequest, "", "enabled_events", "Invalid enabled_events: %.100q is no event that a webhook endpoint can be enabled for.", name)
		}
	}
	if names != nil {
		e.Events = names
	}
	return nil
}

// setMetadata merges: an empty value unsets its key, an empty metadata all of them.
func (e *endpoint) setMetadata(f form) {
	if text, given := f.text("metadata"); given && text == "" {
		e.Metadata = nil
	} else if given {
		f["metadata"] = []string{text} // which is unknown
	}
	given := f.pairs("metadata")
	if len(given) == 0 {
		return
	}
	merged := map[string]string{}
	maps.Copy(merged, e.Metadata)
	maps.Copy(merged, given)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	e.Metadata = merged
}

// set sets a parameter that only some requests may have.
func (e *endpoint) set(name, value string) *apiError {
	switch name {
	case "api_version":
		e.Version = value
		if !isAPIVersion(value) {
			return invalidVersion(name, value)
		}
	case "secret":
		e.Secrets = []secret{{Value: value}}
		if !strings.HasPrefix(value, secretPrefix) || value == secretPrefix || strings.ContainsAny(value, " \t\r\n") {
			return invalid(http.StatusBadRequest, "", name, "A secret begins with %s and has no white space.", secretPrefix)
		}
	default:
		*map[string]*bool{"connect": &e.Connect, "disabled": &e.Disabled}[name] = value == "true"
		if value != "true" && value != "false" {
			return invalid(http.StatusBadRequest, "parameter_invalid_boolean", name, "Invalid boolean: %.100s", value)
		}
	}
	return nil
}
