package logread

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// headers are the ways in which lines begin. LINE in a pattern stands for the
// message; § for a number that changes from line to line.
var headers = map[string]struct {
	pattern string
	level   string
	time    string // of § = 7
}{
	"log4j":        {"2026-11-24 08:00:0§,978 INFO [main] org.example.app.Master: LINE", "INFO", "2026-11-24T08:00:07.978Z"},
	"log4j blanks": {"2026-11-24 08:00:0§,978 WARN [IPC Server handler § on 62270] org.example.ipc.Server: LINE", "WARN", "2026-11-24T08:00:07.978Z"},
	"spring boot":  {"2026-11-24T08:00:0§.123+01:00  INFO 4711 --- [nio-8080-exec-§] c.e.shop.CartController           : LINE", "INFO", "2026-11-24T07:00:07.123Z"},
	"logback":      {"08:00:0§.123 [main] DEBUG c.example.shop.Cart - LINE", "DEBUG", "2026-11-24T08:00:07.123Z"},
	"python":       {"2026-11-24 08:00:0§,123 - shop.cart - ERROR - LINE", "ERROR", "2026-11-24T08:00:07.123Z"},
	"python basic": {"ERROR:LINE", "ERROR", ""},
	"go":           {"2026/11/24 08:00:0§ LINE", "", "2026-11-24T08:00:07Z"},
	"klog":         {"E1124 08:00:0§.123456   12§ controller.go:114] LINE", "E", "2026-11-24T08:00:07.123456Z"},
	"glog year":    {"I20261124 08:00:0§.123456   12 main.cc:1§] LINE", "I", "2026-11-24T08:00:07.123456Z"},
	"zap console":  {"2026-11-24T08:00:0§.123Z\tINFO\tcart/main.go:1§\tLINE", "INFO", "2026-11-24T08:00:07.123Z"},
	"syslog":       {"Nov 24 08:00:0§ web1 sshd[4§]: LINE", "", "2026-11-24T08:00:07Z"},
	"syslog iso":   {"2026-11-24T08:00:0§.123456+00:00 web1 sshd[4§]: LINE", "", "2026-11-24T08:00:07.123456Z"},
	"pam":          {"Jun 14 15:16:0§ combo sshd(pam_unix)[1993§]: LINE", "", "2026-06-14T15:16:07Z"},
	"thunder":      {"- 1131566461 2005.11.09 dn22§ Nov 9 12:01:0§ dn22§/dn22§ crond(pam_unix)[291§]: LINE", "", "2005-11-09T20:01:01Z"},
	"super":        {"- 1117838570 2005.06.03 R02-M1-§0-C:J12-U1§ 2005-06-03-15.42.5§.675872 R02-M1-§0-C:J12-U1§ RAS KERNEL FATAL LINE", "FATAL", "2005-06-03T15:42:57.675872Z"},
	"cluster":      {"13468§ node-24§ unix.hw state_change.unavailable 107780474§ 1 LINE", "", "2004-02-26T14:12:27Z"},
	"apache error": {"[Fri Sep 09 10:42:2§.902022 2026] [core:error] [pid 35708:tid 432863643§] [client 72.15.99.18§:1234] LINE", "", "2026-09-09T10:42:27.902022Z"},
	"apache 2.2":   {"[Sun Dec 04 04:47:4§ 2005] [error] LINE", "error", "2005-12-04T04:47:47Z"},
	"nginx error":  {"2026/11/24 08:00:0§ [error] 12#12: *§ LINE", "error", "2026-11-24T08:00:07Z"},
	"postgres":     {"2026-11-24 08:00:0§.123 UTC [12§] LOG:  LINE", "LOG", "2026-11-24T08:00:07.123Z"},
	"mysql":        {"2026-11-24T08:00:0§.123456Z 1§ [Warning] [MY-010068] [Server] LINE", "Warning", "2026-11-24T08:00:07.123456Z"},
	"mariadb":      {"2026-11-24  8:00:0§ 0 [Note] LINE", "Note", "2026-11-24T08:00:07Z"},
	"redis":        {"12345:M 24 Nov 2026 08:00:0§.123 * LINE", "", "2026-11-24T08:00:07.123Z"},
	"tomcat":       {"24-Nov-2026 08:00:0§.123 SEVERE [http-nio-8080-exec-§] org.apache.catalina.core.StandardContext.start LINE", "SEVERE", "2026-11-24T08:00:07.123Z"},
	"tomcat jul":   {"24-Nov-2026 08:00:0§.123 INFO [main] org.example.Start.main LINE", "INFO", "2026-11-24T08:00:07.123Z"},
	"android":      {"11-24 08:00:0§.811  1702  239§ D WindowManager: LINE", "D", "2026-11-24T08:00:07.811Z"},
	"hdfs":         {"081109 20361§ 14§ INFO dfs.DataNode$PacketResponder: LINE", "INFO", "2008-11-09T20:36:17Z"},
	"pipes":        {"20171223-22:15:2§:606|Step_LSC|30002312|LINE", "", "2017-12-23T22:15:27.606Z"},
	"proxy":        {"[10.30 16:49:0§] chrome.exe - LINE", "", "2026-10-30T16:49:07Z"},
	"nova":         {"nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:0§.008 25746 INFO nova.osapi_compute.wsgi.server [req-38101a0b - - -] LINE", "INFO", "2017-05-16T00:00:07.008Z"},
	"windows":      {"2016-09-28 04:30:3§, Info                  CBS    LINE", "Info", "2016-09-28T04:30:37Z"},
	"german":       {"24.11.2026 08:00:0§ WARN LINE", "WARN", "2026-11-24T08:00:07Z"},
	"american":     {"11/24/2026 8:00:0§ PM ERROR LINE", "ERROR", "2026-11-24T20:00:07Z"},
	"british":      {"24/11/2026 08:00:0§ INFO LINE", "INFO", "2026-11-24T08:00:07Z"},
	"squid":        {"1795507200.12§    LINE", "", "2026-11-24T08:00:00.127Z"},
	"zookeeper":    {"2015-07-29 17:41:4§,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@77§] - LINE", "INFO", "2015-07-29T17:41:47.747Z"},
	"rails":        {"I, [2026-11-24T08:00:0§.123456 #4711]  INFO -- : LINE", "INFO", "2026-11-24T08:00:07.123456Z"},
	"serilog":      {"[08:00:0§ INF] LINE", "INF", "2026-11-24T08:00:07Z"},
	"level first":  {"[INFO] [2026-11-24 08:00:0§] LINE", "INFO", "2026-11-24T08:00:07Z"},
	"rust":         {"[2026-11-24T08:00:0§Z INFO  shop::cart] LINE", "INFO", "2026-11-24T08:00:07Z"},
	"elastic":      {"[2026-11-24T08:00:0§,123][WARN ][o.e.c.r.a.DiskThresholdMonitor] [node-1] LINE", "WARN", "2026-11-24T08:00:07.123Z"},
	"kafka":        {"[2026-11-24 08:00:0§,123] INFO LINE", "INFO", "2026-11-24T08:00:07.123Z"},
}

