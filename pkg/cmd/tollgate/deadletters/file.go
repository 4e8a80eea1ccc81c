package deadletters

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tollgate/pkg/cmd/tollgate/verb"
)

// exportFile is a new file that is either synced to the disk or removed.
type exportFile struct{ *os.File }

func createExport(name string) (*exportFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, verb.Usage("%s exists: name another file with --out", name)
	}
	if err != nil {
		return nil, fmt.Errorf("create export: %w", err)
	}
	return &exportFile{f}, nil
}

// finish syncs the file and its folder, or removes the file when there was an error before,
// which it returns.
func (f *exportFile) finish(before error) error {
	err := before
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(f.Name()))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	if err != nil && before == nil {
		return fmt.Errorf("finish export: %w", err)
	}
	return err
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
