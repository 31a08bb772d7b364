package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/config"
)

// serveEnv makes the test binary act as `norn serve` with the YAML file that
// it names, so that tests can kill a real process.
const serveEnv = "NORN_TEST_SERVE"

func TestMain(m *testing.M) {
	if file := os.Getenv(serveEnv); file != "" {
		if err := serveForTest(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveForTest(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	a, err := New(ctx, Options{Config: cfg, Version: "test", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// estate is a server in a process of its own that is killed and started again
// on the same data and the same addresses.
type estate struct {
	t    *testing.T
	dir  string
	file string
	http string
	grpc string
	tcp  string
	cmd  *exec.Cmd
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{t: t, dir: t.TempDir(), http: freeAddr(t), grpc: freeAddr(t), tcp: freeAddr(t)}
	e.file = e.dir + "/norn.yaml"
	yaml := fmt.Sprintf(`server: {listen: %q}
storage: {dir: %q}
ingest:
  otlp: {grpc: %q, http: ""}
  syslog: {udp: "", tcp: %q}
  elastic: {listen: ""}
`, e.http, e.dir+"/data", e.grpc, e.tcp)
	if err := os.WriteFile(e.file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.kill)
	return e
}

// start starts the server and waits until all addresses answer.
func (e *estate) start() {
	e.t.Helper()
	self, err := os.Executable()
	if err != nil {
		e.t.Fatal(err)
	}
	e.cmd = exec.Command(self)
	e.cmd.Env = append(os.Environ(), serveEnv+"="+e.file)
	e.cmd.Stdout, e.cmd.Stderr = os.Stderr, os.Stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for _, addr := range []string{e.http, e.grpc, e.tcp} {
		for {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) {
				e.t.Fatalf("the server does not answer on %s: %v", addr, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// kill ends the server with SIGKILL and waits until it is gone.
func (e *estate) kill() {
	if e.cmd == nil {
		return
	}
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait() // "signal: killed" is what is wanted
	e.cmd = nil
}

// freeAddr gives an address on which nothing listens, below the ports that the
// system gives to connections: a server that is started again must find it free.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 200 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+mathrand.IntN(20_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no free port below the ephemeral ones")
	return ""
}

// inProcess runs a whole Norn with all receivers on free ports inside the
// test until the test ends.
func inProcess(t *testing.T, change func(*config.Config)) *App {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Listen = "127.0.0.1:0"
	cfg.Storage.Dir = t.TempDir()
	cfg.Ingest.OTLP = config.OTLP{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"}
	cfg.Ingest.Syslog.UDP, cfg.Ingest.Syslog.TCP = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Ingest.Elastic.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a, err := New(ctx, Options{Config: cfg, Version: "test", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Norn ended badly: %v", err)
		}
	})
	return a
}

func now() string { return fmt.Sprint(time.Now().UnixMilli()) }

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey})
}
