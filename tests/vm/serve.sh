#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine as a service and does what machine.py asks for over the second
# serial port. A request is a line NUMBER SECONDS SCRIPT, an answer NUMBER EXIT-CODE OUTPUT; script
# and output are in base64.
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
echo ready >&3
while read -r number seconds script <&3; do
  base64 -d <<<"$script" >/run/vm-script
  code=0
  timeout --kill-after=5 "$seconds" bash /run/vm-script >/run/vm-output 2>&1 3>&- </dev/null || code=$?
  echo "$number $code $(base64 -w 0 /run/vm-output)" >&3
done
