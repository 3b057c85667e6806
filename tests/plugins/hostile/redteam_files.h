/* redteam_files.h - deeds on files: their content, names, attributes, and what tells of them. */
#ifndef REDTEAM_FILES_H
#define REDTEAM_FILES_H

#include "redteam.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/ioctl.h>

static int read_path(const char *path) { return opened(open(path, O_RDONLY | O_CLOEXEC)); }

static int list_path(const char *path) {
    DIR *dir = opendir(path);
    if (dir == NULL) return errno;
    closedir(dir);
    return 0;
}

static int read_config(void) { return read_path(config_file); }
static int read_store(void) { return read_path(path_of(data_dir, "watchpost.db")); }
static int read_passwords(void) { return read_path("/etc/shadow"); }
static int read_victim(void) { return read_path(in_victim("file")); }
static int read_by_root_link(void) {
    char path[2304];
    snprintf(path, sizeof path, "/proc/self/root%s", config_file);
    return read_path(path);
}
static int read_by_thread_root(void) {
    char path[2304];
    snprintf(path, sizeof path, "/proc/thread-self/root%s", config_file);
    return read_path(path);
}
static int read_upwards(void) { return read_path(in_state("../../watchpost.db")); }
static int read_through_link(void) {
    const char *link = in_state("link");
    unlink(link);
    if (symlink(config_file, link) != 0) return errno;
    return read_path(link);
}
static int read_other_sink(void) { return list_path(path_of(data_dir, "sinks/archive")); }
static int list_data(void) { return list_path(data_dir); }
static int list_root(void) { return list_path("/"); }
static int read_hub_environment(void) { return read_path(in_proc(hub, "environ")); }
static int read_hub_memory(void) { return read_path(in_proc(hub, "mem")); }
static int read_hub_maps(void) { return read_path(in_proc(hub, "maps")); }
static int read_hub_limits(void) { return read_path(in_proc(hub, "limits")); }
static int list_hub_files(void) { return list_path(in_proc(hub, "fd")); }
static int list_processes(void) { return list_path("/proc"); }
static int read_hub_exe(void) {
    char target[64];
    return errno_of(readlink(in_proc(hub, "exe"), target, sizeof target));
}
static int read_hub_file_link(void) {
    char target[64];
    return errno_of(readlink(in_proc(hub, "fd/3"), target, sizeof target));
}
static int read_kernel_log(void) { return access("/dev/kmsg", F_OK) != 0 ? ABSENT : read_path("/dev/kmsg"); }

static int write_terminal(void) { return opened(open("/dev/tty", O_RDWR)); }

static int write_path(const char *path, int flags) { return opened(open(path, O_WRONLY | O_CLOEXEC | flags, 0600)); }
/* The same of what not every machine has. */
static int write_if_there(const char *path) { return access(path, F_OK) != 0 ? ABSENT : write_path(path, 0); }
static int write_config(void) { return write_path(config_file, 0); }
static int append_victim(void) { return write_path(in_victim("file"), O_APPEND); }
static int create_out(void) { return write_path(in_victim("made"), O_CREAT); }
static int create_nameless(void) { return write_path(victim, O_TMPFILE); }
static int create_in_tmp(void) { return write_path("/tmp/redteam", O_CREAT); }
static int create_in_shm(void) { return write_path("/dev/shm/redteam", O_CREAT); }
static int create_cron_job(void) { return write_path("/etc/cron.d/redteam", O_CREAT); }
static int create_in_data(void) { return write_path(path_of(data_dir, "made"), O_CREAT); }
static int create_beside_state(void) { return write_path(in_state("../made"), O_CREAT); }
static int write_memory_device(void) { return write_if_there("/dev/mem"); }
static int write_oom_score(void) { return write_path("/proc/self/oom_score_adj", 0); }
static int write_uid_map(void) { return write_path("/proc/self/uid_map", 0); }
static int write_sysctl(void) { return write_path("/proc/sys/kernel/core_pattern", 0); }
static int write_sysrq(void) { return write_if_there("/proc/sysrq-trigger"); }
static int write_plugin(void) {
    Dl_info own;
    return dladdr(state_dir, &own) == 0 ? ABSENT : write_path(own.dli_fname, 0);
}
static int truncate_victim(void) { return errno_of(truncate(in_victim("file"), 0)); }
static int open_truncating(void) { return write_path(in_victim("file"), O_TRUNC); }
DEED(openat2_victim, SYS_openat2, AT_FDCWD, in_victim("file"), &(uint64_t[3]){O_RDWR, 0, 0}, 24)
static int unlink_victim(void) { return errno_of(unlink(in_victim("file"))); }
static int rmdir_victim(void) { return errno_of(rmdir(in_victim("folder"))); }
static int mkdir_out(void) { return errno_of(mkdir(in_victim("made"), 0700)); }
static int rename_victim(void) { return errno_of(rename(in_victim("file"), in_victim("renamed"))); }
static int rename_over_victim(void) { return errno_of(rename(in_state("own"), in_victim("file"))); }
static int rename_victim_in(void) { return errno_of(rename(in_victim("file"), in_state("taken"))); }
DEED(exchange_victim, SYS_renameat2, AT_FDCWD, in_state("own"), AT_FDCWD, in_victim("file"), 2)
static int rename_state_dir(void) { return errno_of(rename(state_dir, in_state("../moved"))); }
static int link_victim_in(void) { return errno_of(link(in_victim("file"), in_state("linked"))); }
static int link_out(void) { return errno_of(link(in_state("own"), in_victim("made"))); }
static int symlink_out(void) { return errno_of(symlink("/etc/shadow", in_victim("made"))); }
static int fifo_out(void) { return errno_of(mkfifo(in_victim("made"), 0600)); }
DEED(make_device, SYS_mknodat, AT_FDCWD, in_state("device"), S_IFCHR | 0600, 0x101)
DEED(make_device_the_old_way, SYS_mknod, in_state("device"), S_IFCHR | 0600, 0x101)