func messages() []string {
	return []string{
		"order %d accepted in %d ms", "cannot reach payment: connection refused", "user bob logged in from 10.0.0.%d",
		"cache miss for key k%d", "retrying", "Started worker %d with 4 threads", "queue is full, dropping %d items",
		"GET /cart/%d took too long", "shutting down", "Loaded configuration from disk",
	}
}

func headed(pattern string) (lines, bodies []string) {
	for i := range 60 {
		body := strings.ReplaceAll(messages()[(i*7)%10], "%d", fmt.Sprint(i*31))
		n := fmt.Sprint(i % 10)
		line := strings.ReplaceAll(pattern, "§", n)
		lines = append(lines, strings.Replace(line, "LINE", body, 1))
		bodies = append(bodies, body)
	}
	return lines, bodies
}

func TestHeadersAreLearned(t *testing.T) {
	ref := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).UnixNano()
	for name, h := range headers {
		lines, bodies := headed(h.pattern)
		var got []Item
		s := New(Config{Ref: ref}, func(it Item) { got = append(got, it) })
		at := int64(0)
		for _, line := range lines {
			s.Add(Line{Text: line, Begin: at, End: at + int64(len(line)) + 1})
			at += int64(len(line)) + 1
		}
		s.Flush()
		if len(got) != len(lines) {
			t.Errorf("%s: %d records of %d lines", name, len(got), len(lines))
			continue
		}
		wrong := 0
		for i := range got {
			if got[i].Record.Body != bodies[i] {
				if wrong++; wrong == 1 {
					t.Errorf("%s: body %q, want %q", name, got[i].Record.Body, bodies[i])
				}
			}
		}
		r := got[7].Record
		if r.SeverityText != h.level {
			t.Errorf("%s: level %q, want %q", name, r.SeverityText, h.level)
		}
		if h.time != "" && time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano) != h.time {
			t.Errorf("%s: time %s, want %s", name, time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano), h.time)
		}
	}
}
