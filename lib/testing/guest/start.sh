#!/bin/sh
# Second stage, on the host's files: what a booted Linux has, then the command, whose output goes out by the second
# serial line, then off.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME
mkdir -p /dev/shm /dev/pts /sys/fs/cgroup
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
if [ -d /var/lib/cni ]; then mount -t tmpfs tmpfs /var/lib/cni; fi
hostname patchbay-guest
busybox ifconfig lo up
# /run/guest/command sets MODULES, DIRECTORY and run().
. /run/guest/command
mkdir -p /lib/modules
mount --bind "$MODULES" /lib/modules
# Not loaded on demand by the kernel.
modprobe br_netfilter
cd "$DIRECTORY" || echo "guest: no directory $DIRECTORY"
busybox stty -F /dev/ttyS1 raw -echo
run </dev/null >/dev/ttyS1 2>/dev/ttyS0
printf '\nguest: exit %s\n' "$?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 10
