/* redteam_processes.h - deeds on processes: making them, ending them, looking into them, and becoming more. */
#ifndef REDTEAM_PROCESSES_H
#define REDTEAM_PROCESSES_H

#include "redteam.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Ends a process that this one should not have been able to start. */
static int started(long pid) {
    if (pid == 0) _exit(0);
    if (pid < 0) return errno;
    waitpid((pid_t)pid, NULL, 0);
    return 0;
}

static int start_process(void) { return started(syscall(SYS_fork)); }
static int start_by_clone(void) { return started(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static int start_sibling(void) { return started(syscall(SYS_clone, SIGCHLD | CLONE_PARENT, 0, 0, 0, 0)); }
static int start_traced(void) { return started(syscall(SYS_clone, SIGCHLD | CLONE_PTRACE, 0, 0, 0, 0)); }
DEED(start_by_clone3, SYS_clone3, NULL, 0)
static int run_program(void) {
    char *const words[] = {"true", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/bin/true", words);
        _exit(errno == 0 ? 1 : errno);
    }
    int status;
    if (pid < 0) return errno;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}
DEED(become_program, SYS_execve, "/redteam/is/not/there", NULL, NULL)
DEED(become_open_program, SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH)
DEED(use_library, SYS_uselib, "/redteam")
static int new_namespace(int flag) { return started(syscall(SYS_clone, SIGCHLD | flag, 0, 0, 0, 0)); }
static int new_user_namespace(void) { return new_namespace(CLONE_NEWUSER); }
static int new_process_namespace(void) { return new_namespace(CLONE_NEWPID); }
static int new_network_namespace(void) { return new_namespace(CLONE_NEWNET); }
DEED(unshare_users, SYS_unshare, CLONE_NEWUSER)
DEED(unshare_mounts, SYS_unshare, CLONE_NEWNS)
DEED(unshare_files, SYS_unshare, CLONE_FILES)
/* Open files that no other thread has: those of the process are measured. */
DEED(own_open_files, SYS_close_range, 1000, 1000, 2 /* CLOSE_RANGE_UNSHARE */)
static int end_at_once(void *unused) {
    (void)unused;
    return 0;
}
static int thread_with_own_files(void) {
    static char stack[16384] __attribute__((aligned(16)));
    int flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    int answer = errno_of(clone(end_at_once, stack + sizeof stack, flags, NULL));
    usleep(1000);
    return answer;
}
DEED(enter_namespace, SYS_setns, -1, 0)

DEED(trace_hub, SYS_ptrace, 0x4206 /* PTRACE_SEIZE */, hub, 0, 0)
DEED(be_traced, SYS_ptrace, 0 /* PTRACE_TRACEME */, 0, 0, 0)
DEED(read_memory_of_hub, SYS_process_vm_readv, hub, NULL, 0, NULL, 0, 0)
DEED(write_memory_of_hub, SYS_process_vm_writev, hub, NULL, 0, NULL, 0, 0)
DEED(advise_memory_of_hub, SYS_process_madvise, -1, NULL, 0, 0, 0)
DEED(reap_memory_of_hub, SYS_process_mrelease, -1, 0)
DEED(take_file_of_hub, SYS_pidfd_getfd, -1, 0, 0)
DEED(compare_with_hub, SYS_kcmp, getpid(), hub, 0, 0, 0)
static int hold_hub(void) { return opened(syscall(SYS_pidfd_open, hub, 0)); }
/* A handle of the process at the other end of this one's socket, which is the hub. */
static int peer_handle(void) {
    int fds[8], handle = -1;
    socklen_t length = sizeof handle;
    errno = ENOTSOCK;
    if (host_sockets(fds, 8) == 0 || getsockopt(fds[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &handle, &length) != 0) return -1;
    return handle;
}
static int signal_by_peer_handle(void) {
    int handle = peer_handle();
    if (handle < 0) return errno == ENOPROTOOPT ? ABSENT : errno;
    return CALL(SYS_pidfd_send_signal, handle, 0, NULL, 0);
}
static int namespace_of_peer(void) {
    int handle = peer_handle();
    if (handle < 0) return errno == ENOPROTOOPT ? ABSENT : errno;
    return opened(ioctl(handle, 0xff03 /* PIDFD_GET_MNT_NAMESPACE */, 0));
}
DEED(home_of_memory, 450, NULL, 0, 0, 0)
static int signal_by_handle(void) {
    long fd = syscall(SYS_pidfd_open, hub, 0);
    if (fd < 0) return errno;
    return CALL(SYS_pidfd_send_signal, fd, 0, NULL, 0);
}
DEED(signal_hub, SYS_kill, hub, 0)
DEED(signal_bystander, SYS_kill, bystander, 0)
DEED(signal_group_of_hub, SYS_kill, -getpgid((pid_t)hub), 0)
DEED(signal_thread_of_hub, SYS_tgkill, hub, hub, 0)
DEED(signal_thread_the_old_way, SYS_tkill, hub, 0)
DEED(queue_signal_to_hub, SYS_rt_sigqueueinfo, hub, 0, &(siginfo_t){.si_code = SI_QUEUE})
DEED(queue_signal_to_thread, SYS_rt_tgsigqueueinfo, hub, hub, 0, &(siginfo_t){.si_code = SI_QUEUE})
static int own_socket(int command, long value) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return errno;
    int answer = errno_of(fcntl(pair[0], command, value));
    close(pair[0]), close(pair[1]);
    return answer;
}
static int own_socket_by_hub(void) { return own_socket(F_SETOWN, hub); }
static int own_socket_by_any(void) { return own_socket(15 /* F_SETOWN_EX */, (long)&(int[2]){1, (int)hub}); }
static int choose_signal(void) { return own_socket(10 /* F_SETSIG */, SIGKILL); }
DEED(own_by_ioctl, SYS_ioctl, 1, 0x8901 /* FIOSETOWN */, &(int){1})
DEED(own_by_socket_ioctl, SYS_ioctl, 1, 0x8902 /* SIOCSPGRP */, &(int){1})
DEED(signals_of_input, SYS_ioctl, 1, 0x5452 /* FIOASYNC */, &(int){1})
DEED(type_for_user, SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x")
DEED(take_terminal, SYS_ioctl, 0, 0x540e /* TIOCSCTTY */, 1)
DEED(lead_terminal, SYS_ioctl, 0, 0x5410 /* TIOCSPGRP */, &(int){1})

DEED(limit_hub, SYS_prlimit64, hub, RLIMIT_NOFILE, &(struct rlimit){64, 64}, NULL)
DEED(read_limits_of_hub, SYS_prlimit64, hub, RLIMIT_NOFILE, NULL, &(struct rlimit){0, 0})
DEED(shed_mark, SYS_setrlimit, RLIMIT_MSGQUEUE, &(struct rlimit){0, 0})
DEED(shed_mark_by_prlimit, SYS_prlimit64, 0, RLIMIT_MSGQUEUE, &(struct rlimit){0, 0}, NULL)
DEED(raise_memory, SYS_prlimit64, 0, RLIMIT_DATA, &(struct rlimit){1UL << 40, 1UL << 40}, NULL)
DEED(raise_files, SYS_prlimit64, 0, RLIMIT_NOFILE, &(struct rlimit){1000000, 1000000}, NULL)
DEED(raise_core, SYS_prlimit64, 0, RLIMIT_CORE, &(struct rlimit){1 << 20, 1 << 20}, NULL)
DEED(slow_hub, SYS_setpriority, PRIO_PROCESS, hub, 19)
DEED(slow_user, SYS_setpriority, PRIO_USER, 0, 19)
DEED(slow_group, SYS_setpriority, PRIO_PGRP, getpgid((pid_t)hub), 19)
DEED(idle_hub, SYS_sched_setscheduler, hub, SCHED_IDLE, &(struct sched_param){0})
DEED(schedule_hub, SYS_sched_setparam, hub, &(struct sched_param){0})
DEED(schedule_hub_by_attributes, SYS_sched_setattr, hub, &(uint32_t[12]){48, SCHED_IDLE}, 0)
DEED(pin_hub, SYS_sched_setaffinity, hub, 8, &(uint64_t){1})
DEED(idle_io_of_hub, SYS_ioprio_set, 1, hub, 3 << 13)
DEED(move_memory_of_hub, SYS_move_pages, hub, 0, NULL, NULL, NULL, 0)
DEED(migrate_memory_of_hub, SYS_migrate_pages, hub, 8, &(uint64_t){1}, &(uint64_t){1})
DEED(place_memory, SYS_set_mempolicy, 0, NULL, 0)
DEED(bind_memory, SYS_mbind, 0, 0, 0, NULL, 0, 0)
DEED(robust_list_of_hub, SYS_get_robust_list, hub, &(void *){NULL}, &(size_t){0})
DEED(join_group_of_hub, SYS_setpgid, 0, getpgid((pid_t)hub))
DEED(new_session, SYS_setsid, NOTHING)
DEED(adopt_orphans, SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
DEED(survive_hub, SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0)
DEED(hide_from_hub, SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)
DEED(let_trace, SYS_prctl, PR_SET_PTRACER, -1L, 0, 0, 0)
DEED(change_memory_map, SYS_prctl, PR_SET_MM, 0, 0, 0, 0)
DEED(keep_capabilities, SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
DEED(secure_bits, SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0)
DEED(ambient_capability, SYS_prctl, 47 /* PR_CAP_AMBIENT */, 2, 21, 0, 0)
DEED(share_core, SYS_prctl, 62 /* PR_SCHED_CORE */, 3, hub, 0, 0)
DEED(redirect_calls, SYS_prctl, 59 /* PR_SET_SYSCALL_USER_DISPATCH */, 0, 0, 0, 0)

DEED(become_root, SYS_setuid, 0)
DEED(become_other, SYS_setresuid, 12345, 12345, 12345)
DEED(become_user_half, SYS_setreuid, -1, 12345)
DEED(become_group, SYS_setgid, 12345)
DEED(become_groups_all, SYS_setresgid, 12345, 12345, 12345)
DEED(become_group_half, SYS_setregid, -1, 12345)
DEED(join_groups, SYS_setgroups, 1, &(gid_t){0})
DEED(file_user, SYS_setfsuid, 12345)
DEED(file_group, SYS_setfsgid, 12345)
DEED(take_capabilities, SYS_capset, &(uint32_t[2]){0x20080522, 0}, &(uint32_t[6]){0x200000, 0x200000, 0, 0, 0, 0})
DEED(other_personality, SYS_personality, 0x0040000)

/* Ahead of all others. */
DEED(hurry, SYS_setpriority, 0, 0, -20)
DEED(run_in_real_time, SYS_sched_setscheduler, 0, 1 /* SCHED_FIFO */, &(int){1})
static int run_by_deadline(void) {
    /* struct sched_attr: size, policy, flags, nice and priority, runtime, deadline, period. */
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } how = {48, 6 /* SCHED_DEADLINE */, 0, 0, 0, 9000000, 10000000, 10000000};
    return CALL(SYS_sched_setattr, 0, &how, 0);
}

static const struct deed process_deeds[] = {
    D(start_process), D(start_by_clone), D(start_sibling), D(start_traced), D(start_by_clone3), D(run_program),
    D(become_program), D(become_open_program), D(use_library), D(new_user_namespace), D(new_process_namespace),
    D(new_network_namespace), D(unshare_users), D(unshare_mounts), D(unshare_files), D(own_open_files),
    D(thread_with_own_files), D(enter_namespace),
    D(trace_hub), D(be_traced), D(read_memory_of_hub), D(write_memory_of_hub), D(advise_memory_of_hub),
    D(reap_memory_of_hub), D(take_file_of_hub), D(compare_with_hub), D(hold_hub), D(signal_by_handle), D(signal_by_peer_handle), D(namespace_of_peer),
    D(home_of_memory), D(signal_hub),
    D(signal_bystander), D(signal_group_of_hub), D(signal_thread_of_hub), D(signal_thread_the_old_way),
    D(queue_signal_to_hub), D(queue_signal_to_thread), D(own_socket_by_hub), D(own_socket_by_any), D(choose_signal),
    D(own_by_ioctl), D(own_by_socket_ioctl), D(signals_of_input), D(type_for_user), D(take_terminal),
    D(lead_terminal), D(limit_hub), D(read_limits_of_hub), D(shed_mark), D(shed_mark_by_prlimit), D(raise_memory),
    D(raise_files), D(raise_core), D(slow_hub), D(slow_user), D(slow_group), D(idle_hub), D(schedule_hub),
    D(schedule_hub_by_attributes), D(pin_hub), D(idle_io_of_hub), D(move_memory_of_hub), D(migrate_memory_of_hub),
    D(place_memory), D(bind_memory), D(robust_list_of_hub), D(join_group_of_hub), D(new_session), D(adopt_orphans),
    D(survive_hub), D(hide_from_hub), D(let_trace), D(change_memory_map), D(keep_capabilities), D(secure_bits), D(ambient_capability),
    D(share_core), D(redirect_calls), D(become_root), D(become_other), D(become_user_half), D(become_group),
    D(become_groups_all), D(become_group_half), D(join_groups), D(file_user), D(file_group), D(take_capabilities),
    D(other_personality),
    D(hurry), D(run_in_real_time), D(run_by_deadline),
};

#endif
