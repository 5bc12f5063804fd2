#!/usr/bin/env bash
# A throw-away Debian machine with a stock snapd, in software emulation: it needs no KVM, no store and, once its image
# exists, no network.
#
#   e2e/vm.sh image               build the image, unless it is there: a Debian with snapd, which has the snaps snapd
#                                 and bare installed and the confdb feature on
#   e2e/vm.sh up                  start a fresh machine from the image, unless one runs; done when it answers. The first
#                                 one boots and keeps its memory as it is then, with which all later ones begin
#   e2e/vm.sh ssh COMMAND         run a shell command in it, as root; the exit code is the command's
#   e2e/vm.sh push FILE... DIR    copy files into it
#   e2e/vm.sh pull FILE... DIR    copy files out of it
#   e2e/vm.sh cut                 pull its plug: the emulator is killed in mid-whatever
#   e2e/vm.sh again               boot the machine that was cut, with the disk as it was left
#   e2e/vm.sh keep                keep this moment of it, for another machine to begin with
#   e2e/vm.sh up PORT             as up, but begin with the moment that the machine of another E2E_PORT has kept, which
#                                 nobody else can then
#   e2e/vm.sh down                stop it and forget what it wrote
#   e2e/vm.sh status              tell whether it runs, and where its files are
#
# E2E_DIR    where images live       (${XDG_CACHE_HOME:-~/.cache}/aspects-poc-e2e)
# E2E_SUITE  the Debian suite        (sid: snapd 2.77 at the time of writing)
# E2E_PORT   the port of its ssh     (2230, on the loopback interface); another port is another machine
# E2E_CPUS   its processors          (2)
# E2E_MEMORY megabytes of memory     (3072)
# E2E_WAIT   seconds to wait for it  (300; a boot takes some 45 on an idle machine)
#
# Needs debootstrap, qemu-system-x86, qemu-utils, squashfs-tools, e2fsprogs and openssh-client, and root for `image`.
set -euo pipefail

suite=${E2E_SUITE:-sid}
dir=${E2E_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/aspects-poc-e2e}/$suite
port=${E2E_PORT:-2230}
pidfile=$dir/pid-$port
run=$dir/run-$port.qcow2
serial=$dir/serial-$port.log
monitor=$dir/monitor-$port
taken=$dir/taken-$port

# One connection serves all commands: setting one up costs the emulated processor most of a second.
ssh_options=(-q -i "$dir/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10
	-o ServerAliveInterval=30 -o ServerAliveCountMax=20 -o ControlMaster=auto -o "ControlPath=$dir/ssh-$port" -o ControlPersist=yes)

