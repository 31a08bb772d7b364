package syslog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newCA(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) server(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// rsyslogd starts the real one and returns the address of its input.
func rsyslogd(t *testing.T, dir, conf string) string {
	t.Helper()
	script, err := filepath.Abs("../../../test/servers/rsyslog.sh")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "fragment.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), script, "start", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("start rsyslogd (apt-get install rsyslog rsyslog-openssl rsyslog-elasticsearch): %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop rsyslogd: %v\n%s", err, out)
		}
	})
	for t.Context().Err() == nil {
		if port, err := os.ReadFile(filepath.Join(dir, "port")); err == nil && len(port) > 0 {
			return "127.0.0.1:" + strings.TrimSpace(string(port))
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("rsyslogd never told its port")
	return ""
}

// shared gives a directory that an unprivileged rsyslogd can enter.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "norn-rsyslog")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The real rsyslogd forwards the same 300 lines on five ways: RFC 5424 with
// octet counting, RFC 5424 over TLS, RFC 3164 with newlines, its own forwarding
// format with newlines, and RFC 3164 over UDP. All arrive whole on each.
func TestRealRsyslogdOverAllTransports(t *testing.T) {
	ca := newCA(t)
	w := start(t, func(o *Options) {
		o.TLSAddr, o.TLS = "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.server(t)}}
		o.Location = time.Local
	})
	dir := shared(t)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca.pem, 0o644); err != nil {
		t.Fatal(err)
	}
	fwd := func(addr, more string) string {
		host, port, _ := net.SplitHostPort(addr)
		return fmt.Sprintf(`action(type="omfwd" target=%q port=%q action.resumeRetryCount="-1" action.resumeInterval="1" %s)`+"\n", host, port, more)
	}
	tag := func(name, base string) string { // the way is told by the tag
		return fmt.Sprintf(`template(name=%q type="string" string=%q)`+"\n", name, base)
	}
	conf := `module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="@D@/port")
` +
		tag("way1", "<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% way1 %PROCID% %MSGID% %STRUCTURED-DATA% %msg%\n") +
		tag("way2", "<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% way2 %PROCID% %MSGID% %STRUCTURED-DATA% %msg%\n") +
		tag("way3", "<%PRI%>%TIMESTAMP% %HOSTNAME% way3[%PROCID%]:%msg:::sp-if-no-1st-sp%%msg%") +
		tag("way4", "<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME% way4[%PROCID%]:%msg:::sp-if-no-1st-sp%%msg%") +
		tag("way5", "<%PRI%>%TIMESTAMP% %HOSTNAME% way5[%PROCID%]:%msg:::sp-if-no-1st-sp%%msg%") +
		fwd(w.TCPAddr(), `protocol="tcp" TCP_Framing="octet-counted" template="way1"`) +
		fwd(w.TLSAddr(), `protocol="tcp" TCP_Framing="octet-counted" template="way2" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid" StreamDriver.CAFile="@D@/ca.pem"`) +
		fwd(w.TCPAddr(), `protocol="tcp" TCP_Framing="traditional" template="way3"`) +
		fwd(w.TCPAddr(), `protocol="tcp" TCP_Framing="traditional" template="way4"`) +
		fwd(w.UDPAddr(), `protocol="udp" template="way5"`)
	in, err := net.Dial("tcp", rsyslogd(t, dir, conf))
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	at := time.Now().Truncate(time.Microsecond)
	for i := range n {
		fmt.Fprintf(in, "<27>1 %s web1 cart 4711 ID47 [ex@32473 iut=\"3\" q=\"a\\\"b\"] line %d of the shop: ünïcode\n", at.Format("2006-01-02T15:04:05.000000Z07:00"), i)
	}
	in.Close()
	seen := map[string]map[string]bool{}
	for _, rec := range w.sink.want(5 * n) {
		way := telemetry.Get(rec.Resource, "syslog.appname")
		if seen[way] == nil {
			seen[way] = map[string]bool{}
		}
		seen[way][rec.Body] = true
		exact := at.UnixNano()
		if way == "way3" || way == "way5" {
			exact = at.Truncate(time.Second).UnixNano()
		}
		if telemetry.Get(rec.Resource, "host.name") != "web1" || telemetry.Get(rec.Resource, "syslog.procid") != "4711" ||
			telemetry.Get(rec.Resource, "syslog.facility") != "daemon" || rec.Severity != telemetry.SeverityError || rec.Time != exact {
			t.Fatalf("%s arrived as %+v, want time %d", way, rec, exact)
		}
		if strings.HasPrefix(way, "way1") && (telemetry.Get(rec.Attributes, "ex@32473.q") != `a"b` || telemetry.Get(rec.Resource, "syslog.msgid") != "ID47") {
			t.Fatalf("structured data is lost: %+v", rec)
		}
	}
	for way := 1; way <= 5; way++ {
		for i := range n {
			if body := fmt.Sprintf("line %d of the shop: ünïcode", i); !seen[fmt.Sprint("way", way)][body] {
				t.Fatalf("way %d lost %q (it has %d lines)", way, body, len(seen[fmt.Sprint("way", way)]))
			}
		}
	}
	w.stop()
	w.reasons(t)
}
