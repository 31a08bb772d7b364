package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/ops"
)

// Slack posts with a bot's token, edits with chat.update and threads what is
// worth a sound (https://docs.slack.dev/reference/methods).
type Slack struct {
	Token, Channel, API string // API: https://slack.com/api when empty
}

type slack struct {
	*poster
	Slack
}

// NewSlack makes a Slack channel.
func NewSlack(c Slack) Channel {
	if c.API == "" {
		c.API = "https://slack.com/api"
	}
	return &slack{newPoster(c.Token), c}
}

func (s *slack) Edits() bool { return true }

type slackAnswer struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error"`
	TS      string `json:"ts"`
	Channel string `json:"channel"`
}

func (s *slack) Send(ctx context.Context, n Note) (string, error) {
	m := n.Message
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	body := map[string]any{"channel": s.Channel, "text": "*" + escape.Replace(notify.Head(m)) + "*\n" + escape.Replace(cut(notify.Text(m), 3500)), "unfurl_links": false}
	if n.Ref == "" {
		return s.call(ctx, "chat.postMessage", body)
	}
	channel, ts, _ := strings.Cut(n.Ref, " ")
	body["channel"], body["ts"] = channel, ts
	if _, err := s.call(ctx, "chat.update", body); err != nil || !loud(m.Change) {
		return "", err
	}
	// An edit makes no sound: what somebody must hear is said in the thread too.
	_, err := s.call(ctx, "chat.postMessage", map[string]any{"channel": channel, "thread_ts": ts, "text": escape.Replace(notify.Head(m))})
	return "", err
}

// loud reports whether a change must be heard, not only be there to read.
func loud(change string) bool {
	return change == ops.NoticeSeverity || change == ops.NoticeReopened || change == ops.NoticeEscalated
}

func (s *slack) call(ctx context.Context, method string, body any) (string, error) {
	var a slackAnswer
	err := s.json(ctx, http.MethodPost, strings.TrimRight(s.API, "/")+"/"+method, map[string]string{"Authorization": "Bearer " + s.Token}, body, &a)
	if err != nil {
		return "", err
	}
	if !a.OK {
		if a.Error == "ratelimited" || a.Error == "internal_error" || a.Error == "fatal_error" || strings.HasSuffix(a.Error, "_auth") || strings.HasPrefix(a.Error, "token_") {
			return "", fmt.Errorf("slack says %s", excerpt([]byte(a.Error)))
		}
		return "", fmt.Errorf("%w: slack says %s", ErrRefused, excerpt([]byte(a.Error)))
	}
	return a.Channel + " " + a.TS, nil
}

// Telegram writes as a bot and edits its message (https://core.telegram.org/bots/api).
type Telegram struct {
	Token, Chat, API string // API: https://api.telegram.org when empty
}

type telegram struct {
	*poster
	Telegram
}

// NewTelegram makes a Telegram channel.
func NewTelegram(c Telegram) Channel {
	if c.API == "" {
		c.API = "https://api.telegram.org"
	}
	return &telegram{newPoster(c.Token), c}
}

func (t *telegram) Edits() bool { return true }

// Lengths of Telegram's texts and captions.
const (
	telegramText    = 3900
	telegramCaption = 1000
)

func (t *telegram) Send(ctx context.Context, n Note) (string, error) {
	text := func(limit int) string {
		head := cut(notify.Head(n.Message), limit/2)
		return "<b>" + html.EscapeString(head) + "</b>\n" + html.EscapeString(cut(notify.Text(n.Message), limit-len(head)))
	}
	kind, id, _ := strings.Cut(n.Ref, " ")
	if n.Ref != "" {
		method, field, limit := "editMessageText", "text", telegramText
		if kind == "photo" {
			method, field, limit = "editMessageCaption", "caption", telegramCaption
		}
		err := t.call(ctx, method, map[string]any{"chat_id": t.Chat, "message_id": number(id), field: text(limit), "parse_mode": "HTML"}, nil)
		if err != nil || !loud(n.Message.Change) {
			return "", err
		}
		return "", t.call(ctx, "sendMessage", map[string]any{"chat_id": t.Chat, "text": notify.Head(n.Message), "reply_parameters": map[string]any{"message_id": number(id)}}, nil)
	}
	var a struct {
		Result struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
	}
	if n.PNG != nil {
		raw, kind, err := form(map[string]string{"chat_id": t.Chat, "caption": text(telegramCaption), "parse_mode": "HTML"}, n.PNG)
		if err != nil {
			return "", err
		}
		err = t.send(ctx, http.MethodPost, t.address("sendPhoto"), map[string]string{"Content-Type": kind}, raw, &a)
		return "photo " + strconv.FormatInt(a.Result.ID, 10), err
	}
	err := t.call(ctx, "sendMessage", map[string]any{"chat_id": t.Chat, "text": text(telegramText), "parse_mode": "HTML"}, &a)
	return "text " + strconv.FormatInt(a.Result.ID, 10), err
}

