package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const tokenCookie = "norn_token"

// requireToken lets a request through when it carries the token: as
// "Authorization: Bearer", or in the cookie that login sets for the console
// (an EventSource cannot send headers). The console's own files and the login
// are open, they hold no data.
func (s *Server) requireToken(next http.Handler) http.Handler {
	if s.token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/prometheus/")
		if open || r.URL.Path == apiPrefix+"login" || s.authorised(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="norn"`)
		writeProblem(w, http.StatusUnauthorized, "a token is needed: send Authorization: Bearer TOKEN, or log in")
	})
}

func (s *Server) authorised(r *http.Request) bool {
	if t, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return s.sameToken(t)
	}
	c, err := r.Cookie(tokenCookie)
	return err == nil && s.sameToken(c.Value)
}

// sameToken compares in constant time, whatever the lengths.
func (s *Server) sameToken(t string) bool {
	a, b := sha256.Sum256([]byte(t)), sha256.Sum256([]byte(s.token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

type loginInput struct {
	Body struct {
		Token string `json:"token" doc:"The server's token."`
	}
}

type cookieOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) registerLogin() {
	huma.Register(s.api, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: apiPrefix + "login", Tags: []string{"session"},
		Summary: "Exchange the token for a session cookie", DefaultStatus: http.StatusNoContent, MaxBodyBytes: 4 << 10,
	}, func(_ context.Context, in *loginInput) (*cookieOutput, error) {
		if !s.sameToken(in.Body.Token) {
			return nil, huma.Error401Unauthorized("this is not the server's token")
		}
		return &cookieOutput{SetCookie: http.Cookie{Name: tokenCookie, Value: in.Body.Token, Path: "/",
			HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: 30 * 24 * 3600}}, nil
	})
	huma.Register(s.api, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: apiPrefix + "logout", Tags: []string{"session"},
		Summary: "End the session", DefaultStatus: http.StatusNoContent,
	}, func(context.Context, *struct{}) (*cookieOutput, error) {
		return &cookieOutput{SetCookie: http.Cookie{Name: tokenCookie, Path: "/", HttpOnly: true,
			SameSite: http.SameSiteStrictMode, MaxAge: -1}}, nil
	})
}

// securityHeaders keeps the console from loading or being loaded by others.
// Styles may be inline: the component library sets sizes through them.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "+
			"img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		if strings.HasPrefix(r.URL.Path, "/api/") { // answers change all the time and may be confidential
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}
