#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a node. The kernel has mounted the host's root file system (as
# the lab's processes see it) on / by hostfs, and passes the node's name in $lab_node
# and the interpreter in $lab_python. Whatever fails here ends the node: the kernel
# panics when this process ends, and the console's log tells at which line.
set -eu
export PATH=$(dirname "$lab_python"):/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root

step() { echo "lab-init: $*"; }

# 1. Enough of a system to load modules. User-Mode Linux's own modules lie outside
#    /lib/modules, and the host's must not be touched: everything up to pivot_root is
#    mounted over the host's tree in this kernel only.
step "mounting the first file systems"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
release=$(uname -r)
modules=$lab_modules/$release
mount -t tmpfs -o mode=755 modules /mnt
mkdir /mnt/upper /mnt/work /mnt/root
grep -q overlay /proc/filesystems || insmod "$modules/kernel/fs/overlayfs/overlay.ko"

# 2. The host's files, with all that the node writes kept in the node's memory.
#    pivot_root and not chroot: LIO's kernel threads resolve their folders
#    (/etc/target/pr) from the root of the first process.
step "laying the overlay"
mount -t overlay -o "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root
mkdir -p mnt/host lib/modules
pivot_root . mnt/host
umount -l /mnt/host/proc /mnt/host/sys

step "mounting the rest"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
rm -f /.dockerenv # the node is none, though its host may be a container
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab /run/lock /run/udev "/lib/modules/$release"
mount -t hostfs -o "$modules" hostfs "/lib/modules/$release"
mount -t hostfs -o /run/lab hostfs /run/lab
for number in 0 1; do ip link set "vec$number" name "eth$number"; done

# 3. The lab's own part, in Python. It serves until the node is told to go down.
step "starting the agent"
cd "$lab_project"
PYTHONDONTWRITEBYTECODE=1 "$lab_python" -m lab.guest.boot "$lab_node" && status=0 || status=$?
step "the agent ended with status $status; powering off"
echo o > /proc/sysrq-trigger
sleep 60