func number(text string) json.Number { return json.Number(text) }

func (t *telegram) address(method string) string {
	return strings.TrimRight(t.API, "/") + "/bot" + t.Token + "/" + method
}

func (t *telegram) call(ctx context.Context, method string, body, out any) error {
	err := t.json(ctx, http.MethodPost, t.address(method), nil, body, out)
	if err != nil && strings.Contains(err.Error(), "message is not modified") {
		return nil
	}
	return err
}

// form is a multipart body with a picture.
func form(fields map[string]string, png []byte) (raw []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, v := range fields {
		if err := w.WriteField(k, v); err != nil {
			return nil, "", fmt.Errorf("cannot encode the message: %w", err)
		}
	}
	h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="photo"; filename="chart.png"`}, "Content-Type": {"image/png"}}
	part, err := w.CreatePart(h)
	if err == nil {
		_, err = part.Write(png)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, "", fmt.Errorf("cannot encode the picture: %w", err)
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// Teams posts an Adaptive Card to a workflow's webhook, which cannot edit.
type Teams struct {
	URL string
}

type teams struct {
	*poster
	url string
}

// NewTeams makes a Microsoft Teams channel.
func NewTeams(c Teams) Channel { return &teams{newPoster(c.URL), c.URL} }

func (t *teams) Edits() bool { return false }

func (t *teams) Send(ctx context.Context, n Note) (string, error) {
	m := n.Message
	block := func(text string, more map[string]any) map[string]any {
		b := map[string]any{"type": "TextBlock", "wrap": true, "text": text}
		for k, v := range more {
			b[k] = v
		}
		return b
	}
	color := map[ops.Level]string{ops.LevelCritical: "attention", ops.LevelMajor: "warning"}[m.Severity]
	if color == "" || m.Change == ops.NoticeResolved {
		color = "good"
	}
	body := []any{block(notify.Head(m), map[string]any{"weight": "bolder", "size": "medium", "color": color})}
	for line := range strings.Lines(cut(notify.Text(m), 12_000)) {
		body = append(body, block(strings.TrimSpace(line), map[string]any{"spacing": "none"}))
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	if m.Link != "" {
		card["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "Open the incident", "url": m.Link}}
	}
	return "", t.json(ctx, http.MethodPost, t.url, nil, map[string]any{"type": "message", "attachments": []any{
		map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}, nil)
}

// Ntfy publishes to a topic (https://docs.ntfy.sh/publish). Later messages of
// an incident follow the first under its tag.
type Ntfy struct {
	URL, Topic, Token string // URL: https://ntfy.sh when empty
}

type ntfy struct {
	*poster
	Ntfy
}

// NewNtfy makes an ntfy channel.
func NewNtfy(c Ntfy) Channel {
	if c.URL == "" {
		c.URL = "https://ntfy.sh"
	}
	return &ntfy{newPoster(c.Token), c}
}

func (t *ntfy) Edits() bool { return false }

func (t *ntfy) Send(ctx context.Context, n Note) (string, error) {
	m := n.Message
	priority := map[ops.Level]int{ops.LevelCritical: 5, ops.LevelMajor: 4, ops.LevelInfo: 2}[m.Severity]
	if priority == 0 || m.Change == ops.NoticeResolved {
		priority = 3
	}
	header := map[string]string{}
	if t.Token != "" {
		header["Authorization"] = "Bearer " + t.Token
	}
	return "", t.json(ctx, http.MethodPost, t.URL, header, map[string]any{
		"topic": t.Topic, "title": cut(notify.Head(m), 250), "message": cut(notify.Text(m), 3900), "priority": priority, "tags": []string{m.Change}, "click": m.Link}, nil)
}
