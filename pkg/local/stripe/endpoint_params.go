package stripe

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of an endpoint's fields, as Stripe documents them for metadata and descriptions.
const (
	maxDescription    = 5000
	maxURLBytes       = 5000
	maxMetadata       = 50
	maxMetadataKey    = 40
	maxMetadataValue  = 500
	maxEndpointEvents = 1000
)

// apply changes an endpoint by a form; names are the parameters that the form may have. After
// an error the endpoint must not be used.
func (e *endpoint) apply(f form, names ...string) *apiError {
	for _, name := range f.names() {
		if !slices.Contains(names, name) {
			return unknown(name)
		}
	}
	for _, set := range []func(form) *apiError{e.setURL, e.setEvents, e.setDescription, e.setMetadata, e.setVersion, e.setFlags, e.setSecret} {
		if err := set(f); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint) setURL(f form) *apiError {
	raw, given := f.single["url"]
	if !given {
		return wrongForm(f, "url")
	}
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return invalid(http.StatusBadRequest, "parameter_invalid_empty", "url", "You passed an empty string for 'url'. It must be a URL.")
	case err != nil || u.Scheme == "":
		return invalid(http.StatusBadRequest, "url_invalid", "url", "Invalid URL: An explicit scheme (such as https) must be provided.")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || len(raw) > maxURLBytes:
		return invalid(http.StatusBadRequest, "url_invalid", "url", "Invalid URL: it must be http or https and name a host.")
	}
	e.URL = raw
	return nil
}

func (e *endpoint) setEvents(f form) *apiError {
	names, given := f.lists["enabled_events"]
	if !given {
		return wrongForm(f, "enabled_events")
	}
	if len(names) > maxEndpointEvents {
		return invalid(http.StatusBadRequest, "", "enabled_events", "An endpoint may have %d enabled_events.", maxEndpointEvents)
	}
	for _, name := range names {
		if !isEventType(name) {
			return invalid(http.StatusBadRequest, "", "enabled_events", "Invalid enabled_events: %.100q is no event that a webhook endpoint can be enabled for.", name)
		}
	}
	e.Events = slices.Clone(names)
	return nil
}

func (e *endpoint) setDescription(f form) *apiError {
	text, given := f.single["description"]
	if !given {
		return wrongForm(f, "description")
	}
	if utf8.RuneCountInString(text) > maxDescription {
		return invalid(http.StatusBadRequest, "", "description", "A description may have %d characters.", maxDescription)
	}
	e.Description = text
	return nil
}

// setMetadata merges: an empty value unsets its key, an empty metadata all of them.
func (e *endpoint) setMetadata(f form) *apiError {
	if text, cleared := f.single["metadata"]; cleared && text == "" {
		e.Metadata = nil
		return nil
	}
	given, ok := f.maps["metadata"]
	if !ok {
		if has(f.single, "metadata") || has(f.lists, "metadata") {
			return invalid(http.StatusBadRequest, "", "metadata", "Invalid metadata: give it as metadata[key]=value.")
		}
		return nil
	}
	merged := map[string]string{}
	for key, value := range e.Metadata {
		merged[key] = value
	}
	for key, value := range given {
		switch {
		case utf8.RuneCountInString(key) > maxMetadataKey:
			return invalid(http.StatusBadRequest, "", "metadata", "Metadata keys may have %d characters.", maxMetadataKey)
		case utf8.RuneCountInString(value) > maxMetadataValue:
			return invalid(http.StatusBadRequest, "", "metadata", "Metadata values may have %d characters.", maxMetadataValue)
		case value == "":
			delete(merged, key)
		default:
			merged[key] = value
		}
	}
	if len(merged) > maxMetadata {
		return invalid(http.StatusBadRequest, "", "metadata", "Metadata may have %d keys.", maxMetadata)
	}
	e.Metadata = merged
	return nil
}

func (e *endpoint) setVersion(f form) *apiError {
	version, given := f.single["api_version"]
	if !given {
		return wrongForm(f, "api_version")
	}
	if !isAPIVersion(version) {
		return invalidVersion("api_version", version)
	}
	e.Version = version
	return nil
}

func (e *endpoint) setFlags(f form) *apiError {
	for name, to := range map[string]*bool{"connect": &e.Connect, "disabled": &e.Disabled} {
		value, given, err := f.boolean(name)
		if err != nil {
			return err
		}
		if given {
			*to = value
		} else if err := wrongForm(f, name); err != nil {
			return err
		}
	}
	return nil
}

// setSecret sets a given secret, which only the fake Stripe's own path allows.
func (e *endpoint) setSecret(f form) *apiError {
	value, given := f.single["secret"]
	if !given {
		return wrongForm(f, "secret")
	}
	if !strings.HasPrefix(value, secretPrefix) || len(value) == len(secretPrefix) || strings.ContainsAny(value, " \t\r\n") || len(value) > 255 {
		return invalid(http.StatusBadRequest, "", "secret", "A secret begins with %s and has no white space.", secretPrefix)
	}
	e.Secrets = []secret{{Value: value}}
	return nil
}

// wrongForm rejects a field that is a list where a single value is expected, or the reverse.
// A missing field is accepted.
func wrongForm(f form, name string) *apiError {
	if !has(f.single, name) && !has(f.lists, name) && !has(f.maps, name) {
		return nil
	}
	if name == "enabled_events" {
		return invalid(http.StatusBadRequest, "", name, "Invalid array: give it as enabled_events[]=….")
	}
	return invalid(http.StatusBadRequest, "", name, "Invalid string: %s takes one value.", name)
}
