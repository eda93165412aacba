#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine for first_day.py: a host with the jobs that Debian gives it, whose
# clock is set forward from hour to hour. Timers and cron start what is due themselves.
#
#   first_day_inside.sh prepare           before the recorder: packages' settings, a person, a mirror
#   first_day_inside.sh record            starts the recorder
#   first_day_inside.sh hour DAY HOUR     e.g. 2026-03-01 06
#   first_day_inside.sh finish            ends it: /root/first-day holds the recording
set -euo pipefail

readonly FOLDER=/root/first-day
readonly BOUND=240  # Seconds that the jobs of one hour may take.

# Until it succeeds; without a sleep of its own process.
await() {
  local end=$((SECONDS + BOUND))
  until "$@"; do
    ((SECONDS < end)) || { echo "not in time: $*"; systemctl list-jobs --no-pager; exit 1; }
    read -rt .5 <> <(:) || true
  done
}

idle() { [[ "$(systemctl list-jobs --no-legend)" == *'No jobs'* || -z "$(systemctl list-jobs --no-legend)" ]]; }

# Sets the clock, and notes it beside the kernel's own, by which records are dated.
set_clock() {
  date -s "$1" >/dev/null
  echo "$(cut -d ' ' -f 1 /proc/uptime) $(date -u +%s)" >>$FOLDER/hours.txt
}

prepare() {
  mkdir -p $FOLDER /srv/mirror
  ln -sf /usr/share/zoneinfo/UTC /etc/localtime
  date -s '2026-02-28 23:30:00' >/dev/null
  # At the hour, so that each day has the same hours.
  for timer in $(systemctl list-unit-files --no-legend -t timer | cut -d ' ' -f 1); do
    mkdir -p "/etc/systemd/system/$timer.d"
    printf '[Timer]\nRandomizedDelaySec=0\nAccuracySec=1s\n' >"/etc/systemd/system/$timer.d/hour.conf"
  done
  printf 'APT::Periodic::%s "1";\n' Update-Package-Lists Unattended-Upgrade AutocleanInterval \
    >/etc/apt/apt.conf.d/20auto-upgrades
  rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
  echo 'deb [trusted=yes] http://localhost:8080/ ./' >/etc/apt/sources.list
  printf 'Package: example\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nFilename: ./example.deb\nSize: 4\nSHA256: %064d\nDescription: none\n' 0 >/srv/mirror/Packages
  cat >/etc/systemd/system/mirror.service <<'UNIT'
[Service]
ExecStart=/usr/bin/python3 -m http.server --directory /srv/mirror 8080
DynamicUser=yes
[Install]
WantedBy=multi-user.target
UNIT
  printf '#!/bin/sh\ndf -P / >/var/lib/disk-usage\n' >/etc/cron.hourly/disk-usage
  chmod 755 /etc/cron.hourly/disk-usage
  useradd -m -s /bin/bash admin
  echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
  mkdir -p -m 700 /root/.ssh
  ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
  install -d -o admin -g admin -m 700 ~admin/.ssh
  install -o admin -g admin -m 600 /root/.ssh/id_ed25519.pub ~admin/.ssh/authorized_keys
  systemctl daemon-reload
  systemctl enable -q --now mirror
  systemctl restart '*.timer'
  await idle
}

record() {
  set_clock '2026-02-28 23:45:00'
  systemd-run --quiet --unit=recorder -p TimeoutStopSec=300 /root/first_day_recorder record $FOLDER
  await test -e $FOLDER/ready
}

# A person logs in and looks around. On one line: sudo gives what is typed meanwhile to the command.
login() {
  timeout 200 ssh -qtt -o StrictHostKeyChecking=no admin@localhost >/dev/null
}

morning() {
  login <<'TYPED'
uptime; df -h; systemctl --no-pager --failed; sudo journalctl --no-pager -n 20 -p warning; ls -l /var/log; exit
TYPED
}

evening() {
  login <<'TYPED'
who; ps aux | grep cron; sudo tail -n 5 /var/log/auth.log; sudo apt-get -qq update; ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub; exit
TYPED
}

# On the second day the person does something that nobody did on the first.
curious() {
  login <<'TYPED'
free -m; ip addr; who; exit
TYPED
}

# Cron is woken by the end of a child, looks at the clock, and sleeps until the next minute.
wake_cron() { kill -CHLD "$(systemctl show -P MainPID cron)"; }

cron_ran() { [[ "$(stat -c %Y /var/lib/disk-usage)" != 0 ]]; }

hour() {
  local day=$1 hour=$2
  touch -d @0 /var/lib/disk-usage
  if [[ $hour == 06 ]]; then
    set_clock "$day 06:24:58"
    wake_cron
    await idle
  fi
  set_clock "$day $hour:16:58"
  wake_cron
  await cron_ran
  await idle
  case "$day $hour" in
    *' 00') systemctl start systemd-tmpfiles-clean ;;  # Counts from the boot, not by the clock.
    *' 09') morning ;;
    '2026-03-01 17') evening ;;
    '2026-03-02 13') curious ;;
    '2026-03-02 17') evening ;;
  esac
  await idle
}

finish() {
  systemctl list-timers --all --no-pager
  systemctl stop recorder
  test -s $FOLDER/programs.txt
}

"$@"
