package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// AccessKey is what the embedded AWS services require. It belongs to the data folder and only
// the owner can read it, because every local user can reach loopback.
type AccessKey struct {
	ID     string `json:"access_key_id"`
	Secret string `json:"secret_access_key"` // clients want one; the services check the id
}

const accessKeyFile = "access-key.json"

// accessKey reads the folder's key, or creates it.
func accessKey(folder string) (k AccessKey, err error) {
	raw, err := os.ReadFile(filepath.Join(folder, accessKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		k = AccessKey{ID: rand.Text(), Secret: rand.Text()}
		return k, writeJSON(folder, accessKeyFile, k)
	}
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err == nil && (k.ID == "" || k.Secret == "") {
		err = errors.New("a member is missing")
	}
	if err != nil {
		return k, fmt.Errorf("read access key: %w; remove %s to get a new one", err, filepath.Join(folder, accessKeyFile))
	}
	return k, nil
}

// AWSConfig is the configuration of SDK clients for the embedded services.
func (i Info) AWSConfig() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: &i.Endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider(i.AccessKey.ID, i.AccessKey.Secret, ""),
	}
}

// AWSEnv are the variables for AWS tools that use the embedded services.
func (i Info) AWSEnv() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL":      i.Endpoint,
		"AWS_ACCESS_KEY_ID":     i.AccessKey.ID,
		"AWS_SECRET_ACCESS_KEY": i.AccessKey.Secret,
		"AWS_REGION":            Region,
		"AWS_DEFAULT_REGION":    Region,
	}
}
