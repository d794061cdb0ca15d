#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a server of the lab's Nova. When it is up, it does what comes by the
# serial port: a line has a word and a command. The command's output goes back between two
# lines that have the word, the second one with the status.
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /run /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod "/modules/$module"; done
dmesg -n 1 # the port is for the answers
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty raw -echo
echo "SERVER-UP $(cut -d ' ' -f 1 /proc/uptime)"
while read -r word command; do
    [ -n "$command" ] || continue
    echo "$word begins"
    sh -c "$command" < /dev/null
    echo "$word ended with $?"
done
