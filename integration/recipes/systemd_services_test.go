package recipes

import (
	"strings"
	"testing"
)

// The services under a systemd that is init, with all settings that they come with.
func TestServicesUnderSystemd(t *testing.T) {
	g := boot(t)
	g.settle()
	g.mustWatch()
	g.mustBeKilledByWatchdog()
	g.mustFinishAfterTerm()
	g.mustRunOnce()
	g.mustRunByTimer()
}

const watchUnit = "sqlite-checkpoint-watch.service"

// mustWatch: systemctl start waits for READY, reload makes a backup at once.
func (g *guest) mustWatch() {
	g.Helper()
	g.dropIn(watchUnit, "[Service]\nWatchdogSec=10s\nRestartSec=1s\n") // instead of minutes
	g.inside("systemctl start " + watchUnit).Exits(0)
	g.mustHaveSnapshots(1)
	g.eventually(watchUnit, "StatusText", "1 databases, 0 running, 0 failing")
	g.commit()
	g.inside("systemctl reload " + watchUnit).Exits(0)
	g.mustHaveSnapshots(2)
	g.eventually(watchUnit, "StatusText", "1 databases, 0 running, 0 failing")
}

// mustBeKilledByWatchdog: systemd replaces a watcher that hangs by one that continues where it was.
func (g *guest) mustBeKilledByWatchdog() {
	g.Helper()
	stopped := g.property(watchUnit, "MainPID")
	g.inside("kill -STOP " + stopped).Exits(0)
	g.eventually(watchUnit, "NRestarts", "1")
	g.eventually(watchUnit, "ActiveState", "active")
	if said := g.journal(watchUnit); !strings.Contains(said, "Failed with result 'watchdog'") {
		g.Errorf("it was not the watchdog: %s", said)
	}
	g.eventually(watchUnit, "StatusText", "1 databases, 0 running, 0 failing")
	g.commit()
	g.inside("systemctl reload " + watchUnit).Exits(0)
	g.mustHaveSnapshots(3) // and no other: what had not changed was not backed up again
	g.inside("systemctl stop " + watchUnit).Exits(0)
	if result := g.property(watchUnit, "Result"); result != "success" {
		g.Errorf("it was stopped with the result %s: %s", result, g.journal(watchUnit))
	}
}

// mustFinishAfterTerm: systemd knows that the watcher is about to end, and CMD has --grace for it.
func (g *guest) mustFinishAfterTerm() {
	g.Helper()
	const slow = "/usr/local/bin/sqlite-checkpoint watch /srv/app -- sh -c 'touch /srv/begun; sleep 5; touch /srv/done'"
	g.dropIn(watchUnit, "[Service]\nExecStart=\nExecStart="+slow+"\n")
	g.inside("systemctl start " + watchUnit + "; until test -e /srv/begun; do sleep 0.1; done").Exits(0)
	g.inside("kill -TERM " + g.property(watchUnit, "MainPID")).Exits(0)
	g.eventually(watchUnit, "ActiveState", "deactivating")
	g.eventually(watchUnit, "ActiveState", "inactive")
	if result := g.property(watchUnit, "Result"); result != "success" {
		g.Errorf("it ended with the result %s: %s", result, g.journal(watchUnit))
	}
	g.inside("test -e /srv/done").Exits(0)
}

// What the comments of the services say about a repository in a local directory.
const (
	ownRepository = "[Service]\nDynamicUser=no\nUser=restic\nReadWritePaths=/srv/restic\n"
	asRoot        = "[Service]\nReadWritePaths=/srv/restic\n"
)

// mustRunOnce: each of the other services succeeds and does its work.
func (g *guest) mustRunOnce() {
	g.Helper()
	g.inside("chmod 700 /srv/restic; useradd --system restic; chown -R restic /srv/restic").Exits(0)
	g.dropIn("sqlite-checkpoint@.service", ownRepository)
	g.dropIn("sqlite-checkpoint-proof@.service", ownRepository)
	g.dropIn("sqlite-checkpoint-directory@.service", asRoot)
	for _, unit := range []string{
		"sqlite-checkpoint@srv-app-app.db", "sqlite-checkpoint-proof@srv-app-app.db",
		"sqlite-checkpoint-directory@srv-app", "sqlite-checkpoint-copies@srv-app-app.db",
	} {
		if o := g.inside("systemctl start " + unit); o.Code != 0 {
			g.Errorf("%s: %s\n%s", unit, o.Stderr, g.journal(unit))
		}
	}
	g.mustHaveSnapshots(5)
	g.inside("test $(stat -c %u /var/lib/sqlite-checkpoint/copies/*.zst) -gt 1000").Exits(0) // of a DynamicUser=
}

// mustRunByTimer: a timer is enabled as its comment says, and runs its service when it is due.
func (g *guest) mustRunByTimer() {
	g.Helper()
	for _, service := range []string{"sqlite-checkpoint", "sqlite-checkpoint-proof", "sqlite-checkpoint-copies"} {
		timer := service + "@srv-app-app.db.timer"
		g.inside(`systemctl enable --now "$(systemd-escape --template=` + service +
			`@.timer --path /srv/app/app.db)"`).Exits(0)
		if next := g.property(timer, "NextElapseUSecRealtime"); next == "" {
			g.Errorf("%s has no next time", timer)
		}
	}
	g.commit()
	g.dropIn("sqlite-checkpoint-copies@.timer",
		"[Timer]\nOnCalendar=\nOnActiveSec=1ms\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
	g.inside("systemctl restart sqlite-checkpoint-copies@srv-app-app.db.timer; " +
		"until test $(ls /var/lib/sqlite-checkpoint/copies/*.zst | wc -l) = 2; do sleep 0.1; done").Exits(0)
}
