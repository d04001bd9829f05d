#!/bin/sh
# Last step of an image: the mount points, and the code compiled, since the containers' file systems are read-only.
set -eu
cd /app
rm /tmp/finish.sh
python -m compileall -q /app
python docker/mount_points.py network-config/*.yaml | sort -u | xargs install -d -o 10001 -g 10001 -m 0750