say() { printf 'vm: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# quietly LOG COMMAND...: runs a command, and shows the end of its log only where it fails
quietly() {
	local log=$1
	shift
	"$@" >>"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; fail "failed: $* (all of it is in $log)"; }
}

running() { [[ -f $pidfile ]] && kill -0 "$(<"$pidfile")" 2>/dev/null; }

remote() { ssh "${ssh_options[@]}" -p "$port" root@127.0.0.1 "export PATH=\$PATH:/snap/bin; $*"; }

hang_up() { ssh "${ssh_options[@]}" -p "$port" -O exit root@127.0.0.1 2>/dev/null || true; rm -f "$dir/ssh-$port"; }

# boot DISK [OPTION...]: starts the emulator, with further options of its, and waits for ssh.
# The kernel's TSC is declared reliable and its watchdogs are off: on a busy host the kernel would mark the clock as
# unstable and patch its own code for that, a moment at which QEMU 7.2 with several processors may crash it.
# An old processor: with AVX, BMI and SMAP there is more to emulate, and the same work takes half as long again; cmpxchg16b
# stops all processors but one.
boot() {
	local disk=$1
	shift
	hang_up
	rm -f "$monitor".*
	mkfifo "$monitor.in" "$monitor.out"
	qemu-system-x86_64 -name "aspects-poc-e2e-$suite" -machine q35 -accel tcg,thread=multi -cpu "${E2E_CPU:-Nehalem,-cx16}" \
		-smp "${E2E_CPUS:-2}" -m "${E2E_MEMORY:-3072}" -nodefaults -display none -daemonize -pidfile "$pidfile" -serial "file:$serial" \
		-chardev "pipe,id=monitor,path=$monitor" -mon chardev=monitor \
		-drive "file=$disk,if=virtio,cache=unsafe,format=qcow2" -device virtio-rng-pci \
		-netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net \
		-kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
		-append "root=/dev/vda rw console=ttyS0 quiet tsc=reliable nowatchdog mitigations=off init_on_alloc=0 panic=-1 ${E2E_APPEND-}" -no-reboot "$@"
	local end=$((SECONDS + ${E2E_WAIT:-300}))
	until remote true 2>/dev/null; do
		running || fail "the machine crashed while it booted; see $serial"
		((SECONDS < end)) || fail "no answer on port $port after ${E2E_WAIT:-300} s; see $serial"
		sleep 1
	done
}

# A moment is a machine as two files: MOMENT.qcow2, its disk, and MOMENT.ram, all else. A machine that begins with one needs
# some seconds; to boot, more than a minute.

# freeze MOMENT: stops the machine and writes MOMENT.ram
freeze() {
	hang_up # the copies would share the connection
	rm -f "$1.ram"
	printf 'migrate "exec:cat >%s.new && mv %s.new %s"\n' "$1.ram" "$1.ram" "$1.ram" >"$monitor.in"
	until [[ -f $1.ram ]]; do
		running || fail "the machine crashed; see $serial"
		sleep 0.2
	done
}

# keep MOMENT: that of the machine that runs, which goes on
keep() {
	running || fail "no machine runs: $0 up"
	freeze "$1"
	cp "$run" "$1.qcow2"
	echo cont >"$monitor.in"
}

# resume MOMENT: a fresh machine that begins with it. The clock stood still meanwhile.
resume() {
	qemu-img create -q -f qcow2 -F qcow2 -b "$1.qcow2" "$run"
	boot "$run" -incoming "exec:cat $1.ram"
	remote "date -s @$(date +%s)" >/dev/null
}

# booted: the moment at which the image has booted, made where it is missing
booted() {
	local moment
	moment=$dir/booted-${E2E_CPUS:-2}-${E2E_MEMORY:-3072}
	if [[ ! -f $moment.ram ]]; then
		say "booting it once, for all machines with ${E2E_CPUS:-2} processors"
		rm -f "$moment.qcow2"
		qemu-img create -q -f qcow2 -F qcow2 -b "$dir/ready.qcow2" "$moment.qcow2"
		boot "$moment.qcow2"
		remote 'snap wait system seed.loaded; systemctl is-system-running --wait; sync' >/dev/null || true
		freeze "$moment"
		cut_power
	fi
	printf '%s' "$moment"
}

cut_power() {
	if running; then
		local pid
		pid=$(<"$pidfile")
		kill -KILL "$pid"
		while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	fi
	rm -f "$pidfile" "$monitor".*
	hang_up
}

shut_down() {
	running || { cut_power; return; }
	remote 'systemctl poweroff' 2>/dev/null || true
	local _
	for _ in $(seq 60); do
		running || break
		sleep 1
	done
	cut_power
}

system_packages=(systemd systemd-sysv dbus dbus-user-session udev kmod snapd apparmor squashfs-tools openssh-server iproute2
	procps curl jq initramfs-tools zstd linux-image-cloud-amd64)

# distribution ROOT: a Debian with what is needed, in a folder
distribution() {
	local root=$1 log=$dir/image.log
	say "installing Debian $suite into a folder"
	quietly "$log" debootstrap --variant=minbase "$suite" "$root" \
		"$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)"
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	quietly "$log" chroot "$root" mount -t proc proc /proc
	local code=0
	(quietly "$log" chroot "$root" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends "${system_packages[@]}") || code=$?
	umount "$root/proc"
	((code == 0)) || exit "$code"

	ssh-keygen -q -t ed25519 -N '' -C aspects-poc-e2e -f "$dir/key" <<<y >/dev/null
	install -D -m 600 "$dir/key.pub" "$root/root/.ssh/authorized_keys"
	chroot "$root" passwd -q -d root
	printf '[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/10-user.network"
	chroot "$root" systemctl -q enable systemd-networkd ssh
	chroot "$root" systemctl -q mask systemd-networkd-wait-online.service systemd-timesyncd.service apt-daily.timer \
		apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
	# systemd runs all of its generators whenever it reloads, some five times for each snap that is installed. None but
	# snapd's has anything to do here.
	local generator
	mkdir -p "$root/etc/systemd/system-generators"
	for generator in "$root"/usr/lib/systemd/system-generators/*; do
		[[ $generator == */snapd-generator ]] || ln -s /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
	done
	# The snap of snapd has the very files of the package: to start each command and each hook a second time, from there,
	# takes an emulated processor a second.
	echo SNAP_REEXEC=0 >>"$root/etc/environment"
	echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
	echo e2e >"$root/etc/hostname"
	mkdir -p "$root/var/lib/snapd/snaps" # without it no local snap can be installed
}

