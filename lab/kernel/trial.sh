#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a kernel that is tried out: says its release, sees that a module
# fits, runs a process, and powers off. See trial.py.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
release=$(uname -r)
echo "lab-trial: $release"
grep -q overlay /proc/filesystems ||
    insmod "$lab_modules/$release/kernel/fs/overlayfs/overlay.ko"
grep -q overlay /proc/filesystems && echo "lab-trial: done"
echo o > /proc/sysrq-trigger
sleep 10