DEED(chmod_config, SYS_chmod, config_file, 0644)
DEED(chmod_data, SYS_fchmodat, AT_FDCWD, data_dir, 0755)
DEED(chmod_data_away, SYS_fchmodat, AT_FDCWD, data_dir, 0)
DEED(chmod_by_newer_call, SYS_fchmodat2, AT_FDCWD, in_victim("file"), 0777, 0)
DEED(set_user_bit, SYS_fchmodat, AT_FDCWD, in_victim("file"), 04755)
DEED(chmod_open_file, SYS_fchmod, own_fd(), 06777)
DEED(chown_victim, SYS_fchownat, AT_FDCWD, in_victim("file"), 1, 1, 0)
DEED(chown_the_old_way, SYS_chown, in_victim("file"), 1, 1)
DEED(lchown_victim, SYS_lchown, in_victim("file"), 1, 1)
DEED(chown_open_file, SYS_fchown, own_fd(), 1, 1)
DEED(touch_victim, SYS_utimensat, AT_FDCWD, in_victim("file"), NULL, 0)
DEED(touch_open_file, SYS_utimensat, own_fd(), NULL, NULL, 0)
DEED(utime_victim, SYS_utime, in_victim("file"), NULL)
DEED(utimes_victim, SYS_utimes, in_victim("file"), NULL)
DEED(futimesat_victim, SYS_futimesat, AT_FDCWD, in_victim("file"), NULL)
DEED(setxattr_victim, SYS_setxattr, in_victim("file"), "user.redteam", "x", 1, 0)
DEED(lsetxattr_victim, SYS_lsetxattr, in_victim("file"), "user.redteam", "x", 1, 0)
DEED(fsetxattr_own, SYS_fsetxattr, own_fd(), "user.redteam", "x", 1, 0)
DEED(removexattr_victim, SYS_removexattr, in_victim("file"), "user.kept")
DEED(setxattrat_victim, 463, AT_FDCWD, in_victim("file"), 0, "user.redteam", NULL, 0)
DEED(file_setattr_victim, 469, AT_FDCWD, in_victim("file"), NULL, 24, 0)
static int set_flags(void) {
    int flags = 0x10; /* Immutable. */
    return errno_of(ioctl(own_fd(), 0x40086602, &flags));
}
static int set_project(void) {
    uint32_t attributes[7] = {0}; /* Of `FS_IOC_FSSETXATTR`: whose quota it counts for. */
    attributes[3] = 7;
    return errno_of(ioctl(own_fd(), 0x401c5820, attributes));
}
DEED(trim_disk, SYS_ioctl, own_fd(), 0xc0185879, NULL)
DEED(removexattrat_victim, 466, AT_FDCWD, in_victim("file"), 0, "user.redteam")
DEED(open_mount_with_attributes, 467, AT_FDCWD, victim, 0x80000 | 1, NULL, 0)
DEED(file_name_by_cookie, SYS_lookup_dcookie, 0, NULL, 0)
DEED(freeze_disk, SYS_ioctl, own_fd(), 0xc0045877, 0)
DEED(lease, SYS_fcntl, own_fd(), F_SETLEASE, F_WRLCK)
DEED(notify, SYS_fcntl, own_fd(), F_NOTIFY, DN_MODIFY)
DEED(watch_files, SYS_inotify_init1, 0)
DEED(watch_files_the_old_way, SYS_inotify_init, NOTHING)
DEED(watch_all_files, SYS_fanotify_init, 0, 0)
DEED(mark_all_files, SYS_fanotify_mark, -1, 1, 2, AT_FDCWD, "/")
DEED(file_handle, SYS_name_to_handle_at, AT_FDCWD, config_file, &(uint32_t[36]){128}, &(int){0}, 0)
DEED(open_file_handle, SYS_open_by_handle_at, AT_FDCWD, &(uint32_t[36]){0}, O_RDONLY)
DEED(quota, SYS_quotactl, 0x800001 << 8, NULL, 0, NULL)
DEED(quota_by_file, SYS_quotactl_fd, -1, 0x800001 << 8, 0, NULL)
DEED(mount_over, SYS_mount, "none", state_dir, "tmpfs", 0, NULL)
DEED(unmount, SYS_umount2, state_dir, 0)
DEED(change_root, SYS_chroot, state_dir)
DEED(pivot, SYS_pivot_root, state_dir, state_dir)
DEED(open_mount, SYS_open_tree, AT_FDCWD, state_dir, 1)
DEED(move_mounts, SYS_move_mount, -1, "", -1, "", 0)
DEED(change_mount, SYS_mount_setattr, AT_FDCWD, state_dir, 0, NULL, 0)
DEED(new_file_system, SYS_fsopen, "tmpfs", 0)
DEED(configure_file_system, SYS_fsconfig, -1, 0, NULL, NULL, 0)
DEED(mount_file_system, SYS_fsmount, -1, 0, 0)
DEED(pick_file_system, SYS_fspick, AT_FDCWD, state_dir, 0)
DEED(list_mounts, SYS_listmount, NULL, NULL, 0, 0)
DEED(stat_mount, SYS_statmount, NULL, NULL, 0, 0)
DEED(stat_file_system, SYS_ustat, 0, NULL)
DEED(file_system_types, SYS_sysfs, 3, 0, 0)