# system_snaps ROOT: the two snaps on which all others stand, of the distribution's own files, as there is no store:
# snapd, which has the system's slots, confdb's among them; and bare, the base without anything.
system_snaps() {
	local root=$1 pack=$dir/pack version
	rm -rf "$pack"
	mkdir -p "$pack"/snapd/{meta,usr/bin,usr/lib,etc/apparmor.d}
	cp -a "$root/usr/lib/snapd" "$pack/snapd/usr/lib/"
	cp -a "$root/usr/bin/snap" "$pack/snapd/usr/bin/"
	cp -a "$root"/etc/apparmor.d/usr.lib.snapd.snap-confine* "$pack/snapd/etc/apparmor.d/usr.lib.snapd.snap-confine"
	version=$(chroot "$root" dpkg-query -W -f '${Version}' snapd)
	cat >"$pack/snapd/meta/snap.yaml" <<-YAML
		name: snapd
		type: snapd
		version: "${version%%[+~]*}"
		summary: snapd of Debian $suite
		description: The files of the distribution's package, as a snap.
		architectures: [amd64]
	YAML
	mkdir -p "$pack"/bare/{meta,bin,dev,etc,home,lib/modules,lib64,media,mnt,opt,proc,root,run,sbin,snap,sys,tmp} \
		"$pack"/bare/usr/{bin,src,lib/snapd} "$pack"/bare/var/{log,snap,tmp,lib/snapd}
	cat >"$pack/bare/meta/snap.yaml" <<-YAML
		name: bare
		type: base
		version: "1.0"
		summary: Empty base
		description: Directories to mount on, and nothing in them.
		architectures: [all]
	YAML
	local snap
	for snap in snapd bare; do
		mksquashfs "$pack/$snap" "$root/root/$snap.snap" -noappend -quiet -no-progress -all-root >/dev/null
	done
	rm -rf "$pack"
}

# image: each stage leaves a file that is complete or not there, so that a build that was interrupted goes on.
image() {
	[[ -f $dir/ready.qcow2 ]] && return
	((EUID == 0)) || fail "root is needed to build the image: sudo $0 image"
	mkdir -p "$dir"
	if [[ ! -f $dir/base.img ]]; then
		local root=$dir/root
		rm -rf "$root"
		distribution "$root"
		system_snaps "$root"
		cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
		cp "$root"/boot/initrd.img-* "$dir/initrd"
		say "making a disk of it"
		rm -f "$dir/base.img.new"
		truncate -s 4G "$dir/base.img.new"
		mke2fs -q -t ext4 -d "$root" "$dir/base.img.new"
		mv "$dir/base.img.new" "$dir/base.img"
		rm -rf "$root"
	fi
	say "booting it to install the snaps snapd and bare"
	cut_power
	qemu-img create -q -f qcow2 -F raw -b "$dir/base.img" "$dir/ready.qcow2.new"
	boot "$dir/ready.qcow2.new"
	remote 'set -e
		until snap wait system seed.loaded; do sleep 1; done
		snap install --dangerous /root/snapd.snap
		snap install --dangerous /root/bare.snap
		flag=$(curl -s --unix-socket /run/snapd.socket http://snapd/v2/system-info |
			jq -r ".result.features | if has(\"confdb\") then \"confdb\" else \"confdbs\" end")
		snap set system experimental.$flag=true store.access=offline refresh.retain=2
		rm -f /root/*.snap
		sync' || fail "the image cannot be finished; the machine still runs, for you to look: $0 ssh"
	shut_down
	mv "$dir/ready.qcow2.new" "$dir/ready.qcow2"
	say "the image is ready: $dir"
}

main() {
	case ${1-} in
	image) image ;;
	up)
		running && exit
		image
		rm -f "$run"
		if [[ ${2-} ]]; then
			[[ -f $dir/kept-$2.ram ]] || fail "the machine of port $2 has kept no moment: E2E_PORT=$2 $0 keep"
			mv "$dir/kept-$2.qcow2" "$taken.qcow2"
			mv "$dir/kept-$2.ram" "$taken.ram"
			resume "$taken"
		else
			resume "$(booted)"
		fi
		;;
	keep) keep "$dir/kept-$port" ;;
	again)
		running && fail "it runs: cut it first"
		[[ -f $run ]] || fail "there is no machine to boot again: $0 up"
		boot "$run"
		;;
	ssh) shift && remote "$@" ;;
	push) shift && scp "${ssh_options[@]}" -P "$port" "${@:1:$#-1}" "root@127.0.0.1:${*: -1}" ;;
	pull)
		shift
		files=("${@:1:$#-1}")
		scp "${ssh_options[@]}" -P "$port" "${files[@]/#/root@127.0.0.1:}" "${*: -1}"
		;;
	cut) cut_power ;;
	down)
		shut_down
		rm -f "$run" "$taken".*
		;;
	status)
		if running; then echo "running, pid $(<"$pidfile"), port $port, files in $dir"; else echo "not running, files in $dir"; fi
		;;
	*)
		sed -n '2,/^set/{/^set/!p}' "$0" | sed 's/^# \{0,1\}//'
		exit 2
		;;
	esac
}

main "$@"; exit # on one line, so that this file can be edited while it runs
