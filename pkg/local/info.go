package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Info describes a running local system to the command. It holds the signing secret and the
// access key, so only the owner can read its file.
type Info struct {
	PID         int    `json:"pid"`
	URL         string `json:"url"`      // where deliveries are posted
	Secret      string `json:"secret"`   // signs them
	Endpoint    string `json:"endpoint"` // of the embedded AWS services
	AccessKey          // that they require
	Region      string `json:"region"`
	Table       string `json:"table"`
	QueueURL    string `json:"queue_url"`
	DLQURL      string `json:"dlq_url"`
	HoldURL     string `json:"hold_url"`
	StripeURL   string `json:"stripe_url,omitempty"` // of the fake Stripe, when it runs
	TimeScale   int    `json:"time_scale"`
	MaxReceives int    `json:"max_receives"`
	Endpoints   string `json:"endpoints,omitempty"` // the policies, as given
	Reconcile   string `json:"reconcile,omitempty"` // the accounts that reconcile lists, as given

	Destinations       string            `json:"destinations,omitempty"` // as given
	SendDLQURL         string            `json:"send_dlq_url,omitempty"` // with destinations only
	DestinationSecrets map[string]string `json:"destination_secrets,omitempty"`

	EndpointSecrets map[string]string `json:"endpoint_secrets,omitempty"` // of the named endpoints, without the default one

	Console string `json:"console,omitempty"` // link of the console, with its token
}

// InfoFile is the name of the file in the data folder.
const InfoFile = "dev.json"

// ErrNotRunning means that no local system runs on a data folder.
var ErrNotRunning = errors.New("no local system runs here")

// ReadInfo returns the description of the system that runs on a data folder. The error wraps
// ErrNotRunning if there is none.
func ReadInfo(data string) (Info, error) {
	raw, err := os.ReadFile(filepath.Join(data, InfoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("%w: %s has no %s", ErrNotRunning, data, InfoFile)
	}
	if err != nil {
		return Info{}, fmt.Errorf("read local system: %w", err)
	}
	var i Info
	if err := json.Unmarshal(raw, &i); err != nil {
		return Info{}, fmt.Errorf("read local system: %s is broken, start tollgate dev again: %w", InfoFile, err)
	}
	return i, nil
}

func (i Info) write(data string) error { return writeJSON(data, InfoFile, i) }

// writeJSON replaces a file in one step, so that no reader sees a partial one. Only the owner
// can read it.
func writeJSON(folder, name string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := os.CreateTemp(folder, name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
