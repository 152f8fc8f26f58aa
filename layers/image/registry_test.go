package image

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestRanges reads from servers that know ranges, know none, and give less
// than was asked for.
func TestRanges(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), rangeSize/4)
	for name, tt := range map[string]struct {
		serve    http.HandlerFunc
		requests int
		err      error
	}{
		"ranges": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}, 3, nil},
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) { w.Write(content) }, 1, nil},
		"nothing":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) }, 1, io.ErrUnexpectedEOF},
	} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			tt.serve(w, r)
		}))
		r := &ranges{ctx: t.Context(), client: server.Client(), url: server.URL, size: int64(len(content))}
		have, err := io.ReadAll(r)
		if !errors.Is(err, tt.err) || tt.err == nil && !bytes.Equal(have, content) || requests != tt.requests {
			t.Errorf("%s: %d bytes of %d by %d requests, %v", name, len(have), len(content), requests, err)
		}
		server.Close()
	}
}
