#!/bin/bash
# Makes what a virtual machine with GPIO lines boots: Debian's own kernel, and the kernel's GPIO simulator as a module,
# which no Debian kernel has. Usage: gpio-machine.sh DIRECTORY, which gets vmlinuz, configfs.ko, e1000.ko (a network
# card) and gpio-sim.ko.
# The kernel is only unpacked, never installed. It runs as any user; the headers of the kernel have to be installed.
set -euo pipefail
mkdir -p "$1" && cd "$1"
headers=$(find /usr/src -maxdepth 1 -name 'linux-headers-6.1.*-amd64' | sort -V | tail -1)
[ -n "$headers" ] || { echo "no /usr/src/linux-headers-6.1.*-amd64: this knows the kernel of Debian 12" >&2; exit 1; }
version=${headers#/usr/src/linux-headers-}
[ "$(cat made 2>/dev/null)" != "$version" ] || exit 0
rm -rf made work && mkdir work && cd work

fetch() { apt-get download --quiet "linux-image-$version" linux-source-6.1; }
# A fresh machine has no package lists.
fetch || { apt-get update --quiet && fetch; }
dpkg-deb -x linux-image-*.deb image
mkdir module
dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz | xz -dcT0 |
    tar -x -C module --strip-components=3 linux-source-6.1/drivers/gpio/gpio-sim.c \
        linux-source-6.1/drivers/gpio/gpiolib.h linux-source-6.1/kernel/irq/irq_sim.c
# The kernel keeps irq_to_desc() from modules, and gives them this way to the same thing.
sed -i 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' module/irq_sim.c
printf 'obj-m := gpio-sim-lines.o\ngpio-sim-lines-y := gpio-sim.o irq_sim.o\n' >module/Makefile
make --silent -C "$headers" M="$PWD/module" modules
strip --strip-debug module/gpio-sim-lines.ko

mv module/gpio-sim-lines.ko ../gpio-sim.ko
mv "$(find image -name configfs.ko)" "$(find image -name e1000.ko)" ..
mv "image/boot/vmlinuz-$version" ../vmlinuz
cd .. && rm -rf work
# Written last, so that what was interrupted is made again.
echo "$version" >made
