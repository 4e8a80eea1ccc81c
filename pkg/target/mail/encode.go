package mail

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"
	"unicode"
)

// Mail is a mail to one recipient.
type Mail struct {
	ID   string // the delivery's
	From string // as in a header
	To   string // an address
	Content
}

// Encode returns the mail in the format of RFC 5322, with a text and an HTML part. It refuses a
// header value with a control character.
func (m Mail) Encode(at time.Time) ([]byte, error) {
	if strings.ContainsFunc(m.From+m.To+m.Subject+m.ID, unicode.IsControl) {
		return nil, errors.New("a header has a control character")
	}
	var out, parts bytes.Buffer
	w := multipart.NewWriter(&parts)
	if err := w.SetBoundary("=_" + m.ID); err != nil {
		return nil, fmt.Errorf("encode mail: %w", err)
	}
	fmt.Fprintf(&out, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n", m.From, m.To, mime.QEncoding.Encode("utf-8", m.Subject), at.Format(time.RFC1123Z))
	fmt.Fprintf(&out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=%q\r\n\r\n", w.Boundary())
	for _, part := range []struct{ kind, text string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		body, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Type": {part.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, fmt.Errorf("encode mail: %w", err)
		}
		quoted := quotedprintable.NewWriter(body)
		if _, err := quoted.Write([]byte(part.text)); err != nil {
			return nil, fmt.Errorf("encode mail: %w", err)
		}
		if err := quoted.Close(); err != nil {
			return nil, fmt.Errorf("encode mail: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode mail: %w", err)
	}
	out.Write(parts.Bytes())
	return out.Bytes(), nil
}