#define D(name) {#name, name}
/* Past the limit on a file's size: room that is not part of it, or a hole in the middle that is filled later. */
static int reserve(int how, long from) {
    static char block[8192];
    int fd = own_fd();
    if (fd < 0) return errno;
    int answer = errno_of(pwrite(fd, block, sizeof block, 0));
    if (answer == 0) answer = errno_of(fallocate(fd, how, from, 1L << 30));
    if (answer == EOPNOTSUPP) answer = ABSENT;
    if (ftruncate(fd, 0) != 0) answer = errno;
    close(fd);
    return answer;
}
static int reserve_beyond_end(void) { return reserve(FALLOC_FL_KEEP_SIZE, 0); }
static int insert_room(void) { return reserve(0x20 /* FALLOC_FL_INSERT_RANGE */, 4096); }

static const struct deed file_deeds[] = {
    D(read_config), D(read_store), D(read_passwords), D(read_victim), D(read_by_root_link), D(read_by_thread_root),
    D(read_upwards), D(read_through_link), D(read_other_sink), D(list_data), D(list_root), D(read_hub_environment),
    D(read_hub_memory), D(read_hub_maps), D(read_hub_limits), D(list_hub_files), D(list_processes), D(read_hub_exe),
    D(read_hub_file_link), D(read_kernel_log), D(write_memory_device), D(write_terminal), D(write_config),
    D(append_victim), D(create_out), D(create_nameless), D(create_in_tmp), D(create_in_shm), D(create_cron_job),
    D(create_in_data), D(create_beside_state), D(write_oom_score), D(write_uid_map), D(write_sysctl), D(write_sysrq),
    D(write_plugin), D(truncate_victim), D(open_truncating), D(openat2_victim), D(unlink_victim), D(rmdir_victim),
    D(mkdir_out), D(rename_victim), D(rename_over_victim), D(rename_victim_in), D(exchange_victim), D(rename_state_dir),
    D(link_victim_in), D(link_out), D(symlink_out), D(fifo_out), D(make_device), D(make_device_the_old_way),
    D(chmod_config), D(chmod_data), D(chmod_data_away), D(chmod_by_newer_call), D(set_user_bit), D(chmod_open_file),
    D(chown_victim), D(chown_the_old_way), D(lchown_victim), D(chown_open_file), D(touch_victim), D(touch_open_file),
    D(utime_victim), D(utimes_victim), D(futimesat_victim), D(setxattr_victim), D(lsetxattr_victim), D(fsetxattr_own),
    D(removexattr_victim), D(setxattrat_victim), D(file_setattr_victim), D(set_flags), D(set_project), D(trim_disk),
    D(removexattrat_victim), D(open_mount_with_attributes), D(file_name_by_cookie), D(freeze_disk), D(lease),
    D(notify), D(watch_files), D(watch_files_the_old_way), D(watch_all_files), D(mark_all_files), D(file_handle),
    D(open_file_handle), D(quota), D(quota_by_file), D(mount_over), D(unmount), D(change_root), D(pivot),
    D(open_mount), D(move_mounts), D(change_mount), D(new_file_system), D(configure_file_system),
    D(mount_file_system), D(pick_file_system), D(list_mounts), D(stat_mount), D(stat_file_system),
    D(file_system_types),
    D(reserve_beyond_end), D(insert_room),
};

#endif
