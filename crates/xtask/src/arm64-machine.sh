#!/bin/bash
# Makes what an emulated Raspberry Pi 3 boots: Debian's own kernel for 64-bit ARM. Usage: arm64-machine.sh DIRECTORY, which
# gets vmlinuz and raspberry-pi-3b.dtb. The kernel is only unpacked, never installed. It runs as any user.
set -euo pipefail
mkdir -p "$1" && cd "$1"
[ ! -e made ] || exit 0
rm -rf work && mkdir -p work/lists/partial work/cache/archives/partial && cd work

# Package lists of their own: this machine's are of its own architecture.
options=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists="$PWD/lists"
    -o Dir::Cache="$PWD/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User="$(id -un)")
apt-get --quiet "${options[@]}" update
version=$(apt-cache "${options[@]}" depends linux-image-arm64 | sed -n 's/.*Depends: linux-image-\(6\.1\.[^ ]*\)$/\1/p')
[ -n "$version" ] || { echo "no linux-image-6.1.*-arm64: this knows the kernel of Debian 12" >&2; exit 1; }
apt-get --quiet "${options[@]}" download "linux-image-$version"
dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x "./boot/vmlinuz-$version" \
    "./usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb"
mv "boot/vmlinuz-$version" ../vmlinuz
mv "usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" ../raspberry-pi-3b.dtb
cd .. && rm -rf work
# Written last, so that what was interrupted is made again.
echo "$version" >made
