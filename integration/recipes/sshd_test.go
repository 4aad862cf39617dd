package recipes

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// startSSH starts an sshd of the test's own, with the current user as its only one, whose commands
// run in the directory far, with the programs that make builds in their PATH. It returns a
// directory for PATH: the ssh in it is the real one, which knows that sshd as "host".
func startSSH(t testing.TB, far string) (path string) {
	t.Helper()
	dir := t.TempDir()
	port := idlePort(t)
	keygen(t, filepath.Join(dir, "host_key"))
	keygen(t, filepath.Join(dir, "key"))
	write(t, filepath.Join(dir, "sshd_config"), 0o600, fmt.Sprintf(`
ListenAddress 127.0.0.1:%d
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/key.pub
StrictModes no
PidFile none
SetEnv PATH=%s:/usr/bin:/bin
ForceCommand cd %s && exec bash -c "$SSH_ORIGINAL_COMMAND"
`, port, dir, filepath.Dir(harness.Binary), far))
	write(t, filepath.Join(dir, "ssh_config"), 0o600, fmt.Sprintf(`
Host host
HostName 127.0.0.1
Port %d
IdentityFile %s/key
IdentitiesOnly yes
UserKnownHostsFile /dev/null
StrictHostKeyChecking no
LogLevel ERROR
`, port, dir))
	write(t, filepath.Join(dir, "ssh"), 0o700, fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n",
		harness.Tool(t, "ssh"), dir))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd wants it, and leaves it to its service to make
		t.Fatal(err)
	}
	sshd := exec.Command(harness.Tool(t, "sshd"), "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	if err := sshd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sshd.Process.Kill(); sshd.Wait() })
	harness.Eventually(t, "sshd listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return dir
}

func idlePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func keygen(t testing.TB, path string) {
	t.Helper()
	if out, err := exec.Command(harness.Tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f",
		path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
}

func write(t testing.TB, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
