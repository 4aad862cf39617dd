# Backs up, once an hour on every client node, the databases below /srv to which something was committed since.
#
#   nomad job run sqlite-checkpoint.nomad.hcl
#
# restic and sqlite-checkpoint are installed on the nodes; the variable nomad/jobs/sqlite-checkpoint holds what restic
# needs.
#
# Checked by: HashiCorp's own parser of HCL, and the command with a real repository.
# Not run by the tests: nomad, whose specification of a job no small module checks.
job "sqlite-checkpoint" {
  type = "sysbatch"

  periodic {
    crons            = ["@hourly"]
    prohibit_overlap = true
  }

  group "backup" {
    restart {
      attempts = 0
    }

    task "backup" {
      driver = "raw_exec"

      config {
        command = "/usr/local/bin/sqlite-checkpoint"
        args    = ["watch", "--once", "--each", "--state=/var/lib/sqlite-checkpoint/watch.state", "/srv/app", "--", "/usr/bin/restic", "backup", "--stdin-filename={db}", "--stdin-from-command", "--", "/usr/local/bin/sqlite-checkpoint", "backup", "{db}", "-"]
      }

      template {
        destination = "secrets/restic.env"
        env         = true
        data        = <<-END
          {{ with nomadVar "nomad/jobs/sqlite-checkpoint" }}
          RESTIC_REPOSITORY={{ .repository }}
          RESTIC_PASSWORD={{ .password }}
          {{ end }}
        END
      }
    }
  }
}
