#!/bin/sh
# First process of the guest, in its initial RAM disk: mounts the host's files read-only over virtiofs, a tmpfs over
# them so that nothing ever reaches the host, and goes on there with start.sh.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /lower /upper /new
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
  insmod "/modules/$module" || echo "guest: loading $module failed"
done </modules/list
mount -t virtiofs -o ro host /lower || echo "guest: mounting the host's files failed"
mount -t tmpfs tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /new || poweroff -f
mount -t tmpfs tmpfs /new/run
mkdir /new/run/guest /new/run/netns
cp /start.sh /command /new/run/guest/
mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
exec switch_root /new /bin/sh /run/guest/start.sh
