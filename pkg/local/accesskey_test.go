package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccessKeyBelongsToTheFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := accessKey(dir)
	if err != nil || len(first.ID) < 20 || len(first.Secret) < 20 || first.ID == first.Secret {
		t.Fatalf("key of %d and %d characters, %v", len(first.ID), len(first.Secret), err)
	}
	if again, err := accessKey(dir); again != first || err != nil {
		t.Errorf("another key after a restart, %v", err)
	}
	if other, err := accessKey(t.TempDir()); other.ID == first.ID || err != nil {
		t.Errorf("two folders share a key, %v", err)
	}
	file := filepath.Join(dir, accessKeyFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	for _, broken := range []string{"", "{", `{"access_key_id":"x"}`} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := accessKey(dir); err == nil || !strings.Contains(err.Error(), "remove "+file) {
			t.Errorf("error %v of %q, want one that says what to do", err, broken)
		}
	}
}
