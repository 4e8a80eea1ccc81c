package mail

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"tollgate/pkg/delivery"
	"tollgate/pkg/target/awstarget"
)

// SESClient is what is called of the SDK's client.
type SESClient interface {
	SendEmail(context.Context, *sesv2.SendEmailInput, ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
}

type ses struct{ client SESClient }

// NewSES returns a mailer through SES. The client should not retry.
func NewSES(client SESClient) Mailer { return ses{client} }

func (s ses) Mail(ctx context.Context, m Mail) delivery.Answer {
	raw, err := m.Encode(time.Now())
	if err != nil {
		return stop(err.Error())
	}
	_, err = s.client.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &m.From,
		Destination:      &types.Destination{ToAddresses: []string{m.To}},
		Content:          &types.EmailContent{Raw: &types.RawMessage{Data: raw}},
	})
	return awstarget.AnswerOf(err)
}

type folder struct{ dir string }

// NewFolder returns a mailer for the local system: it sends nothing and writes <id>.eml into dir.
func NewFolder(dir string) Mailer { return folder{dir} }

func (f folder) Mail(_ context.Context, m Mail) delivery.Answer {
	raw, err := m.Encode(time.Now())
	if err != nil {
		return stop(err.Error())
	}
	if err = os.MkdirAll(f.dir, 0o700); err == nil {
		err = os.WriteFile(filepath.Join(f.dir, filepath.Base(m.ID)+".eml"), raw, 0o600)
	}
	if err != nil {
		return delivery.Answer{Verdict: delivery.Retry, Err: "write the mail's file failed"}
	}
	return delivery.Answer{Verdict: delivery.Done}
}
