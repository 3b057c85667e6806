/* redteam_system.h - deeds on the system: what outlives a process, the kernel's doors, clocks and names. */
#ifndef REDTEAM_SYSTEM_H
#define REDTEAM_SYSTEM_H

#include "redteam.h"

#include <sys/mman.h>

DEED(shared_segment, SYS_shmget, 0x7265647, 4096, 01600)
DEED(attach_segment, SYS_shmat, 0, NULL, 0)
DEED(control_segment, SYS_shmctl, 0, 0, NULL)
DEED(message_queue, SYS_msgget, 0x7265647, 01600)
DEED(send_message, SYS_msgsnd, 0, "", 0, 0)
DEED(receive_message, SYS_msgrcv, 0, NULL, 0, 0, 04000)
DEED(control_queue, SYS_msgctl, 0, 0, NULL)
DEED(semaphores, SYS_semget, 0x7265647, 1, 01600)
DEED(use_semaphore, SYS_semop, 0, NULL, 0)
DEED(control_semaphore, SYS_semctl, 0, 0, 0, 0)
DEED(posix_queue, SYS_mq_open, "redteam", O_CREAT | O_RDWR, 0600, NULL)
DEED(unlink_posix_queue, SYS_mq_unlink, "redteam")
DEED(hidden_memory, SYS_memfd_create, "redteam", 0)
DEED(secret_memory, SYS_memfd_secret, 0)
static int shared_memory(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}
static int shared_zero_memory(void) {
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    if (fd < 0) return errno;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? errno : 0;
}
DEED(queue_io, SYS_io_setup, 1, &(unsigned long){0})
DEED(submit_io, SYS_io_submit, 0, 0, NULL)
DEED(destroy_io, SYS_io_destroy, 0)
DEED(ring_io, SYS_io_uring_setup, 1, NULL)
DEED(enter_ring, SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0)
DEED(register_ring, SYS_io_uring_register, -1, 0, NULL, 0)
DEED(load_bpf, SYS_bpf, 0, NULL, 0)
DEED(count_events, SYS_perf_event_open, NULL, 0, -1, -1, 0)
DEED(handle_faults, SYS_userfaultfd, 0)
DEED(filter_calls, SYS_seccomp, 1, 8 /* a listener */, NULL)
DEED(add_key, SYS_add_key, "user", "redteam", "x", 1, -3)
DEED(request_key, SYS_request_key, "user", "redteam", NULL, 0)
DEED(control_keys, SYS_keyctl, 0, -3, 0, 0, 0)
DEED(security_module, SYS_lsm_set_self_attr, 0, NULL, 0, 0)
DEED(list_security_modules, SYS_lsm_list_modules, NULL, NULL, 0)
DEED(load_module, SYS_init_module, NULL, 0, "")
DEED(load_module_file, SYS_finit_module, -1, "", 0)
DEED(remove_module, SYS_delete_module, "redteam", 0)
DEED(load_kernel, SYS_kexec_load, 0, 0, NULL, 0xffff0000)
DEED(load_kernel_file, SYS_kexec_file_load, -1, -1, 0, "", 0xff)
DEED(restart_machine, SYS_reboot, 0, 0, 0, NULL)
DEED(name_machine, SYS_sethostname, NULL, 1000)
DEED(name_domain, SYS_setdomainname, NULL, 1000)
DEED(set_time, SYS_settimeofday, 1, NULL)
DEED(set_clock, SYS_clock_settime, 99, NULL)
DEED(adjust_clock, SYS_clock_adjtime, 99, NULL)
DEED(adjust_time, SYS_adjtimex, NULL)
DEED(kernel_log, SYS_syslog, 10, NULL, 0)
DEED(account_processes, SYS_acct, "/redteam/is/not/there")
DEED(add_swap, SYS_swapon, "/redteam/is/not/there", 0)
DEED(remove_swap, SYS_swapoff, "/redteam/is/not/there")
DEED(hang_up_terminal, SYS_vhangup, NOTHING)
DEED(use_ports, SYS_iopl, 99)
DEED(use_some_ports, SYS_ioperm, -1L, 1, 1)
DEED(change_segments, SYS_modify_ldt, 99, NULL, 0)
DEED(remap_pages, SYS_remap_file_pages, 0, 0, 0, 0, 0)
DEED(gift_pages, SYS_vmsplice, 1, NULL, 0, 0)
DEED(widen_pipe, SYS_fcntl, 1, F_SETPIPE_SZ, 1 << 20)
DEED(flush_for_disks, SYS_prctl, 57 /* PR_SET_IO_FLUSHER */, 1, 0, 0, 0)
/* All that waits for the disk, that of the hub too. */
static int flush_own_disk(void) {
    int fd = own_fd();
    if (fd < 0) return errno;
    int answer = CALL(SYS_syncfs, fd);
    close(fd);
    return answer;
}
/* Rules without number, each in memory of the kernel's that no limit counts. */
DEED(kernel_rules, SYS_landlock_create_ruleset, (uint64_t[]){0, 2}, 16, 0)
static int on_own_pair(int (*act)(int fd)) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return ABSENT;
    int answer = act(pair[0]);
    close(pair[0]), close(pair[1]);
    return answer;
}
static int widen(int fd, int option) {
    return errno_of(setsockopt(fd, SOL_SOCKET, option, &(int){1 << 30}, sizeof(int)));
}
static int widen_sending(int fd) { return widen(fd, SO_SNDBUF); }
static int widen_reading(int fd) { return widen(fd, SO_RCVBUF); }
static int send_urgently(int fd) { return errno_of(send(fd, "x", 1, MSG_OOB)); }
static int wait_when_closed(int fd) {
    return errno_of(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 1}, sizeof(struct linger)));
}
static int wait_to_close(void) { return on_own_pair(wait_when_closed); }
/* Memory that counts as a stack. */
static int grow_downwards(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}
static int move_stack(void) {
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return errno;
    return mremap(page, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0;
}
DEED(shadow_stack, 453, 0, 4096, 0)
static int widen_socket(void) { return on_own_pair(widen_sending); }
static int widen_socket_for_reading(void) { return on_own_pair(widen_reading); }
static int urgent_byte(void) { return on_own_pair(send_urgently); }
DEED(lock_all_memory, SYS_mlockall, 3)
DEED(system_parameters, SYS__sysctl, NULL)
DEED(newer_call, 600, NOTHING)
#ifdef __x86_64__
DEED(other_numbers, 0x40000000 | SYS_chmod, config_file, 0644)
#else
DEED(other_numbers, 0x40000000, NOTHING)
#endif

static const struct deed system_deeds[] = {
    D(shared_segment), D(attach_segment), D(control_segment), D(message_queue), D(send_message), D(receive_message),
    D(control_queue), D(semaphores), D(use_semaphore), D(control_semaphore), D(posix_queue), D(unlink_posix_queue),
    D(hidden_memory), D(secret_memory), D(shared_memory), D(shared_zero_memory), D(queue_io), D(submit_io),
    D(destroy_io), D(ring_io), D(enter_ring), D(register_ring), D(load_bpf), D(count_events), D(handle_faults),
    D(filter_calls), D(add_key), D(request_key), D(control_keys), D(security_module), D(list_security_modules),
    D(load_module), D(load_module_file), D(remove_module), D(load_kernel), D(load_kernel_file), D(restart_machine),
    D(name_machine), D(name_domain), D(set_time), D(set_clock), D(adjust_clock), D(adjust_time), D(kernel_log),
    D(account_processes), D(add_swap), D(remove_swap), D(hang_up_terminal), D(use_ports), D(use_some_ports),
    D(change_segments), D(remap_pages), D(gift_pages), D(widen_pipe), D(flush_for_disks), D(flush_own_disk),
    D(system_parameters),
    D(newer_call), D(other_numbers), D(kernel_rules), D(widen_socket), D(widen_socket_for_reading), D(urgent_byte),
    D(lock_all_memory), D(wait_to_close), D(grow_downwards), D(move_stack), D(shadow_stack),
};

#endif
