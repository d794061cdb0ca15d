#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a kernel that is tried out: says its release, loads the modules
# that the lab needs, brings a link up, and powers off. See trial.py.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
release=$(uname -r)
echo "lab-trial: $release"
# Mounts are this kernel's own; the machine's files are not written to.
mount -t tmpfs modules /mnt
mkdir -p "/mnt/lib/modules/$release"
mount -t hostfs -o "$lab_modules/$release" hostfs "/mnt/lib/modules/$release"
for module in overlay $(echo "$lab_modules_to_load" | tr , ' '); do
    modprobe --dirname=/mnt "$module"
done
ip link set vec0 up
echo "lab-trial: done"
echo o > /proc/sysrq-trigger
sleep 10
