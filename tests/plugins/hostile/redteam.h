/*
 * redteam.h - what the deeds of the red team share: whom they are aimed at, and how one answers.
 *
 * A deed does one thing that is to be held, and answers 0 when it could do it, else what errno said. Where nothing holds
 * them they do no harm but to what the test has put up for it: calls on the whole system get arguments that the system
 * refuses behind the permission.
 */
#ifndef REDTEAM_H
#define REDTEAM_H

#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The aims, as the test names them in the configuration. */
static char victim[1024];     /* A folder of the same user that nothing grants, with a file `file` and a folder `folder`. */
static char config_file[1024];/* The hub's configuration, with a token. */
static char data_dir[1024];   /* The hub's. */
static long hub;              /* Process of the hub. */
static long bystander;        /* Another process of the same user. */
static long tcp_port;         /* Of a listener of this machine that nothing grants. */
static long hub_port;         /* That the hub serves. */
static char local_name[128];  /* Of an abstract socket of another process. */
static char state_dir[1024];  /* The sink's own. */

struct deed {
    const char *name;
    int (*act)(void);
};

/* The answer of a deed on what this machine does not have. */
#define ABSENT (-1)

/* What a call that answers -1 on failure says. */
static inline int errno_of(long answer) { return answer == -1 ? errno : 0; }

/* The same of a call that gives a descriptor, which is closed. */
static inline int opened(long fd) {
    if (fd < 0) return errno;
    close((int)fd);
    return 0;
}

/* A path that lasts until the fourth one after it. */
static inline const char *path_of(const char *dir, const char *name) {
    static char paths[4][2304];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline const char *in_victim(const char *name) { return path_of(victim, name); }
static inline const char *in_state(const char *name) { return path_of(state_dir, name); }

/* A path below /proc of a process. */
static inline const char *in_proc(long pid, const char *name) {
    char dir[64];
    snprintf(dir, sizeof dir, "/proc/%ld", pid);
    return path_of(dir, name);
}

/* A file of the sink's own, made when it is missing. */
static inline int own_fd(void) { return open(in_state("own"), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }

/* The sockets of this process that it did not make: those to its host. */
static inline int host_sockets(int *found, int most) {
    int count = 0;
    struct stat about;
    for (int fd = 3; fd < 1024 && count < most; fd++)
        if (fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode)) found[count++] = fd;
    return count;
}

/* A bare call: the C library would not make it, or would look at the arguments first. */
#define CALL(...) errno_of(syscall(__VA_ARGS__))
#define NOTHING 0L, 0L, 0L, 0L, 0L

/* A deed that is one bare call. */
#define DEED(name, ...) \
    static int name(void) { return CALL(__VA_ARGS__); }

/* Calls that are newer than the headers may be; the numbers are those of all machines. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif
#ifndef SYS_lsm_set_self_attr
#define SYS_lsm_set_self_attr 460
#define SYS_lsm_list_modules 461
#endif
/* Calls that not every machine has. */
#define SYS_ABSENT 4095
#ifndef __x86_64__
#define SYS_chmod SYS_ABSENT
#define SYS_chown SYS_ABSENT
#define SYS_lchown SYS_ABSENT
#define SYS_utime SYS_ABSENT
#define SYS_utimes SYS_ABSENT
#define SYS_futimesat SYS_ABSENT
#define SYS_mknod SYS_ABSENT
#define SYS_fork SYS_ABSENT
#define SYS_vfork SYS_ABSENT
#define SYS_iopl SYS_ABSENT
#define SYS_ioperm SYS_ABSENT
#define SYS_modify_ldt SYS_ABSENT
#define SYS_uselib SYS_ABSENT
#define SYS_ustat SYS_ABSENT
#define SYS_sysfs SYS_ABSENT
#define SYS_inotify_init SYS_ABSENT
#define SYS__sysctl SYS_ABSENT
#endif

#endif
